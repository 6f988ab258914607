// Index scores of packed keys on the byte dot instruction. Included inside an unnamed namespace after index_fold.inl.
//
// The instruction wants its first operand without a sign: keys are held plus 128, which each head's sum makes good from the start. A register block
// is 32 keys and four heads, so that six operands are read for eight dots.

inline constexpr int kPlus = 128, kTileHeads = 4, kTileKeys = 2;

struct IndexBlock {
  alignas(64) std::uint8_t key[kTileKeys][kWords][kLine];
  alignas(64) float key_scale[kTileKeys][kKeysTogether];
  alignas(64) std::int32_t start[kMostHeads];
};

/// Scores of 32 keys, before their scales.
template <bool kRounded>
[[gnu::noinline]] void ScoreBlock(const IndexQueries& queries, std::int64_t heads, const IndexBlock& block, Lanes (&score)[kTileKeys]) noexcept {
  Lanes sum[kTileKeys] = {Zero(), Zero()};
  for (std::int64_t head = 0; head < heads; head += kTileHeads) {
    __m512i dot[kTileHeads][kTileKeys];
#pragma GCC unroll 4
    for (int h = 0; h < kTileHeads; ++h) dot[h][0] = dot[h][1] = _mm512_set1_epi32(block.start[head + h]);
#pragma GCC unroll 4
    for (std::int64_t w = 0; w < kWords; ++w) {
      const __m512i first = _mm512_load_si512(block.key[0][w]), second = _mm512_load_si512(block.key[1][w]);
#pragma GCC unroll 4
      for (int h = 0; h < kTileHeads; ++h) {
        const __m512i query = _mm512_set1_epi32(queries.words[head + h][w]);
        dot[h][0] = _mm512_dpbusd_epi32(dot[h][0], first, query);
        dot[h][1] = _mm512_dpbusd_epi32(dot[h][1], second, query);
      }
    }
#pragma GCC unroll 4
    for (int h = 0; h < kTileHeads; ++h) {
      const Lanes weight = Set1(queries.weight[head + h]);
#pragma GCC unroll 2
      for (int j = 0; j < kTileKeys; ++j) sum[j] = AddHead<kRounded>(sum[j], dot[h][j], weight);
    }
  }
  score[0] = sum[0];
  score[1] = sum[1];
}

/// Computes the call by bytes, or leaves it to `below`, whose bits are the same.
[[gnu::always_inline]] inline void IndexScoreByBytes(const IndexScoreArgs& args, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  IndexQueries queries;
  if (!Folds(args) || !FoldQueries(args, queries)) return below(args);
  IndexBlock block;
  for (std::int64_t h = 0; h < kMostHeads; ++h) {
    std::int32_t sum = 0;
    for (std::int64_t w = 0; w < kWords; ++w) {
      for (int byte = 0; byte < 4; ++byte) sum += static_cast<std::int8_t>(static_cast<std::uint32_t>(queries.words[h][w]) >> (8 * byte));
    }
    block.start[h] = -kPlus * sum;
  }
  for (std::int64_t first = 0; first < args.count; first += kTileKeys * kKeysTogether) {
    bool fits[kTileKeys];
    for (std::int64_t j = 0; j < kTileKeys; ++j) {
      const std::int64_t at = first + j * kKeysTogether;
      fits[j] = FoldKeys<kPlus>(args, at < args.count ? at : args.count - 1, block.key[j], block.key_scale[j]);
    }
    Lanes score[kTileKeys];
    (args.rounding == Rounding::kBf16 ? ScoreBlock<true> : ScoreBlock<false>)(queries, args.heads, block, score);
    for (std::int64_t j = 0; j < kTileKeys && first + j * kKeysTogether < args.count; ++j) {
      WriteScores(args, first + j * kKeysTogether, fits[j], score[j], Load(block.key_scale[j]), below);
    }
  }
}

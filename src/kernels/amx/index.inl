// Index scores of packed keys on tiles. Included inside an unnamed namespace after avx512_vnni/index_fold.inl. Tiles is HardwareTiles or
// EmulatedTiles. A product of head and key is two dot instructions, exact. Tiles of keys that do not fold go to the kernel below.

inline constexpr std::int64_t kTileSide = 16, kTileBytes = kTileSide * kLine, kKeys = 2 * kTileSide;
inline constexpr std::int64_t kFewestKeys = 16;  // fewer are not worth bringing the queries into tiles
static_assert(kTileSide == kKeysTogether && 2 * kLine == kDim);

struct IndexTiles {
  alignas(64) std::uint8_t query[kMostHeads / kTileSide][2][kTileSide][kLine];  // [tile of heads][half of the channels][head]
  alignas(64) float weight[kMostHeads];
  alignas(64) std::uint8_t key[2][2][2][kTileSide][kLine];  // [turn][tile of keys][half][word of four channels]
  alignas(64) std::int32_t dot[2][kMostHeads][kKeys];
  alignas(64) float key_scale[4][2][kTileSide];  // of four turns: one is folded while the one two before it is written
  bool fits[4][2];
};

/// Brings the queries into tiles. False where they do not fold.
[[gnu::noinline]] bool TileQueries(const IndexScoreArgs& args, IndexTiles& tiles) noexcept {
  IndexQueries queries;
  if (!FoldQueries(args, queries)) return false;
  __builtin_memcpy(tiles.weight, queries.weight, sizeof(tiles.weight));
  for (std::int64_t h = 0; h < kMostHeads; ++h) {
    for (int half = 0; half < 2; ++half) __builtin_memcpy(tiles.query[h / kTileSide][half][h % kTileSide], queries.words[h] + half * kWords / 2, kLine);
  }
  return true;
}

/// score += relu(dot)·weight of sixteen heads, in order, for 32 keys.
template <bool kRounded>
[[gnu::always_inline]] inline void AddHeads(const std::int32_t (*dot)[kKeys], const float* weight, Lanes (&score)[2]) noexcept {
#pragma GCC unroll 4
  for (std::int64_t h = 0; h < kTileSide; ++h) {
    const Lanes w = Set1(weight[h]);
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) score[j] = AddHead<kRounded>(score[j], _mm512_load_si512(dot[h] + j * kTileSide), w);
  }
}

/// sums of a tile of heads with the 32 keys that are in tiles 4 to 7.
template <class Tiles>
[[gnu::always_inline]] inline void MultiplyHeads(Tiles& tiles, const std::uint8_t (&query)[2][kTileSide][kLine], std::int32_t (*dot)[kKeys]) noexcept {
  tiles.template Zero<0>();
  tiles.template Zero<1>();
  tiles.template Load<2>(query[0], kLine);
  tiles.template DpInt8<0, 2, 4>();
  tiles.template DpInt8<1, 2, 6>();
  tiles.template Load<3>(query[1], kLine);
  tiles.template DpInt8<0, 3, 5>();
  tiles.template DpInt8<1, 3, 7>();
  tiles.template Store<0>(dot[0], sizeof(dot[0]));
  tiles.template Store<1>(dot[0] + kTileSide, sizeof(dot[0]));
}

/// In every turn the tiles multiply 32 keys, beside which the sums of the 32 before are weighted and the 32 after are folded.
template <bool kRounded, class Tiles>
inline void ScoreTurns(const IndexScoreArgs& args, IndexTiles& scratch, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  const std::int64_t turns = (args.count + kKeys - 1) / kKeys, head_tiles = (args.heads + kTileSide - 1) / kTileSide;
  const auto fold = [&](std::int64_t turn) __attribute__((always_inline)) {
    for (std::int64_t j = 0; j < 2; ++j) {
      const std::int64_t at = turn * kKeys + j * kTileSide;
      scratch.fits[turn % 4][j] = FoldKeys<0>(args, at < args.count ? at : args.count - 1, scratch.key[turn % 2][j][0], scratch.key_scale[turn % 4][j]);
    }
  };
  Tiles tiles;
  fold(0);
  for (std::int64_t turn = 0; turn <= turns; ++turn) {
    const std::int64_t now = turn % 2, before = 1 - now;
    if (turn + 1 < turns) fold(turn + 1);  // long before its tiles are loaded: loads cannot take what is still being stored
    if (turn < turns) {
      tiles.template Load<4>(scratch.key[now][0][0], kLine);
      tiles.template Load<5>(scratch.key[now][0][1], kLine);
      tiles.template Load<6>(scratch.key[now][1][0], kLine);
      tiles.template Load<7>(scratch.key[now][1][1], kLine);
    }
    Lanes score[2] = {Zero(), Zero()};
    for (std::int64_t t = 0; t < head_tiles; ++t) {
      if (turn < turns) MultiplyHeads(tiles, scratch.query[t], scratch.dot[now] + t * kTileSide);
      if (turn > 0) AddHeads<kRounded>(scratch.dot[before] + t * kTileSide, scratch.weight + t * kTileSide, score);
    }
    for (std::int64_t j = 0; j < 2 && turn > 0; ++j) {
      const std::int64_t at = (turn - 1) * kKeys + j * kTileSide;
      if (at < args.count) WriteScores(args, at, scratch.fits[(turn - 1) % 4][j], score[j], Load(scratch.key_scale[(turn - 1) % 4][j]), below);
    }
  }
}

/// Computes the call on tiles, or leaves it to `below`, whose bits are the same.
template <class Tiles>
inline void IndexScoreOnTiles(const IndexScoreArgs& args, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  IndexTiles scratch;
  if (args.count < kFewestKeys || !Folds(args) || !TileQueries(args, scratch)) return below(args);
  if (args.rounding == Rounding::kBf16) return ScoreTurns<true, Tiles>(args, scratch, below);
  ScoreTurns<false, Tiles>(args, scratch, below);
}

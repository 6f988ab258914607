// Attention over packed rows on tiles of bf16 pairs. Included inside an unnamed namespace after avx512/transpose.inl, wide/softmax.inl and
// avx512_bf16/panels.inl. Tiles is HardwareTiles or EmulatedTiles.
//
// In official arithmetic queries, rows and weights are bf16. The order is this file's own. A score: dot instructions of 32 channels one after the
// other, from zero. The denominator of a block: its rows in order. A value: two dot instructions of 32 rows, from zero, then one FMA adds what stood
// before. Heads are padded to sixteen and lie in lanes or in rows of tiles, so a head's bits do not depend on the others; a head whose query
// does not fit is left to the kernel below, and so is the call where a row does not fit.

inline constexpr std::int64_t kTileSide = 16, kLine = 64, kTileWords = 256, kTileRows = 32;  // kTileRows: that a value's dot instruction adds
inline constexpr std::int64_t kMostDim = 512;
inline constexpr std::int64_t kRowTiles = kAttendBlock / kTileSide, kValueSteps = kAttendBlock / kTileRows;

/// A block's rows in both forms, of every token that shares them.
struct AttendRowTiles {
  std::uint32_t* keys;    // [kRowTiles][dim / 32][row][words of a score]: channels c and c + 16
  std::uint32_t* values;  // [kValueSteps][dim / 16][pair of rows][channel]: rows r and r + 1
};

struct AttendTiles {
  AttendRowTiles rows;
  AttendState state;       // rows and p are not used; the others are padded to whole tiles of heads
  std::uint32_t* queries;  // [whole tiles of heads][dim / 32][words of a score][head]
  std::uint32_t* rest;     // of the last tile, which is not whole
  alignas(64) float score[2][kAttendBlock][kTileSide];                      // [tile of heads][row][head]
  alignas(64) std::uint32_t weight[2][kValueSteps][kTileSide][kTileSide];   // [tile of heads][step][head][pair of rows]
  alignas(64) float value[2][2][kTileSide][kTileSide];                      // [turn][tile of heads][head][channel]
};

[[gnu::always_inline]] inline const std::uint32_t* QueryTiles(const AttendArgs& args, const AttendTiles& scratch, std::int64_t tile) noexcept {
  return (tile + 1) * kTileSide <= args.heads ? scratch.queries + tile * kTileSide * (args.layout.dim / 2) : scratch.rest;
}

/// Whether a query is exact in bf16 and its numbers are zero or near enough to one.
[[gnu::always_inline]] inline bool QueryFits(const float* query, std::int64_t dim) noexcept {
  __m512i bits = _mm512_setzero_si512();
  HalfRange range;
  for (std::int64_t c = 0; c < dim; c += kPair) {
    const Lanes first = Load(query + c), second = Load(query + c + kLanes);
    bits = _mm512_or_si512(bits, _mm512_or_si512(Bits(first).v, Bits(second).v));
    range.See(PackPairs(first, second));
  }
  return range.Moderate() && _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0xFFFF)) == 0;
}

/// Brings the queries into tiles, zeros for those that do not fit. False where there are such.
inline bool PackQueryTiles(const AttendArgs& args, AttendTiles& scratch) noexcept {
  const std::int64_t dim = args.layout.dim;
  bool all = true;
  for (std::int64_t tile = 0; tile * kTileSide < args.heads; ++tile) {
    auto* packed = const_cast<std::uint32_t*>(QueryTiles(args, scratch, tile));
    const float* query[kTileSide] = {};
    for (std::int64_t i = 0; i < AtMost(kTileSide, args.heads - tile * kTileSide); ++i) {
      const float* q = args.query + (tile * kTileSide + i) * dim;
      if (QueryFits(q, dim)) query[i] = q;
      all &= query[i] != nullptr;
    }
    for (std::int64_t c = 0; c < dim; c += kPair, packed += kTileWords) {
      __m512i words[kTileSide];
#pragma GCC unroll 16
      for (std::int64_t i = 0; i < kTileSide; ++i) {
        words[i] = query[i] != nullptr ? PackPairs(Load(query[i] + c), Load(query[i] + c + kLanes)).v : _mm512_setzero_si512();
      }
      Transpose(words);
#pragma GCC unroll 16
      for (std::int64_t w = 0; w < kTileSide; ++w) _mm512_store_si512(packed + w * kTileSide, words[w]);
    }
  }
  return all;
}

/// Rows 2·pair and 2·pair + 1 of a block, zeros where they are null, in both forms. False where a row does not fit.
[[gnu::always_inline]] inline bool UnpackRowPair(const KvRowLayout& layout, const std::byte* first, const std::byte* second, std::int64_t pair,
                                                 const AttendRowTiles& tiles, HalfRange& range) noexcept {
  bool moderate = true;
  const std::int64_t row = 2 * pair, place = pair % kTileSide;
  std::uint32_t* keys = tiles.keys + row / kTileSide * (layout.dim / kPair) * kTileWords + row % kTileSide * kTileSide;
  std::uint32_t* values = tiles.values + pair / kTileSide * (layout.dim / kLanes) * kTileWords + place * kTileSide;
  for (std::int64_t panel = 0; panel * kPanel < layout.dim; ++panel) {
    Ints a[2] = {SetInts(0), SetInts(0)}, b[2] = {SetInts(0), SetInts(0)};
    if (first != nullptr) moderate &= UnpackPanel(layout, first, panel, range, a);
    if (second != nullptr) moderate &= UnpackPanel(layout, second, panel, range, b);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i, keys += kTileWords, values += 2 * kTileWords) {
      _mm512_store_si512(keys, a[i].v);
      _mm512_store_si512(keys + kTileSide, b[i].v);
      _mm512_store_si512(values, PackPairs(FromBits(a[i]), FromBits(b[i])).v);
      _mm512_store_si512(values + kTileWords, _mm512_mask_blend_epi16(0x55555555u, ShiftLeft<16>(a[i]).v, b[i].v));
    }
  }
  return moderate;
}

/// The rows of a block, and zeros up to a multiple of kTileRows. False where a row does not fit.
inline bool UnpackRowTiles(const AttendArgs& args, std::int64_t begin, std::int64_t rows, const AttendRowTiles& tiles) noexcept {
  HalfRange range;
  bool moderate = true;
  const std::byte* const* row = args.rows + begin;
  for (std::int64_t r = 0; r < (rows + kTileRows - 1) / kTileRows * kTileRows; r += 2) {
    moderate &= UnpackRowPair(args.layout, r < rows ? row[r] : nullptr, r + 1 < rows ? row[r + 1] : nullptr, r / 2, tiles, range);
  }
  return moderate && range.Moderate();
}

/// Rows that are asked for while others are multiplied, a few each time.
struct RowsToCome {
  const AttendArgs& args;
  std::int64_t next, end, share;
  [[gnu::always_inline]] void Ask() noexcept {
    for (const std::int64_t until = AtMost(next + share, end); next < until; ++next) PrefetchRow(args, next);
  }
};

/// score[tile][r][head] = row_r·query of kHeadTiles tiles of heads.
template <int kHeadTiles, class Tiles>
[[gnu::always_inline]] inline void ScoreRows(Tiles& tiles, const AttendArgs& args, AttendTiles& scratch, std::int64_t tile, std::int64_t rows, RowsToCome& come) noexcept {
  const std::int64_t steps = args.layout.dim / kPair;
  const std::uint32_t* first = QueryTiles(args, scratch, tile);
  const std::uint32_t* second = QueryTiles(args, scratch, kHeadTiles == 2 ? tile + 1 : tile);
  for (std::int64_t r = 0; r < rows; r += kTileRows) {
    const std::uint32_t* keys = scratch.rows.keys + r / kTileSide * steps * kTileWords;
    tiles.template Zero<0>();
    tiles.template Zero<1>();
    tiles.template Zero<2>();
    tiles.template Zero<3>();
    for (std::int64_t step = 0; step < steps; ++step) {
      tiles.template Load<4>(keys + step * kTileWords, kLine);
      tiles.template Load<6>(first + step * kTileWords, kLine);
      tiles.template DpBf16<0, 4, 6>();
      if constexpr (kHeadTiles == 2) {
        tiles.template Load<7>(second + step * kTileWords, kLine);
        tiles.template DpBf16<1, 4, 7>();
      }
      tiles.template Load<5>(keys + (steps + step) * kTileWords, kLine);
      tiles.template DpBf16<2, 5, 6>();
      if constexpr (kHeadTiles == 2) tiles.template DpBf16<3, 5, 7>();
      come.Ask();
    }
    tiles.template Store<0>(scratch.score[0][r], kLine);
    tiles.template Store<2>(scratch.score[0][r + kTileSide], kLine);
    if constexpr (kHeadTiles == 2) {
      tiles.template Store<1>(scratch.score[1][r], kLine);
      tiles.template Store<3>(scratch.score[1][r + kTileSide], kLine);
    }
  }
}

/// Turns the scores of a tile of heads, which begin at `head`, into weights exp(s − M) as pairs of rows, and carries M, the denominator and the
/// factor of what was summed before.
[[gnu::always_inline]] inline void WeighRows(const AttendArgs& args, const AttendState& state, std::int64_t head, std::int64_t rows, bool first,
                                             float (&score)[kAttendBlock][kTileSide], std::uint32_t (&weight)[kValueSteps][kTileSide][kTileSide]) noexcept {
  const Lanes scale = Set1(args.scale);
  Lanes now = first ? Set1(-__builtin_inff()) : Load(state.largest + head);
  const Lanes before = now;
  for (std::int64_t r = 0; r < rows; ++r) {
    const Lanes scaled = Mul(Load(score[r]), scale);
    Store(score[r], scaled);
    now = Max(now, scaled);
  }
  Lanes sum = Zero();
#pragma GCC unroll 4
  for (std::int64_t r = 0; r < rows; ++r) {
    const Lanes p = Exp(Sub(Load(score[r]), now));
    sum = Add(sum, p);
    Store(score[r], RoundBf16(p));
  }
  const std::int64_t filled = (rows + kTileRows - 1) / kTileRows * kTileRows;
  for (std::int64_t r = rows; r < filled; ++r) Store(score[r], Zero());
  for (std::int64_t step = 0; step * kTileRows < filled; ++step) {
    __m512i pairs[kTileSide];
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kTileSide; ++i) pairs[i] = PackPairs(Load(score[step * kTileRows + 2 * i]), Load(score[step * kTileRows + 2 * i + 1])).v;
    Transpose(pairs);
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kTileSide; ++i) _mm512_store_si512(weight[step][i], pairs[i]);
  }
  const Lanes rescale = first ? Zero() : Exp(Sub(before, now));
  Store(state.rescale + head, rescale);
  Store(state.den + head, first ? sum : Fma(Load(state.den + head), rescale, sum));
  Store(state.largest + head, now);
}

/// out[h][c] = out[h][c]·rescale[h] + value, of a tile of heads and of sixteen channels.
[[gnu::always_inline]] inline void AddValueTile(const AttendArgs& args, const AttendState& state, std::int64_t head, std::int64_t channel, bool first,
                                                const float (&value)[kTileSide][kTileSide]) noexcept {
  float* out = args.out + head * args.layout.dim + channel;
  const std::int64_t heads = AtMost(kTileSide, args.heads - head);
#pragma GCC unroll 4
  for (std::int64_t h = 0; h < heads; ++h, out += args.layout.dim) {
    const Lanes sum = Load(value[h]);
    Store(out, first ? sum : Fma(Load(out), Set1(state.rescale[head + h]), sum));
  }
}

/// out = out·rescale + Σ_r weight·row_r of kHeadTiles tiles of heads; the sums of one step are added while the tiles multiply the next.
template <int kHeadTiles, class Tiles>
[[gnu::always_inline]] inline void AddRowValues(Tiles& tiles, const AttendArgs& args, AttendTiles& scratch, std::int64_t tile, std::int64_t rows, bool first) noexcept {
  const std::int64_t steps = args.layout.dim / kLanes;
  const bool both = rows > kTileRows;
  tiles.template Load<4>(scratch.weight[0][0], kLine);
  if (both) tiles.template Load<5>(scratch.weight[0][1], kLine);
  if constexpr (kHeadTiles == 2) {
    tiles.template Load<6>(scratch.weight[1][0], kLine);
    if (both) tiles.template Load<7>(scratch.weight[1][1], kLine);
  }
  const std::uint32_t* values = scratch.rows.values;
  for (std::int64_t step = 0; step <= steps; ++step, values += kTileWords) {
    if (step < steps) {
      tiles.template Zero<0>();
      tiles.template Zero<1>();
      tiles.template Load<2>(values, kLine);
      tiles.template DpBf16<0, 4, 2>();
      if constexpr (kHeadTiles == 2) tiles.template DpBf16<1, 6, 2>();
      if (both) {
        tiles.template Load<3>(values + steps * kTileWords, kLine);
        tiles.template DpBf16<0, 5, 3>();
        if constexpr (kHeadTiles == 2) tiles.template DpBf16<1, 7, 3>();
      }
      tiles.template Store<0>(scratch.value[step % 2][0], kLine);
      if constexpr (kHeadTiles == 2) tiles.template Store<1>(scratch.value[step % 2][1], kLine);
    }
    if (step == 0) continue;
    for (int i = 0; i < kHeadTiles; ++i) {
      AddValueTile(args, scratch.state, (tile + i) * kTileSide, (step - 1) * kLanes, first, scratch.value[(step - 1) % 2][i]);
    }
  }
}

/// A block of rows with kHeadTiles tiles of heads.
template <int kHeadTiles, class Tiles>
[[gnu::always_inline]] inline void AttendRowTilesOf(Tiles& tiles, const AttendArgs& args, AttendTiles& scratch, std::int64_t tile, std::int64_t rows, bool first,
                                                    RowsToCome& come) noexcept {
  ScoreRows<kHeadTiles>(tiles, args, scratch, tile, rows, come);
  for (int i = 0; i < kHeadTiles; ++i) WeighRows(args, scratch.state, (tile + i) * kTileSide, rows, first, scratch.score[i], scratch.weight[i]);
  AddRowValues<kHeadTiles>(tiles, args, scratch, tile, rows, first);
}

/// One block of a token's rows, which lie in scratch.rows already; meanwhile asks for the next one's, which are scattered.
template <class Tiles>
[[gnu::always_inline]] inline void AttendBlockOnTiles(Tiles& tiles, const AttendArgs& args, AttendTiles& scratch, std::int64_t begin, std::int64_t rows) noexcept {
  const std::int64_t head_tiles = (args.heads + kTileSide - 1) / kTileSide;
  const std::int64_t turns = (head_tiles + 1) / 2 * ((rows + kTileRows - 1) / kTileRows) * (args.layout.dim / kPair);
  RowsToCome come{args, begin + kAttendBlock, AtMost(args.count, begin + 2 * kAttendBlock), (kAttendBlock + turns - 1) / turns};
  std::int64_t tile = 0;
  for (; tile + 2 <= head_tiles; tile += 2) AttendRowTilesOf<2>(tiles, args, scratch, tile, rows, begin == 0, come);
  if (tile < head_tiles) AttendRowTilesOf<1>(tiles, args, scratch, tile, rows, begin == 0, come);
}

[[gnu::always_inline]] inline bool FitsAttendTiles(const AttendArgs& args) noexcept {
  const KvRowLayout& layout = args.layout;
  return layout.format == RowFormat::kPacked && args.rounding == Rounding::kBf16 && layout.dim <= kMostDim && layout.CodeBytes() % kPanel == 0 &&
         layout.rope_dim % kPanel == 0;
}

enum class AttendedHeads : std::uint8_t { kNone, kSome, kAll };

/// Some: heads whose queries do not fit (QueryFits) are to be computed again. Requires FitsAttendTiles(args).
template <class Tiles>
[[gnu::noinline]] AttendedHeads AttendHeadsOnTiles(const AttendArgs& args) noexcept {
  const std::int64_t dim = args.layout.dim, block_words = kAttendBlock * dim / 2, padded = (args.heads + kTileSide - 1) / kTileSide * kTileSide;
  alignas(64) std::uint32_t rest[kMostDim / 2 * kTileSide];
  const std::size_t away = reinterpret_cast<std::uintptr_t>(args.scratch) % kLine;
  auto* words = reinterpret_cast<std::uint32_t*>(args.scratch) + (away == 0 ? 0 : (kLine - away) / 4);
  auto* statistics = reinterpret_cast<float*>(words + 2 * block_words + args.heads / kTileSide * kTileSide * dim / 2);
  AttendTiles scratch;
  scratch.rows = {words, words + block_words};
  scratch.state = {nullptr, nullptr, statistics, statistics + padded, statistics + 2 * padded};
  scratch.queries = words + 2 * block_words;
  scratch.rest = rest;
  for (std::int64_t r = 0; r < AtMost(kAttendBlock, args.count); ++r) PrefetchRow(args, r);
  const bool all = PackQueryTiles(args, scratch);
  Tiles tiles;
  for (std::int64_t begin = 0; begin < args.count; begin += kAttendBlock) {
    const std::int64_t rows = AtMost(kAttendBlock, args.count - begin);
    if (!UnpackRowTiles(args, begin, rows, scratch.rows)) return AttendedHeads::kNone;
    AttendBlockOnTiles(tiles, args, scratch, begin, rows);
  }
  Divide(args, scratch.state);
  return all ? AttendedHeads::kAll : AttendedHeads::kSome;
}

/// Computes the call on tiles, and leaves to `below` what does not fit.
template <class Tiles>
inline void AttendOnTiles(const AttendArgs& args, void (*below)(const AttendArgs&) noexcept) noexcept {
  if (!FitsAttendTiles(args)) return below(args);
  const AttendedHeads attended = AttendHeadsOnTiles<Tiles>(args);
  if (attended == AttendedHeads::kAll) return;
  if (attended == AttendedHeads::kNone) return below(args);
  const std::int64_t dim = args.layout.dim;
  for (std::int64_t h = 0; h < args.heads; ++h) {
    if (QueryFits(args.query + h * dim, dim)) continue;
    AttendArgs one = args;
    one.query += h * dim;
    one.heads = 1;
    one.sink += h;
    one.out += h * dim;
    below(one);
  }
}

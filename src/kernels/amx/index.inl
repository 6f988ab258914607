// Index scores of packed keys on tiles. Included inside an unnamed namespace after avx512/lanes.inl, avx512/transpose.inl, wide/math.inl and
// avx512_vnni/index.inl. Tiles is HardwareTiles or EmulatedTiles.
//
// A head's four groups, and a key's, are folded into whole numbers of eight bits where their exponents are at most 3 apart, so a product of head
// and key is two dot instructions, exact. Powers of two are left out until the end, which moves no rounding: the bits are those of
// avx512_vnni/index.inl. Tiles of keys that do not fit go to the kernel below.

inline constexpr std::int64_t kTileSide = 16, kLine = 64, kTileBytes = kTileSide * kLine, kKeys = 2 * kTileSide;
inline constexpr int kMostShift = 3;
inline constexpr int kMostWeight = 40;           // weights times units are zero or 2^-40 to 2^40
inline constexpr std::int64_t kFewestKeys = 16;  // fewer are not worth bringing the queries into tiles

struct IndexTiles {
  alignas(64) std::uint8_t query[kMostHeads / kTileSide][2][kTileSide][kLine];  // [tile of heads][half of the channels][head]
  alignas(64) float weight[kMostHeads];                                         // times the head's unit and a half: keys are twice their values
  alignas(64) std::uint8_t key[2][2][2][kTileSide][kLine];                      // [turn][tile of keys][half][word of four channels]
  alignas(64) std::int32_t dot[2][kMostHeads][kKeys];
  alignas(64) float key_scale[4][2][kTileSide];  // of four turns: one is folded while the one two before it is written
  bool fits[4][2];
};

/// The power of two that a head's group is a multiple of, or 0 where the group is zero.
[[gnu::always_inline]] inline int UnitField(const IndexQueries& queries, std::int64_t h, std::int64_t g) noexcept {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(queries.words[h] + g * kIndexGroup / 4));
  return _mm256_testz_si256(words, words) != 0 ? 0 : static_cast<int>(__builtin_bit_cast(std::uint32_t, queries.unit[h][g]) >> 23);
}

/// Brings the queries into tiles. False where a head's groups are too far apart, or its weight from one.
[[gnu::noinline]] bool FoldQueries(const IndexScoreArgs& args, IndexTiles& tiles) noexcept {
  IndexQueries queries;
  if (!PackQueries(args, queries)) return false;
  __builtin_memset(tiles.query, 0, sizeof(tiles.query));
  __builtin_memset(tiles.weight, 0, sizeof(tiles.weight));
  for (std::int64_t h = 0; h < args.heads; ++h) {
    int least = 255, most = 0, field[kGroups];
    for (std::int64_t g = 0; g < kGroups; ++g) {
      field[g] = UnitField(queries, h, g);
      if (field[g] == 0) continue;
      least = field[g] < least ? field[g] : least;
      most = field[g] > most ? field[g] : most;
    }
    if (most == 0) least = most = 127;
    if (most - least > kMostShift) return false;
    const float weight = args.weight[h] * (0.5f * __builtin_bit_cast(float, static_cast<std::uint32_t>(least) << 23)), magnitude = __builtin_fabsf(weight);
    if (!(magnitude == 0.0f ? args.weight[h] == 0.0f : magnitude >= 0x1p-40f && magnitude <= 0x1p40f)) return false;
    tiles.weight[h] = weight;
    for (std::int64_t g = 0; g < kGroups; ++g) {
      if (field[g] == 0) continue;
      const auto shift = static_cast<unsigned>(field[g] - least);
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(queries.words[h] + g * kIndexGroup / 4));
      const __m256i folded = _mm256_and_si256(_mm256_slli_epi16(words, static_cast<int>(shift)), _mm256_set1_epi8(static_cast<char>(0xFFu << shift)));
      _mm256_store_si256(reinterpret_cast<__m256i*>(tiles.query[h / kTileSide][g / 2][h % kTileSide] + g % 2 * kIndexGroup), folded);
    }
  }
  return true;
}

struct FoldedE2m1 {
  alignas(64) std::int8_t byte[64];
};
constexpr FoldedE2m1 MakeFoldedE2m1() noexcept {
  constexpr int kTwice[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  FoldedE2m1 table{};
  for (int i = 0; i < 64; ++i) {
    const int value = kTwice[i % 8] << (i / 16);
    table.byte[i] = static_cast<std::int8_t>(i % 16 < 8 ? value : -value);
  }
  return table;
}
inline constexpr FoldedE2m1 kFoldedE2m1 = MakeFoldedE2m1();

/// The keys [first, first + 16) of the call, the last one repeated, as a tile. False where a key's groups are too far apart or out.
[[gnu::always_inline]] inline bool FoldKeys(const IndexScoreArgs& args, std::int64_t first, std::uint8_t (&key)[2][kTileSide][kLine], float (&key_scale)[kTileSide]) noexcept {
  __m512i rows[kTileSide];
  alignas(64) std::uint32_t scales[kTileSide];
  const std::int64_t bytes = args.layout.RowBytes();
  std::int64_t block = (args.first + first) / args.keys.per_block, place = (args.first + first) % args.keys.per_block;
#pragma GCC unroll 16
  for (std::int64_t j = 0; j < kTileSide; ++j) {
    const std::byte* row = args.keys.blocks[block] + args.keys.offset + place * bytes;
    rows[j] = _mm512_loadu_si512(row);
    __builtin_memcpy(scales + j, row + kDim / 2, 4);
    if (first + j + 1 < args.count && ++place == args.keys.per_block) {
      place = 0;
      ++block;
    }
  }
  const __m512i codes = _mm512_load_si512(scales);
  __m512i least = _mm512_min_epu8(codes, _mm512_rol_epi32(codes, 16));
  least = _mm512_min_epu8(least, _mm512_rol_epi32(least, 8));
  const __m512i relative = _mm512_sub_epi8(codes, least), shifts = _mm512_slli_epi16(relative, 4);
  const bool fits = (_mm512_cmpgt_epu8_mask(relative, _mm512_set1_epi8(kMostShift)) | _mm512_cmplt_epu8_mask(least, _mm512_set1_epi8(127 - kMostExponent)) |
                     _mm512_cmpgt_epu8_mask(codes, _mm512_set1_epi8(static_cast<char>(127 + kMostExponent)))) == 0;
  _mm512_store_si512(key_scale, _mm512_slli_epi32(_mm512_and_si512(least, _mm512_set1_epi32(0xFF)), 23));
  Transpose(rows);
  const __m512i table = _mm512_load_si512(kFoldedE2m1.byte), nibble = _mm512_set1_epi8(0x0F);
#pragma GCC unroll 16
  for (int w = 0; w < 16; ++w) {
    const __m512i of_group = _mm512_shuffle_epi8(shifts, _mm512_broadcast_i32x4(_mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                                                                                         _mm_set1_epi8(static_cast<char>(w / 4)))));
    const __m512i even = _mm512_ternarylogic_epi32(rows[w], nibble, of_group, 0xEA);  // (code & 15) | shift
    const __m512i odd = _mm512_ternarylogic_epi32(_mm512_srli_epi16(rows[w], 4), nibble, of_group, 0xEA);
    _mm512_store_si512(key[w / 8][2 * w % 16], _mm512_permutexvar_epi8(even, table));
    _mm512_store_si512(key[w / 8][2 * w % 16 + 1], _mm512_permutexvar_epi8(odd, table));
  }
  return fits;
}

/// Nearest bf16 values of zeros and of numbers far from the ends of fp32. Adding 1.5·2^16 times the power of two in a number leaves eight bits of it.
[[gnu::always_inline]] inline Lanes RoundModerate(Lanes a) noexcept {
  const Lanes power = FromBits(And(Bits(a), SetInts(0x7F800000))), far = Set1(0x1.8p16f);
  return {_mm512_fnmadd_ps(power.v, far.v, Fma(power, far, a).v)};
}

/// score += relu(dot)·weight of sixteen heads, in order, for 32 keys.
template <bool kRounded>
[[gnu::always_inline]] inline void AddHeads(const std::int32_t (*dot)[kKeys], const float* weight, Lanes (&score)[2]) noexcept {
#pragma GCC unroll 4
  for (std::int64_t h = 0; h < kTileSide; ++h) {
    const Lanes w = Set1(weight[h]);
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      Lanes term = Max(Zero(), {_mm512_cvtepi32_ps(_mm512_load_si512(dot[h] + j * kTileSide))});
      if constexpr (kRounded) term = RoundModerate(term);
      term = Mul(term, w);
      if constexpr (kRounded) term = RoundModerate(term);
      score[j] = Add(score[j], term);
    }
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

/// Writes the scores of a turn's keys, or has them computed below.
[[gnu::always_inline]] inline void WriteScores(const IndexScoreArgs& args, const IndexTiles& scratch, std::int64_t turn, const Lanes (&score)[2],
                                               void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  for (std::int64_t j = 0; j < 2 && turn * kKeys + j * kTileSide < args.count; ++j) {
    const std::int64_t at = turn * kKeys + j * kTileSide, count = args.count - at < kTileSide ? args.count - at : kTileSide;
    if (scratch.fits[turn % 4][j]) {
      StorePart(args.score + at, RoundAs(Mul(score[j], Load(scratch.key_scale[turn % 4][j])), args.rounding), count);
      continue;
    }
    IndexScoreArgs rest = args;
    rest.first += at;
    rest.count = count;
    rest.score += at;
    below(rest);
  }
}

/// In every turn the tiles multiply 32 keys, beside which the sums of the 32 before are weighted and the 32 after are folded.
template <bool kRounded, class Tiles>
inline void ScoreTurns(const IndexScoreArgs& args, IndexTiles& scratch, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  const std::int64_t turns = (args.count + kKeys - 1) / kKeys, head_tiles = (args.heads + kTileSide - 1) / kTileSide;
  const auto fold = [&](std::int64_t turn) __attribute__((always_inline)) {
    for (std::int64_t j = 0; j < 2; ++j) {
      const std::int64_t at = turn * kKeys + j * kTileSide;
      scratch.fits[turn % 4][j] = FoldKeys(args, at < args.count ? at : args.count - 1, scratch.key[turn % 2][j], scratch.key_scale[turn % 4][j]);
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
    if (turn > 0) WriteScores(args, scratch, turn - 1, score, below);
  }
}

/// Computes the call on tiles, or leaves it to `below`, whose bits are the same.
template <class Tiles>
inline void IndexScoreOnTiles(const IndexScoreArgs& args, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  const bool packed = args.layout.format == RowFormat::kPacked && args.layout.dim == kDim && args.heads <= kMostHeads && args.count >= kFewestKeys;
  IndexTiles scratch;
  if (!packed || !FoldQueries(args, scratch)) return below(args);
  if (args.rounding == Rounding::kBf16) return ScoreTurns<true, Tiles>(args, scratch, below);
  ScoreTurns<false, Tiles>(args, scratch, below);
}

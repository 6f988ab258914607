// Index queries and packed keys as whole numbers of eight bits. Included inside an unnamed namespace after avx512/lanes.inl,
// avx512/transpose.inl, avx512/e2m1_table.inl and wide/math.inl.
//
// A key's group of 32 channels is e2m1 codes times a power of two, and so is a query's in official arithmetic: twice the values are whole numbers
// of at most 12 in magnitude. The four groups of a key, and of a head, are folded into one scale where their exponents are at most 3 apart: bytes of
// at most 96 and 120. So a product of head and key is summed exactly, in less than 24 bits, and so is every partial sum of wide/attention.inl.
// Powers of two are left out until the end, which moves no rounding: the bits are the same.

inline constexpr std::int64_t kDim = 128, kGroups = kDim / kIndexGroup, kWords = kDim / 4;  // a word: four channels of a byte each
inline constexpr std::int64_t kMostHeads = 64, kKeysTogether = 16, kLine = 64;
inline constexpr int kMostShift = 3;
inline constexpr int kMostExponent = 50;         // of a scale: products are far from the ends of fp32
inline constexpr float kMostWeight = 0x1p40f;    // of a head's weight times its unit; the least but zero is one by it

struct IndexQueries {
  alignas(64) std::int32_t words[kMostHeads][kWords];  // of eight channels, the even ones, then the odd ones; past the heads zeros
  alignas(64) float weight[kMostHeads];                // times the head's unit and a half: keys are twice their values
};

/// What an index query's channels [0, 32) are as bytes times 2^(field − 127); false where they are not. field: 0 where they are zeros.
[[gnu::always_inline]] inline bool PackQueryGroup(const float* x, __m256i& bytes, int& field) noexcept {
  const Lanes first = Load(x), second = Load(x + kLanes);
  const float largest = Largest(Max(Magnitude(first), Magnitude(second)));
  float unit = 1.0f;
  field = 0;
  if (largest != 0) {
    field = static_cast<int>(__builtin_bit_cast(std::uint32_t, largest) >> 23) - 3;  // the largest is 8 to 15 of them
    if (!(field >= 124 - kMostExponent && field <= 124 + kMostExponent)) return false;
    unit = __builtin_bit_cast(float, static_cast<std::uint32_t>(field) << 23);
  }
  const Lanes inverse = Set1(1.0f / unit);
  __m128i half[2];
  bool whole = true;
  for (int i = 0; i < 2; ++i) {
    const Lanes scaled = Mul(i == 0 ? first : second, inverse);
    const Ints codes = ToInts(scaled);
    whole = whole && _mm512_cmp_ps_mask(_mm512_cvtepi32_ps(codes.v), scaled.v, _CMP_NEQ_UQ) == 0;
    half[i] = _mm512_cvtepi32_epi8(codes.v);
  }
  bytes = _mm256_set_m128i(half[1], half[0]);
  return whole;
}

/// False where the queries are not what official arithmetic makes of them, a head's groups are too far apart, or its weight from one.
[[gnu::noinline]] bool FoldQueries(const IndexScoreArgs& args, IndexQueries& queries) noexcept {
  __builtin_memset(&queries, 0, sizeof(queries));
  const __m256i order = _mm256_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15, 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
  for (std::int64_t h = 0; h < args.heads; ++h) {
    __m256i bytes[kGroups];
    int field[kGroups], least = 255, most = 0;
    for (std::int64_t g = 0; g < kGroups; ++g) {
      if (!PackQueryGroup(args.query + h * kDim + g * kIndexGroup, bytes[g], field[g])) return false;
      if (field[g] == 0) continue;
      least = field[g] < least ? field[g] : least;
      most = field[g] > most ? field[g] : most;
    }
    if (most == 0) least = most = 127;
    if (most - least > kMostShift) return false;
    const float weight = args.weight[h] * (0.5f * __builtin_bit_cast(float, static_cast<std::uint32_t>(least) << 23)), magnitude = __builtin_fabsf(weight);
    if (!(magnitude == 0.0f ? args.weight[h] == 0.0f : magnitude >= 1.0f / kMostWeight && magnitude <= kMostWeight)) return false;
    queries.weight[h] = weight;
    for (std::int64_t g = 0; g < kGroups; ++g) {
      const int shift = field[g] == 0 ? 0 : field[g] - least;
      const __m256i folded = _mm256_and_si256(_mm256_slli_epi16(bytes[g], shift), _mm256_set1_epi8(static_cast<char>(0xFFu << shift)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(queries.words[h] + g * kIndexGroup / 4), _mm256_shuffle_epi8(folded, order));
    }
  }
  return true;
}

/// The keys [first, first + 16) of the call, the last one repeated: word w of each in a line. False where a key's groups are too far apart or out.
template <int kPlus>
[[gnu::always_inline]] inline bool FoldKeys(const IndexScoreArgs& args, std::int64_t first, std::uint8_t (*lines)[kLine], float* key_scale) noexcept {
  __m512i rows[kKeysTogether];
  alignas(64) std::uint32_t scales[kKeysTogether];
  const std::int64_t bytes = args.layout.RowBytes();
  std::int64_t block = (args.first + first) / args.keys.per_block, place = (args.first + first) % args.keys.per_block;
#pragma GCC unroll 16
  for (std::int64_t j = 0; j < kKeysTogether; ++j) {
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
  const __m512i table = _mm512_load_si512(kShiftedE2m1<kPlus>.byte), nibble = _mm512_set1_epi8(0x0F);
#pragma GCC unroll 16
  for (int w = 0; w < 16; ++w) {
    const __m512i of_group = _mm512_shuffle_epi8(shifts, _mm512_broadcast_i32x4(_mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                                                                                         _mm_set1_epi8(static_cast<char>(w / 4)))));
    const __m512i even = _mm512_ternarylogic_epi32(rows[w], nibble, of_group, 0xEA);  // (code & 15) | shift
    const __m512i odd = _mm512_ternarylogic_epi32(_mm512_srli_epi16(rows[w], 4), nibble, of_group, 0xEA);
    _mm512_store_si512(lines[2 * w], _mm512_permutexvar_epi8(even, table));
    _mm512_store_si512(lines[2 * w + 1], _mm512_permutexvar_epi8(odd, table));
  }
  return fits;
}

/// Nearest bf16 values of zeros and of numbers far from the ends of fp32. Adding 1.5·2^16 times the power of two in a number leaves eight bits of it.
[[gnu::always_inline]] inline Lanes RoundModerate(Lanes a) noexcept {
  const Lanes power = FromBits(And(Bits(a), SetInts(0x7F800000))), far = Set1(0x1.8p16f);
  return {_mm512_fnmadd_ps(power.v, far.v, Fma(power, far, a).v)};
}

/// score + relu(dot)·weight of one head and sixteen keys.
template <bool kRounded>
[[gnu::always_inline]] inline Lanes AddHead(Lanes score, __m512i dot, Lanes weight) noexcept {
  Lanes term = {_mm512_cvtepi32_ps(_mm512_max_epi32(dot, _mm512_setzero_si512()))};
  if constexpr (kRounded) term = RoundModerate(term);
  term = Mul(term, weight);
  if constexpr (kRounded) term = RoundModerate(term);
  return Add(score, term);
}

/// Writes the scores of sixteen keys from `at`, or of as many as there are, or has them computed below.
[[gnu::always_inline]] inline void WriteScores(const IndexScoreArgs& args, std::int64_t at, bool fits, Lanes score, Lanes key_scale,
                                               void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  const std::int64_t count = args.count - at < kKeysTogether ? args.count - at : kKeysTogether;
  if (fits) return StorePart(args.score + at, RoundAs(Mul(score, key_scale), args.rounding), count);
  IndexScoreArgs rest = args;
  rest.first += at;
  rest.count = count;
  rest.score += at;
  below(rest);
}

/// Whether keys and queries of this call can fold at all.
[[gnu::always_inline]] inline bool Folds(const IndexScoreArgs& args) noexcept {
  return args.layout.format == RowFormat::kPacked && args.layout.dim == kDim && args.heads <= kMostHeads;
}

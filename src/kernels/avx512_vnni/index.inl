// Index scores of packed keys on the byte dot instruction. Included inside an unnamed namespace after avx512/lanes.inl, avx512/transpose.inl and
// wide/math.inl.
//
// A key's group of 32 channels is e2m1 codes times a power of two, and so is a query's in official arithmetic: twice the values are whole numbers
// of at most 12 in magnitude. The products of a group are summed exactly as integers; the groups' sums are exact in fp32 as long as their scales
// are near each other (kScaleSpan). Then every partial sum of wide/attention.inl is exact too, so the bits are the same. Tiles of keys that do not
// fit go to the kernel below.

inline constexpr std::int64_t kDim = 128, kGroups = kDim / kIndexGroup, kWords = kDim / 4;  // a word: four channels of a byte each
inline constexpr std::int64_t kMostHeads = 64;
inline constexpr int kTileHeads = 4;  // share what is read of the keys

// A query's group in its unit is whole numbers of at most 15, so |Σ| <= 4 groups · 32 · 12 · 15 · 2^span units of the smallest group, less than 2^24.
inline constexpr int kScaleSpan = 9;
inline constexpr int kMostExponent = 50;  // of a scale: products are far from the ends of fp32

struct IndexQueries {
  alignas(64) std::int32_t words[kMostHeads][kWords];  // of eight channels, the even ones, then the odd ones
  alignas(16) std::int32_t start[kMostHeads][kGroups];  // −12·Σ of the group: keys are held plus 12, as the instruction wants
  float unit[kMostHeads][kGroups];
  int span = 0;  // largest difference of two groups' exponents in one head
};

/// What an index query's channels [0, 32) are as bytes times `unit`; false where they are not.
[[gnu::always_inline]] inline bool PackQueryGroup(const float* x, std::int8_t* bytes, std::int32_t& sum, float& unit) noexcept {
  const Lanes first = Load(x), second = Load(x + kLanes);
  const float largest = Largest(Max(Magnitude(first), Magnitude(second)));
  const auto field = static_cast<int>(__builtin_bit_cast(std::uint32_t, largest) >> 23);
  unit = 1.0f;
  if (largest != 0) {
    if (!(field >= 127 - kMostExponent && field <= 127 + kMostExponent)) return false;
    unit = __builtin_bit_cast(float, static_cast<std::uint32_t>(field - 3) << 23);  // the largest is 8 to 15 of them
  }
  const Lanes inverse = Set1(1.0f / unit);
  __m512i total = _mm512_setzero_si512();
  bool whole = true;
  for (int i = 0; i < 2; ++i) {
    const Lanes scaled = Mul(i == 0 ? first : second, inverse);
    const Ints codes = ToInts(scaled);
    whole = whole && _mm512_cmp_ps_mask(_mm512_cvtepi32_ps(codes.v), scaled.v, _CMP_NEQ_UQ) == 0;
    total = _mm512_add_epi32(total, codes.v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + i * kLanes), _mm512_cvtepi32_epi8(codes.v));
  }
  sum = _mm512_reduce_add_epi32(total);
  return whole;
}

/// False where the queries are not what official arithmetic makes of them.
[[gnu::noinline]] bool PackQueries(const IndexScoreArgs& args, IndexQueries& queries) noexcept {
  const std::int64_t padded = (args.heads + kTileHeads - 1) / kTileHeads * kTileHeads;
  __builtin_memset(queries.words[0] + args.heads * kWords, 0, static_cast<std::size_t>((padded - args.heads) * kWords * 4));
  for (std::int64_t h = 0; h < padded; ++h) {
    int least = 255, most = 0;
    for (std::int64_t g = 0; g < kGroups; ++g) {
      queries.start[h][g] = 0;
      queries.unit[h][g] = 0.0f;
      if (h >= args.heads) continue;
      alignas(32) std::int8_t bytes[kIndexGroup];
      std::int32_t sum = 0;
      if (!PackQueryGroup(args.query + h * kDim + g * kIndexGroup, bytes, sum, queries.unit[h][g])) return false;
      const __m256i order = _mm256_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15, 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
      const __m256i apart = _mm256_shuffle_epi8(_mm256_load_si256(reinterpret_cast<const __m256i*>(bytes)), order);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(queries.words[h] + g * kIndexGroup / 4), apart);
      queries.start[h][g] = -12 * sum;
      const auto exponent = static_cast<int>(__builtin_bit_cast(std::uint32_t, queries.unit[h][g]) >> 23);
      least = exponent < least ? exponent : least;
      most = exponent > most ? exponent : most;
    }
    if (h < args.heads && most - least > queries.span) queries.span = most - least;
  }
  return true;
}

/// Sixteen keys: word w of each, as bytes of twice the values plus 12, and half their scales.
struct IndexKeys {
  alignas(64) std::uint8_t words[kWords][64];
  alignas(64) float half_scale[kGroups][kLanes];
};

/// The keys [first, first + 16) of the call, the last one repeated. False where their scales and the queries' are too far apart.
[[gnu::always_inline]] inline bool UnpackKeys(const IndexScoreArgs& args, std::int64_t first, int query_span, IndexKeys& keys) noexcept {
  __m512i rows[16];
  alignas(64) std::uint32_t codes[kLanes];
  const std::int64_t bytes = args.layout.RowBytes();
  std::int64_t block = (args.first + first) / args.keys.per_block, place = (args.first + first) % args.keys.per_block;
#pragma GCC unroll 16
  for (std::int64_t j = 0; j < kLanes; ++j) {
    const std::byte* row = args.keys.blocks[block] + args.keys.offset + place * bytes;
    rows[j] = _mm512_loadu_si512(row);
    __builtin_memcpy(codes + j, row + kDim / 2, 4);
    if (first + j + 1 < args.count && ++place == args.keys.per_block) {
      place = 0;
      ++block;
    }
  }
  const Ints all = LoadInts(codes);
  __m512i least = _mm512_set1_epi32(255), most = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
    const __m512i code = _mm512_and_si512(_mm512_srli_epi32(all.v, static_cast<unsigned>(8 * g)), _mm512_set1_epi32(0xFF));
    least = _mm512_min_epi32(least, code);
    most = _mm512_max_epi32(most, code);
    // Codes near 0 would give no number here; they are sent away below.
    Store(keys.half_scale[g], FromBits({_mm512_slli_epi32(_mm512_sub_epi32(code, _mm512_set1_epi32(1)), 23)}));
  }
  const auto far = _mm512_cmplt_epi32_mask(least, _mm512_set1_epi32(127 - kMostExponent)) | _mm512_cmpgt_epi32_mask(most, _mm512_set1_epi32(127 + kMostExponent)) |
                   _mm512_cmpgt_epi32_mask(_mm512_sub_epi32(most, least), _mm512_set1_epi32(kScaleSpan - query_span));
  if (far != 0) return false;
  Transpose(rows);
  const __m512i values = _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));  // the look-up needs no clean upper bits
#pragma GCC unroll 16
  for (int w = 0; w < 16; ++w) {
    _mm512_store_si512(keys.words[2 * w], _mm512_permutexvar_epi8(rows[w], values));
    _mm512_store_si512(keys.words[2 * w + 1], _mm512_permutexvar_epi8(_mm512_srli_epi16(rows[w], 4), values));
  }
  return true;
}

/// Scores of sixteen keys.
[[gnu::always_inline]] inline Lanes ScoreKeys(const IndexScoreArgs& args, const IndexQueries& queries, const IndexKeys& keys) noexcept {
  Lanes score = Zero();
  for (std::int64_t head = 0; head < args.heads; head += kTileHeads) {
    Lanes dot[kTileHeads] = {};
    for (std::int64_t g = 0; g < kGroups; ++g) {
      __m512i sum[kTileHeads];
#pragma GCC unroll 4
      for (int h = 0; h < kTileHeads; ++h) sum[h] = _mm512_set1_epi32(queries.start[head + h][g]);
#pragma GCC unroll 8
      for (std::int64_t w = 0; w < kIndexGroup / 4; ++w) {
        const __m512i key = _mm512_load_si512(keys.words[g * kIndexGroup / 4 + w]);
#pragma GCC unroll 4
        for (int h = 0; h < kTileHeads; ++h) sum[h] = _mm512_dpbusd_epi32(sum[h], key, _mm512_set1_epi32(queries.words[head + h][g * kIndexGroup / 4 + w]));
      }
      const Lanes scale = Load(keys.half_scale[g]);
#pragma GCC unroll 4
      for (int h = 0; h < kTileHeads; ++h) dot[h] = Fma({_mm512_cvtepi32_ps(sum[h])}, Mul(scale, Set1(queries.unit[head + h][g])), dot[h]);
    }
#pragma GCC unroll 4
    for (int h = 0; h < kTileHeads; ++h) {
      if (head + h >= args.heads) break;
      const Lanes positive = Max(Zero(), RoundAs(dot[h], args.rounding));
      score = Add(score, RoundAs(Mul(positive, Set1(args.weight[head + h])), args.rounding));
    }
  }
  return RoundAs(score, args.rounding);
}

/// Whether this call is one of packed keys and queries that fit.
[[gnu::always_inline]] inline bool ScoredByBytes(const IndexScoreArgs& args, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  if (args.layout.format != RowFormat::kPacked || args.layout.dim != kDim || args.heads > kMostHeads || args.count <= 0) return false;
  IndexQueries queries;
  if (!PackQueries(args, queries) || queries.span > kScaleSpan) return false;
  IndexKeys keys;
  for (std::int64_t first = 0; first < args.count; first += kLanes) {
    const std::int64_t count = args.count - first < kLanes ? args.count - first : kLanes;
    if (!UnpackKeys(args, first, queries.span, keys)) {
      IndexScoreArgs rest = args;
      rest.first += first;
      rest.count = count;
      rest.score += first;
      below(rest);
      continue;
    }
    const Lanes score = ScoreKeys(args, queries, keys);
    if (count == kLanes) {
      Store(args.score + first, score);
    } else {
      StorePart(args.score + first, score, count);
    }
  }
  return true;
}

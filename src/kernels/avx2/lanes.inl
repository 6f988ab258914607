// Sixteen fp32 numbers in two registers. Included inside an unnamed namespace, so nothing here is seen by another object file.
// The names and the bits are those of avx512/lanes.inl; the contracts are written there.

struct Lanes { __m256 low, high; };
struct Ints { __m256i low, high; };
struct Mask { __m256 low, high; };

inline constexpr std::int64_t kLanes = 16;

// Register blocks that fit 16 registers.
inline constexpr int kLinearOutputs = 2, kLinearRows = 3;
inline constexpr int kStreamOutputs[4] = {4, 2, 1, 1};
inline constexpr int kScoreHeads = 2, kScoreRows = 2;
inline constexpr int kValueHeads = 2, kValueLanes = 2;
inline constexpr int kIndexHeads = 4;
inline constexpr int kPeakSums = 6;

[[gnu::always_inline]] inline __m256i FirstEight(std::int64_t count) noexcept {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

[[gnu::always_inline]] inline Lanes Zero() noexcept { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
[[gnu::always_inline]] inline Lanes Set1(float x) noexcept { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
[[gnu::always_inline]] inline Ints SetInts(int x) noexcept { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
[[gnu::always_inline]] inline Lanes Load(const float* p) noexcept { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
[[gnu::always_inline]] inline Ints LoadInts(const void* p) noexcept {
  const auto* q = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
[[gnu::always_inline]] inline void Store(float* p, Lanes a) noexcept {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
[[gnu::always_inline]] inline Lanes LoadPart(const float* p, std::int64_t count) noexcept {
  return {_mm256_maskload_ps(p, FirstEight(count)), count > 8 ? _mm256_maskload_ps(p + 8, FirstEight(count - 8)) : _mm256_setzero_ps()};
}
[[gnu::always_inline]] inline void StorePart(float* p, Lanes a, std::int64_t count) noexcept {
  _mm256_maskstore_ps(p, FirstEight(count), a.low);
  if (count > 8) _mm256_maskstore_ps(p + 8, FirstEight(count - 8), a.high);
}
[[gnu::always_inline]] inline Lanes LoadTwice(const float* p) noexcept {
  const __m256 eight = _mm256_loadu_ps(p);
  const __m256i first = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3), last = _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7);
  return {_mm256_permutevar8x32_ps(eight, first), _mm256_permutevar8x32_ps(eight, last)};
}

[[gnu::always_inline]] inline Lanes Add(Lanes a, Lanes b) noexcept { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
[[gnu::always_inline]] inline Lanes Sub(Lanes a, Lanes b) noexcept { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
[[gnu::always_inline]] inline Lanes Mul(Lanes a, Lanes b) noexcept { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
[[gnu::always_inline]] inline Lanes Div(Lanes a, Lanes b) noexcept { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
[[gnu::always_inline]] inline Lanes Sqrt(Lanes a) noexcept { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
[[gnu::always_inline]] inline Lanes Fma(Lanes a, Lanes b, Lanes c) noexcept {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
[[gnu::always_inline]] inline Lanes Max(Lanes a, Lanes b) noexcept { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
[[gnu::always_inline]] inline Lanes Min(Lanes a, Lanes b) noexcept { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
[[gnu::always_inline]] inline Lanes Nearest(Lanes a) noexcept {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.low, kMode), _mm256_round_ps(a.high, kMode)};
}

[[gnu::always_inline]] inline Ints Bits(Lanes a) noexcept { return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)}; }
[[gnu::always_inline]] inline Lanes FromBits(Ints a) noexcept { return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)}; }
[[gnu::always_inline]] inline Ints ToInts(Lanes a) noexcept { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }
[[gnu::always_inline]] inline Ints AddInts(Ints a, Ints b) noexcept { return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)}; }
[[gnu::always_inline]] inline Ints SubInts(Ints a, Ints b) noexcept { return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)}; }
[[gnu::always_inline]] inline Ints And(Ints a, Ints b) noexcept { return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)}; }
[[gnu::always_inline]] inline Ints Or(Ints a, Ints b) noexcept { return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)}; }
[[gnu::always_inline]] inline Ints Xor(Ints a, Ints b) noexcept { return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)}; }
template <int kBits> [[gnu::always_inline]] inline Ints ShiftLeft(Ints a) noexcept {
  return {_mm256_slli_epi32(a.low, kBits), _mm256_slli_epi32(a.high, kBits)};
}
template <int kBits> [[gnu::always_inline]] inline Ints ShiftRight(Ints a) noexcept {
  return {_mm256_srli_epi32(a.low, kBits), _mm256_srli_epi32(a.high, kBits)};
}
template <int kBits> [[gnu::always_inline]] inline Ints ShiftSigned(Ints a) noexcept {
  return {_mm256_srai_epi32(a.low, kBits), _mm256_srai_epi32(a.high, kBits)};
}

[[gnu::always_inline]] inline Mask Less(Lanes a, Lanes b) noexcept {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)};
}
[[gnu::always_inline]] inline Mask IsNan(Lanes a) noexcept { return {_mm256_cmp_ps(a.low, a.low, _CMP_UNORD_Q), _mm256_cmp_ps(a.high, a.high, _CMP_UNORD_Q)}; }
[[gnu::always_inline]] inline Lanes Select(Mask m, Lanes yes, Lanes no) noexcept {
  return {_mm256_blendv_ps(no.low, yes.low, m.low), _mm256_blendv_ps(no.high, yes.high, m.high)};
}
[[gnu::always_inline]] inline Ints SelectInts(Mask m, Ints yes, Ints no) noexcept { return Bits(Select(m, FromBits(yes), FromBits(no))); }

template <int kDistance> [[gnu::always_inline]] inline Lanes Swap(Lanes a) noexcept {
  if constexpr (kDistance == 1) return {_mm256_permute_ps(a.low, 0xB1), _mm256_permute_ps(a.high, 0xB1)};
  if constexpr (kDistance == 2) return {_mm256_permute_ps(a.low, 0x4E), _mm256_permute_ps(a.high, 0x4E)};
  if constexpr (kDistance == 4) return {_mm256_permute2f128_ps(a.low, a.low, 1), _mm256_permute2f128_ps(a.high, a.high, 1)};
  return {a.high, a.low};
}

template <int kLane> [[gnu::always_inline]] inline Lanes InQuarters(Lanes a) noexcept {
  return {_mm256_permute_ps(a.low, 0x55 * kLane), _mm256_permute_ps(a.high, 0x55 * kLane)};
}
template <int kQuarter> [[gnu::always_inline]] inline Lanes Quarter(Lanes a) noexcept {
  const __m256 half = kQuarter < 2 ? a.low : a.high;
  const __m256 quarter = _mm256_permute2f128_ps(half, half, 0x11 * (kQuarter % 2));
  return {quarter, quarter};
}

[[gnu::always_inline]] inline float Sum(Lanes a) noexcept {
  const __m256 eight = _mm256_add_ps(a.low, a.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/// Sum of each of eight: those of a[i], then those of b[i].
[[gnu::always_inline]] inline __m256 SumEight(const Lanes* a, const Lanes* b) noexcept {
  __m256 fours[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m256 p = _mm256_add_ps(a[i].low, a[i].high), q = _mm256_add_ps(b[i].low, b[i].high);
    fours[i] = _mm256_add_ps(_mm256_permute2f128_ps(p, q, 0x20), _mm256_permute2f128_ps(p, q, 0x31));
  }
  const __m256 r = _mm256_add_ps(_mm256_shuffle_ps(fours[0], fours[1], 0x44), _mm256_shuffle_ps(fours[0], fours[1], 0xEE));
  const __m256 s = _mm256_add_ps(_mm256_shuffle_ps(fours[2], fours[3], 0x44), _mm256_shuffle_ps(fours[2], fours[3], 0xEE));
  return _mm256_add_ps(_mm256_shuffle_ps(r, s, 0x88), _mm256_shuffle_ps(r, s, 0xDD));
}
[[gnu::always_inline]] inline Lanes SumEach(const Lanes (&a)[16]) noexcept { return {SumEight(a, a + 4), SumEight(a + 8, a + 12)}; }
[[gnu::always_inline]] inline float Largest(Lanes a) noexcept {
  const __m256 eight = _mm256_max_ps(a.low, a.high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

[[gnu::always_inline]] inline __m256 RoundEight(__m256 a) noexcept {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i number = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_ORD_Q));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_and_si256(number, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))));
  return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
}
[[gnu::always_inline]] inline Lanes RoundBf16(Lanes a) noexcept { return {RoundEight(a.low), RoundEight(a.high)}; }

[[gnu::always_inline]] inline Lanes LoadFloats(const std::byte* p) noexcept {
  return {_mm256_loadu_ps(reinterpret_cast<const float*>(p)), _mm256_loadu_ps(reinterpret_cast<const float*>(p + 32))};
}
[[gnu::always_inline]] inline __m256 EightBf16(const std::byte* p) noexcept {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}
[[gnu::always_inline]] inline Lanes LoadBf16(const std::byte* p) noexcept { return {EightBf16(p), EightBf16(p + 16)}; }
[[gnu::always_inline]] inline Lanes LoadE4m3(const std::byte* p) noexcept {
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i half = _mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16(static_cast<short>(0xBF80)));
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(half)), _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1))};
}
[[gnu::always_inline]] inline __m256 EightE2m1(__m256i codes, __m256 scale) noexcept {
  const __m256 magnitude = _mm256_permutevar8x32_ps(_mm256_mul_ps(_mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f), scale), codes);
  const __m256i sign = _mm256_and_si256(_mm256_slli_epi32(codes, 28), _mm256_set1_epi32(static_cast<int>(0x80000000u)));
  return _mm256_or_ps(magnitude, _mm256_castsi256_ps(sign));
}
[[gnu::always_inline]] inline Lanes FromE2m1(Ints codes) noexcept {
  const __m256 one = _mm256_set1_ps(1.0f);
  return {EightE2m1(codes.low, one), EightE2m1(codes.high, one)};
}
[[gnu::always_inline]] inline void LoadE2m1(const std::byte* p, float scale, Lanes (&w)[2]) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m256i low = _mm256_cvtepu8_epi32(bytes), high = _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes));
  const __m256 factor = _mm256_set1_ps(scale);
  w[0] = {EightE2m1(low, factor), EightE2m1(high, factor)};
  w[1] = {EightE2m1(_mm256_srli_epi32(low, 4), factor), EightE2m1(_mm256_srli_epi32(high, 4), factor)};
}
[[gnu::always_inline]] inline __m256 Every2nd(__m256 a, __m256 b, bool odd) noexcept {
  const __m256 mixed = odd ? _mm256_shuffle_ps(a, b, 0xDD) : _mm256_shuffle_ps(a, b, 0x88);
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xD8));
}
[[gnu::always_inline]] inline void Separate(Lanes (&x)[2]) noexcept {
  const Lanes even = {Every2nd(x[0].low, x[0].high, false), Every2nd(x[1].low, x[1].high, false)};
  x[1] = {Every2nd(x[0].low, x[0].high, true), Every2nd(x[1].low, x[1].high, true)};
  x[0] = even;
}

[[gnu::always_inline]] inline void StoreBytes(std::byte* p, Ints a) noexcept {
  const __m256i low_byte = _mm256_set1_epi32(0xFF);
  // packs works within 128-bit halves: the words come out as low 0-3, high 0-3, low 4-7, high 4-7.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_and_si256(a.low, low_byte), _mm256_and_si256(a.high, low_byte)), 0xD8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}
[[gnu::always_inline]] inline void StoreBf16(std::byte* p, Lanes a) noexcept {
  const __m256i low = _mm256_srli_epi32(_mm256_castps_si256(a.low), 16), high = _mm256_srli_epi32(_mm256_castps_si256(a.high), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8));
}

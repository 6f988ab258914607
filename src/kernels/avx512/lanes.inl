// Sixteen fp32 numbers in one register. Included inside an unnamed namespace, so nothing here is seen by another object file.
// The names are those of avx2/lanes.inl, and every operation gives the same bits there: all of it is IEEE arithmetic per lane, and the
// two reductions have one tree order. So the bodies of kernels/wide/ give the same bits on both instruction sets.

struct Lanes { __m512 v; };
struct Ints { __m512i v; };
struct Mask { __mmask16 v; };

inline constexpr std::int64_t kLanes = 16;

// Register blocks that fit 32 registers.
inline constexpr int kLinearOutputs = 4, kLinearRows = 6;   // many rows
inline constexpr int kStreamOutputs[4] = {8, 8, 4, 4};      // 1, 2, 3, 4 rows
inline constexpr int kScoreHeads = 4, kScoreRows = 4;       // query heads × cached rows
inline constexpr int kValueHeads = 4, kValueLanes = 4;      // query heads × vectors of channels
inline constexpr int kIndexHeads = 8;
inline constexpr int kPeakSums = 12;

[[gnu::always_inline]] inline __mmask16 FirstLanes(std::int64_t count) noexcept { return static_cast<__mmask16>((1u << count) - 1u); }

[[gnu::always_inline]] inline Lanes Zero() noexcept { return {_mm512_setzero_ps()}; }
[[gnu::always_inline]] inline Lanes Set1(float x) noexcept { return {_mm512_set1_ps(x)}; }
[[gnu::always_inline]] inline Ints SetInts(int x) noexcept { return {_mm512_set1_epi32(x)}; }
[[gnu::always_inline]] inline Lanes Load(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
[[gnu::always_inline]] inline Ints LoadInts(const void* p) noexcept { return {_mm512_loadu_si512(p)}; }
[[gnu::always_inline]] inline void Store(float* p, Lanes a) noexcept { _mm512_storeu_ps(p, a.v); }
/// The first `count` (< 16) lanes; the others are zero and their memory is not touched.
[[gnu::always_inline]] inline Lanes LoadPart(const float* p, std::int64_t count) noexcept { return {_mm512_maskz_loadu_ps(FirstLanes(count), p)}; }
[[gnu::always_inline]] inline void StorePart(float* p, Lanes a, std::int64_t count) noexcept { _mm512_mask_storeu_ps(p, FirstLanes(count), a.v); }
/// Eight numbers, each twice: p0 p0 p1 p1 …
[[gnu::always_inline]] inline Lanes LoadTwice(const float* p) noexcept {
  const __m512i order = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  return {_mm512_permutexvar_ps(order, _mm512_castps256_ps512(_mm256_loadu_ps(p)))};
}

[[gnu::always_inline]] inline Lanes Add(Lanes a, Lanes b) noexcept { return {_mm512_add_ps(a.v, b.v)}; }
[[gnu::always_inline]] inline Lanes Sub(Lanes a, Lanes b) noexcept { return {_mm512_sub_ps(a.v, b.v)}; }
[[gnu::always_inline]] inline Lanes Mul(Lanes a, Lanes b) noexcept { return {_mm512_mul_ps(a.v, b.v)}; }
[[gnu::always_inline]] inline Lanes Div(Lanes a, Lanes b) noexcept { return {_mm512_div_ps(a.v, b.v)}; }
[[gnu::always_inline]] inline Lanes Sqrt(Lanes a) noexcept { return {_mm512_sqrt_ps(a.v)}; }
/// a·b + c, rounded once.
[[gnu::always_inline]] inline Lanes Fma(Lanes a, Lanes b, Lanes c) noexcept { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// The second operand where either is NaN.
[[gnu::always_inline]] inline Lanes Max(Lanes a, Lanes b) noexcept { return {_mm512_max_ps(a.v, b.v)}; }
[[gnu::always_inline]] inline Lanes Min(Lanes a, Lanes b) noexcept { return {_mm512_min_ps(a.v, b.v)}; }
/// Nearest integer, ties to even.
[[gnu::always_inline]] inline Lanes Nearest(Lanes a) noexcept { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

[[gnu::always_inline]] inline Ints Bits(Lanes a) noexcept { return {_mm512_castps_si512(a.v)}; }
[[gnu::always_inline]] inline Lanes FromBits(Ints a) noexcept { return {_mm512_castsi512_ps(a.v)}; }
[[gnu::always_inline]] inline Ints ToInts(Lanes a) noexcept { return {_mm512_cvtps_epi32(a.v)}; }
[[gnu::always_inline]] inline Ints AddInts(Ints a, Ints b) noexcept { return {_mm512_add_epi32(a.v, b.v)}; }
[[gnu::always_inline]] inline Ints SubInts(Ints a, Ints b) noexcept { return {_mm512_sub_epi32(a.v, b.v)}; }
[[gnu::always_inline]] inline Ints And(Ints a, Ints b) noexcept { return {_mm512_and_si512(a.v, b.v)}; }
[[gnu::always_inline]] inline Ints Or(Ints a, Ints b) noexcept { return {_mm512_or_si512(a.v, b.v)}; }
[[gnu::always_inline]] inline Ints Xor(Ints a, Ints b) noexcept { return {_mm512_xor_si512(a.v, b.v)}; }
template <int kBits> [[gnu::always_inline]] inline Ints ShiftLeft(Ints a) noexcept { return {_mm512_slli_epi32(a.v, kBits)}; }
template <int kBits> [[gnu::always_inline]] inline Ints ShiftRight(Ints a) noexcept { return {_mm512_srli_epi32(a.v, kBits)}; }
template <int kBits> [[gnu::always_inline]] inline Ints ShiftSigned(Ints a) noexcept { return {_mm512_srai_epi32(a.v, kBits)}; }

[[gnu::always_inline]] inline Mask Less(Lanes a, Lanes b) noexcept { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
[[gnu::always_inline]] inline Mask IsNan(Lanes a) noexcept { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
[[gnu::always_inline]] inline Lanes Select(Mask m, Lanes yes, Lanes no) noexcept { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }
[[gnu::always_inline]] inline Ints SelectInts(Mask m, Ints yes, Ints no) noexcept { return {_mm512_mask_blend_epi32(m.v, no.v, yes.v)}; }

/// Lane i of the result is lane i xor kDistance.
template <int kDistance> [[gnu::always_inline]] inline Lanes Swap(Lanes a) noexcept {
  if constexpr (kDistance == 1) return {_mm512_permute_ps(a.v, 0xB1)};
  if constexpr (kDistance == 2) return {_mm512_permute_ps(a.v, 0x4E)};
  if constexpr (kDistance == 4) return {_mm512_shuffle_f32x4(a.v, a.v, 0xB1)};
  return {_mm512_shuffle_f32x4(a.v, a.v, 0x4E)};
}

/// Lane 4c + i of the result is lane 4c + kLane; lane 4·kQuarter + i.
template <int kLane> [[gnu::always_inline]] inline Lanes InQuarters(Lanes a) noexcept { return {_mm512_permute_ps(a.v, 0x55 * kLane)}; }
template <int kQuarter> [[gnu::always_inline]] inline Lanes Quarter(Lanes a) noexcept { return {_mm512_shuffle_f32x4(a.v, a.v, 0x55 * kQuarter)}; }

/// The halves added, then their halves, down to one number.
[[gnu::always_inline]] inline float Sum(Lanes a) noexcept {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/// The sums of a's halves, then those of b's: of eights, fours, twos or pairs of lanes. A half that is in its place is blended in, as only one
/// port shuffles.
template <int kHalf> [[gnu::always_inline]] inline __m512 AddHalves(__m512 a, __m512 b) noexcept {
  if constexpr (kHalf == 8) return _mm512_add_ps(_mm512_mask_blend_ps(0xFF00, a, b), _mm512_shuffle_f32x4(a, b, 0x4E));
  if constexpr (kHalf == 4) return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
  if constexpr (kHalf == 2) return _mm512_add_ps(_mm512_mask_blend_ps(0xCCCC, a, b), _mm512_shuffle_ps(a, b, 0x4E));
  return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}
/// In quarter i, four numbers that are left of a sum of the lanes of the i-th vector.
[[gnu::always_inline]] inline Lanes SumToFours(Lanes a, Lanes b, Lanes c, Lanes d) noexcept {
  return {AddHalves<4>(AddHalves<8>(a.v, b.v), AddHalves<8>(c.v, d.v))};
}
/// Lane 4i + j is what is left of quarter i of fours[j].
[[gnu::always_inline]] inline Lanes SumFours(const Lanes (&fours)[4]) noexcept {
  return {AddHalves<1>(AddHalves<2>(fours[0].v, fours[1].v), AddHalves<2>(fours[2].v, fours[3].v))};
}
/// Lane i is Sum(a[i]): the same pairs added.
[[gnu::always_inline]] inline Lanes SumEach(const Lanes (&a)[16]) noexcept {
  Lanes fours[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) fours[i] = SumToFours(a[i], a[4 + i], a[8 + i], a[12 + i]);
  return SumFours(fours);
}
[[gnu::always_inline]] inline float Largest(Lanes a) noexcept {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/// Nearest bf16 values, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline Lanes RoundBf16(Lanes a) noexcept {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __mmask16 number = _mm512_cmp_ps_mask(a.v, a.v, _CMP_ORD_Q);
  const __m512i rounded = _mm512_mask_add_epi32(bits, number, bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  return {_mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))))};
}

/// Sixteen fp32 at any address.
[[gnu::always_inline]] inline Lanes LoadFloats(const std::byte* p) noexcept { return {_mm512_loadu_ps(p)}; }
/// Sixteen bf16 as numbers.
[[gnu::always_inline]] inline Lanes LoadBf16(const std::byte* p) noexcept {
  const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(codes), 16))};
}
/// Sixteen e4m3 codes as numbers times 2^-8: as fp16 a code shifted by 7 is the value times 2^-8, subnormals and zeros included.
[[gnu::always_inline]] inline Lanes LoadE4m3(const std::byte* p) noexcept {
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i half = _mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16(static_cast<short>(0xBF80)));
  return {_mm512_cvtph_ps(half)};
}
/// The values of the e2m1 codes in the low four bits of each lane; the other bits are ignored.
[[gnu::always_inline]] inline Lanes FromE2m1(Ints codes) noexcept {
  const __m512 values = _mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f);
  return {_mm512_permutexvar_ps(codes.v, values)};
}
/// 32 e2m1 codes, low nibbles first, times `scale`, which must not make them subnormal or infinite: the even ones, then the odd ones.
[[gnu::always_inline]] inline void LoadE2m1(const std::byte* p, float scale, Lanes (&w)[2]) noexcept {
  const __m512i codes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m512 values = _mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f);
  const __m512 scaled = _mm512_mul_ps(values, _mm512_set1_ps(scale));
  w[0].v = _mm512_permutexvar_ps(codes, scaled);
  w[1].v = _mm512_permutexvar_ps(_mm512_srli_epi32(codes, 4), scaled);
}
/// 32 numbers in order to the even ones, then the odd ones.
[[gnu::always_inline]] inline void Separate(Lanes (&x)[2]) noexcept {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512 first = x[0].v;
  x[0].v = _mm512_permutex2var_ps(first, even, x[1].v);
  x[1].v = _mm512_permutex2var_ps(first, _mm512_or_si512(even, _mm512_set1_epi32(1)), x[1].v);
}

/// The low bytes of the lanes.
[[gnu::always_inline]] inline void StoreBytes(std::byte* p, Ints a) noexcept { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v)); }
/// The high halves of the lanes: bf16 codes of numbers that are rounded already.
[[gnu::always_inline]] inline void StoreBf16(std::byte* p, Lanes a) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(a.v), 16)));
}

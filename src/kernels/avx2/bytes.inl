// Thirty-two bytes in one register and their dot products. Included inside an unnamed namespace after avx2/lanes.inl. The names are those of
// avx512_vnni/bytes.inl; the contracts are written there.

struct Bytes { __m256i v; };
struct ByteSums { __m256i v; };

inline constexpr std::int64_t kByteColumns = 32;
inline constexpr int kByteTileRows = 2, kByteTileOutputs = 4, kByteTileSums = 8;
inline constexpr int kWeightOffset = 0;
inline constexpr std::uint8_t kLeftOut = 64;

[[gnu::always_inline]] inline ByteSums NoByteSums() noexcept { return {_mm256_setzero_si256()}; }
[[gnu::always_inline]] inline Bytes LoadBytes(const void* p) noexcept { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
[[gnu::always_inline]] inline void StoreByteColumns(void* p, Bytes a) noexcept { _mm256_storeu_si256(static_cast<__m256i*>(p), a.v); }
/// One operand must be unsigned: the weights' signs go to x. Two products, of at most 128 · 127 each, fit 16 bits.
[[gnu::always_inline]] inline ByteSums DotBytes(Bytes weight, Bytes x, ByteSums sums) noexcept {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weight.v), _mm256_sign_epi8(x.v, weight.v));
  return {_mm256_add_epi32(sums.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}
[[gnu::always_inline]] inline Bytes Int8Weights(const std::byte* p) noexcept { return LoadBytes(p); }

struct ShiftedE2m1 {
  alignas(16) std::int8_t byte[5][16];  // the last: what is left out
};
constexpr ShiftedE2m1 MakeShiftedE2m1() noexcept {
  constexpr int kTwice[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  ShiftedE2m1 table{};
  for (int i = 0; i < 64; ++i) {
    const int value = kTwice[i % 8] << (i / 16);
    table.byte[i / 16][i % 16] = static_cast<std::int8_t>(i % 16 < 8 ? value : -value);
  }
  return table;
}
inline constexpr ShiftedE2m1 kShiftedE2m1 = MakeShiftedE2m1();

template <bool kAll>
[[gnu::always_inline]] inline Bytes Fp4Weights(const std::byte* p, const std::uint8_t* shifts, std::int64_t step) noexcept {
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), low_bits = _mm_set1_epi8(0x0F);
  const __m128i low = _mm_and_si128(codes, low_bits), high = _mm_and_si128(_mm_srli_epi16(codes, 4), low_bits);
  const __m256i nibbles = _mm256_set_m128i(_mm_unpackhi_epi8(low, high), _mm_unpacklo_epi8(low, high));
  const __m128i values = _mm_load_si128(reinterpret_cast<const __m128i*>(kShiftedE2m1.byte[0] + shifts[step]));
  return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), nibbles)};
}

[[gnu::always_inline]] inline Ints SumEachBytes(const ByteSums (&a)[kByteTileSums]) noexcept {
  const __m256i first = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0].v, a[1].v), _mm256_hadd_epi32(a[2].v, a[3].v));
  const __m256i second = _mm256_hadd_epi32(_mm256_hadd_epi32(a[4].v, a[5].v), _mm256_hadd_epi32(a[6].v, a[7].v));
  return {_mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20), _mm256_permute2x128_si256(first, second, 0x31)), _mm256_setzero_si256()};
}
[[gnu::always_inline]] inline Lanes ToFloats(Ints a) noexcept { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
[[gnu::always_inline]] inline std::int32_t SumBytes(ByteSums) noexcept { return 0; }  // no offset, nothing to correct

template <int kRows> [[gnu::always_inline]] inline Lanes ForRowsOf(const float* p) noexcept {
  const __m256i order = _mm256_setr_epi32(0, 1 / kRows, 2 / kRows, 3 / kRows, 4 / kRows, 5 / kRows, 6 / kRows, 7 / kRows);
  return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), order), _mm256_setzero_ps()};
}

// Thirty-two bytes in one register and their dot products. Included inside an unnamed namespace after avx2/lanes.inl. The names are those of
// avx512_vnni/bytes.inl; the contracts are written there.

struct Bytes { __m256i v; };
struct ByteSums { __m256i v; };

inline constexpr std::int64_t kByteColumns = 32;
inline constexpr int kByteTileRows = 2, kByteTileOutputs = 4, kByteTileSums = 8;
inline constexpr int kMostFewRows = 2, kMostTileRows = 4, kPanelGroups = 1;
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
[[gnu::always_inline]] inline Ints DotWords(Ints weight, Ints x, Ints sums) noexcept {
  return {DotBytes({weight.low}, {x.low}, {sums.low}).v, DotBytes({weight.high}, {x.high}, {sums.high}).v};
}

/// Eight vectors of eight 32-bit numbers, rows to columns.
[[gnu::always_inline]] inline void TransposeWords(__m256i (&v)[8]) noexcept {
  __m256i pairs[8], fours[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    pairs[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    pairs[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    fours[4 * i] = _mm256_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
    fours[4 * i + 1] = _mm256_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
    fours[4 * i + 2] = _mm256_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    fours[4 * i + 3] = _mm256_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x20);
    v[i + 4] = _mm256_permute2x128_si256(fours[i], fours[i + 4], 0x31);
  }
}
[[gnu::always_inline]] inline void Interleave(Bytes (&w)[2]) noexcept {
  const __m256i even = w[0].v, odd = w[1].v;
  w[0].v = _mm256_unpacklo_epi8(even, odd);
  w[1].v = _mm256_unpackhi_epi8(even, odd);
}
template <bool kInterleaved>
[[gnu::always_inline]] inline void TurnWords(const std::uint8_t* lines, std::uint8_t (*words)[64]) noexcept {
  for (int quarter = 0; quarter < 4; ++quarter) {
    const int outputs = quarter / 2 * 8, half = quarter % 2;
    __m256i v[8];
#pragma GCC unroll 8
    for (int o = 0; o < 8; ++o) v[o] = _mm256_load_si256(reinterpret_cast<const __m256i*>(lines + (outputs + o) * kByteGroup + half * kByteColumns));
    TransposeWords(v);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(words[kInterleaved ? i / 4 * 8 + half * 4 + i % 4 : half * 8 + i] + outputs * 4), v[i]);
    }
  }
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

template <bool kPlain>
[[gnu::always_inline]] inline void Fp4Weights(const std::byte* p, const std::uint8_t* shifts, Bytes (&w)[2]) noexcept {
  const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), nibble = _mm256_set1_epi8(0x0F);
  const auto of_group = [&](int group) __attribute__((always_inline)) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(kShiftedE2m1.byte[0] + shifts[group]));
  };
  const __m256i values = _mm256_set_m128i(of_group(1), of_group(0));
  w[0].v = _mm256_shuffle_epi8(values, _mm256_and_si256(codes, nibble));
  w[1].v = _mm256_shuffle_epi8(values, _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble));
}
[[gnu::always_inline]] inline void SeparateBytes(std::int8_t* x) noexcept {
  const __m256i apart = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
  const auto halves = [&](const std::int8_t* from) __attribute__((always_inline)) {
    return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), apart), 0xD8);
  };
  const __m256i first = halves(x), second = halves(x + 32);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(x), _mm256_permute2x128_si256(first, second, 0x20));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(x + 32), _mm256_permute2x128_si256(first, second, 0x31));
}

inline constexpr int kScaleRows = 2;
struct ScaleBounds { __m256i least, most, spread; };
[[gnu::always_inline]] inline ScaleBounds NoScaleBounds() noexcept { return {_mm256_set1_epi8(-1), _mm256_setzero_si256(), _mm256_setzero_si256()}; }
[[gnu::always_inline]] inline bool AnyAbove(__m256i a, int bound) noexcept {
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(a, _mm256_set1_epi8(static_cast<char>(bound + 1))), a)) != 0;
}
[[gnu::always_inline]] inline bool AnyBelow(__m256i a, int bound) noexcept {
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(a, _mm256_set1_epi8(static_cast<char>(bound - 1))), a)) != 0;
}
[[gnu::always_inline]] inline void FoldScaleRows(const std::uint8_t* const (&rows)[kScaleRows], std::uint8_t* shifts, float* weight_scale, ScaleBounds& bounds) noexcept {
  const auto row = [&](int i) __attribute__((always_inline)) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i])); };
  const __m256i codes = _mm256_set_m128i(row(1), row(0));
  __m256i least = _mm256_min_epu8(codes, _mm256_shuffle_epi32(codes, 0x4E));
  least = _mm256_min_epu8(least, _mm256_shuffle_epi32(least, 0xB1));
  least = _mm256_min_epu8(least, _mm256_or_si256(_mm256_slli_epi32(least, 16), _mm256_srli_epi32(least, 16)));
  least = _mm256_min_epu8(least, _mm256_or_si256(_mm256_slli_epi32(least, 8), _mm256_srli_epi32(least, 24)));
  const __m256i shift = _mm256_sub_epi8(codes, least);
  bounds = {_mm256_min_epu8(bounds.least, least), _mm256_max_epu8(bounds.most, least), _mm256_max_epu8(bounds.spread, shift)};
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(shifts), _mm256_slli_epi16(shift, 4));
  const __m256i half = _mm256_slli_epi32(_mm256_sub_epi32(_mm256_and_si256(least, _mm256_set1_epi32(0xFF)), _mm256_set1_epi32(1)), 23);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(weight_scale), _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(half, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4))));
}

inline constexpr auto kFp8Table = MakeFp8Table<0>();

/// A row of the table is four look-ups of sixteen, between which the index's two upper bits choose.
template <bool kPlain>
[[gnu::always_inline]] inline Bytes Fp8Weights(const std::byte* p, const std::uint8_t* shift) noexcept {
  static_assert(kFp8Window == 64);
  const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), begin = _mm256_set1_epi8(static_cast<char>(shift[0]));
  const __m256i index = _mm256_subs_epu8(_mm256_and_si256(codes, _mm256_set1_epi8(0x7F)), begin);
  const auto found = [&](int i) __attribute__((always_inline)) {
    const __m128i values = _mm_load_si128(reinterpret_cast<const __m128i*>(kFp8Table.byte[kPlain ? kPlainFp8Top : shift[1]] + 16 * i));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), index);
  };
  const __m256i odd = _mm256_slli_epi16(index, 3), upper = _mm256_slli_epi16(index, 2);  // bits 4 and 5 as signs
  const __m256i weights = _mm256_blendv_epi8(_mm256_blendv_epi8(found(0), found(1), odd), _mm256_blendv_epi8(found(2), found(3), odd), upper);
  return {_mm256_sign_epi8(weights, _mm256_or_si256(codes, _mm256_set1_epi8(1)))};
}

inline constexpr std::int64_t kFp8Fold = 1;

/// The largest magnitude code of `columns` codes, 0 where there are none.
[[gnu::always_inline]] inline std::int32_t LargestFp8Code(const std::uint8_t* p, std::int64_t columns) noexcept {
  alignas(32) std::uint8_t rest[128] = {};
  if (columns < 128) {
    if (columns > 0) __builtin_memcpy(rest, p, static_cast<std::size_t>(columns));
    p = rest;
  }
  const auto at = [&](int i) __attribute__((always_inline)) {
    return _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * i)), _mm256_set1_epi8(0x7F));
  };
  const __m256i all = _mm256_max_epu8(_mm256_max_epu8(at(0), at(1)), _mm256_max_epu8(at(2), at(3)));
  const __m128i bytes = _mm_max_epu8(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)), inverse = _mm_xor_si128(bytes, _mm_set1_epi8(-1));
  return 255 - _mm_extract_epi16(_mm_minpos_epu16(_mm_min_epu8(inverse, _mm_srli_epi16(inverse, 8))), 0);
}

[[gnu::always_inline]] inline Folded FoldFp8Rows(const std::uint8_t* const (&rows)[kFp8Fold], const std::uint8_t* const (&scales)[kFp8Fold], std::int64_t columns,
                                               std::uint8_t (*shift)[4 * kFp8Blocks], float* weight_scale) noexcept {
  alignas(16) std::int32_t largest[kFp8Blocks];
  for (std::int64_t b = 0; b < kFp8Blocks; ++b) largest[b] = LargestFp8Code(rows[0] + 128 * b, columns - 128 * b);
  const __m128i scale = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(Fp8ScaleCodes(scales[0], columns))), code = _mm_load_si128(reinterpret_cast<const __m128i*>(largest));
  const __m128i sum = _mm_add_epi32(_mm_max_epi32(_mm_srli_epi32(code, 3), _mm_set1_epi32(1)), scale);
  const __m128i pairs = _mm_max_epi32(sum, _mm_shuffle_epi32(sum, 0x4E)), top = _mm_max_epi32(pairs, _mm_shuffle_epi32(pairs, 0xB1));
  const __m128i relative = _mm_min_epi32(_mm_sub_epi32(top, scale), _mm_set1_epi32(kFp8Tops));
  const __m128i begin = _mm_max_epi32(_mm_sub_epi32(relative, _mm_set1_epi32(kFp8Reach)), _mm_setzero_si128());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(shift), _mm_or_si128(_mm_slli_epi32(begin, 3), _mm_slli_epi32(relative, 8)));
  const std::int32_t whole = _mm_cvtsi128_si32(top);
  *weight_scale = __builtin_bit_cast(float, static_cast<std::uint32_t>(whole - kFp8TopBias + 127) << 23);
  if (whole < kLeastFp8Top || whole > kMostFp8Top) return Folded::kNot;
  return _mm_movemask_epi8(_mm_cmplt_epi32(relative, _mm_set1_epi32(kPlainFp8Top))) == 0 ? Folded::kPlain : Folded::kByTable;
}

[[gnu::always_inline]] inline ByteSums SumFour(const ByteSums* a) noexcept {
  return {_mm256_hadd_epi32(_mm256_hadd_epi32(a[0].v, a[1].v), _mm256_hadd_epi32(a[2].v, a[3].v))};
}
[[gnu::always_inline]] inline Ints JoinFours(const ByteSums (&fours)[kByteTileSums / 4]) noexcept {
  const __m256i a = fours[0].v, b = fours[1].v;
  return {_mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)), _mm256_setzero_si256()};
}
[[gnu::always_inline]] inline Lanes ToFloats(Ints a) noexcept { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
[[gnu::always_inline]] inline std::int32_t SumBytes(ByteSums) noexcept { return 0; }  // no offset, nothing to correct

template <int kRows> [[gnu::always_inline]] inline Lanes ForRowsOf(const float* p) noexcept {
  const __m256i order = _mm256_setr_epi32(0, 1 / kRows, 2 / kRows, 3 / kRows, 4 / kRows, 5 / kRows, 6 / kRows, 7 / kRows);
  return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), order), _mm256_setzero_ps()};
}

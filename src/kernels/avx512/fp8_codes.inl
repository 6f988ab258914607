// kFp8 codes in registers of 64. Included inside an unnamed namespace after wide/fp8_fold.inl.

template <int kOffset>
inline constexpr auto kFp8Table = MakeFp8Table<kOffset>();

/// kOffset (0 or 128) + the whole numbers that `shift` (FoldFp8Rows) makes of 64 codes.
template <int kOffset, bool kPlain>
[[gnu::always_inline]] inline __m512i Fp8Wholes(const std::byte* p, const std::uint8_t* shift) noexcept {
  const __m512i codes = _mm512_loadu_si512(p), begin = _mm512_set1_epi8(static_cast<char>(shift[0]));
  const __m512i index = _mm512_subs_epu8(_mm512_and_si512(codes, _mm512_set1_epi8(0x7F)), begin);
  const __m512i wholes = _mm512_permutexvar_epi8(index, _mm512_load_si512(kFp8Table<kOffset>.byte[kPlain ? kPlainFp8Top : shift[1]]));
  return _mm512_mask_sub_epi8(wholes, _mm512_movepi8_mask(codes), _mm512_setzero_si512(), wholes);  // 128 + w becomes 128 − w, modulo 256
}

/// Rows that are folded together.
inline constexpr std::int64_t kFp8Fold = 4;

template <int kHalf> [[gnu::always_inline]] inline __m512i LargerHalves(__m512i a, __m512i b) noexcept {
  const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
  if constexpr (kHalf == 8) return _mm512_max_epu8(_mm512_mask_blend_epi32(0xFF00, a, b), _mm512_shuffle_i32x4(a, b, 0x4E));
  if constexpr (kHalf == 4) return _mm512_max_epu8(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
  if constexpr (kHalf == 2) return _mm512_max_epu8(_mm512_mask_blend_epi32(0xCCCC, a, b), _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x4E)));
  return _mm512_max_epu8(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)), _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
}

/// In lane 4·i + b, the largest magnitude code of rows[i][128·b …], of `columns`, kByteGroup at most; 0 where there is none.
[[gnu::always_inline]] inline __m512i LargestFp8Codes(const std::uint8_t* const (&rows)[kFp8Fold], std::int64_t columns) noexcept {
  const __m512i magnitude = _mm512_set1_epi8(0x7F);
  __m512i a[kFp8Fold * kFp8Blocks], fours[4];
#pragma GCC unroll 16
  for (std::int64_t i = 0; i < kFp8Fold * kFp8Blocks; ++i) {
    const std::uint8_t* p = rows[i / kFp8Blocks] + i % kFp8Blocks * 128;
    __m512i first, second;
    if (const std::int64_t left = columns - i % kFp8Blocks * 128; left >= 128) {
      first = _mm512_loadu_si512(p);
      second = _mm512_loadu_si512(p + 64);
    } else {
      first = _mm512_maskz_loadu_epi8(left >= 64 ? ~__mmask64{0} : left > 0 ? (__mmask64{1} << left) - 1 : 0, p);
      second = _mm512_maskz_loadu_epi8(left > 64 ? (__mmask64{1} << (left - 64)) - 1 : 0, p + 64);
    }
    a[i] = _mm512_max_epu8(_mm512_and_si512(first, magnitude), _mm512_and_si512(second, magnitude));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) fours[i] = LargerHalves<4>(LargerHalves<8>(a[i], a[4 + i]), LargerHalves<8>(a[8 + i], a[12 + i]));
  const __m512i words = LargerHalves<1>(LargerHalves<2>(fours[0], fours[1]), LargerHalves<2>(fours[2], fours[3]));
  const __m512i halves = _mm512_max_epu8(words, _mm512_srli_epi32(words, 16));
  return _mm512_and_si512(_mm512_max_epu8(halves, _mm512_srli_epi32(halves, 8)), _mm512_set1_epi32(0x7F));
}

/// Of four rows' group: shift[i] = for each block where its window begins (a byte), and its row of the table (a byte);
/// weight_scale[i] = what the whole numbers are multiplied with.
[[gnu::always_inline]] inline Folded FoldFp8Rows(const std::uint8_t* const (&rows)[kFp8Fold], const std::uint8_t* const (&scales)[kFp8Fold], std::int64_t columns,
                                               std::uint8_t (*shift)[4 * kFp8Blocks], float* weight_scale) noexcept {
  const __m512i code = columns == kByteGroup ? LargestFp8Codes(rows, kByteGroup) : LargestFp8Codes(rows, columns);
  const __m128i scale_codes = _mm_setr_epi32(Fp8ScaleCodes(scales[0], columns), Fp8ScaleCodes(scales[1], columns), Fp8ScaleCodes(scales[2], columns),
                                             Fp8ScaleCodes(scales[3], columns));
  const __m512i scale = _mm512_cvtepu8_epi32(scale_codes);
  const __m512i sum = _mm512_add_epi32(_mm512_max_epi32(_mm512_srli_epi32(code, 3), _mm512_set1_epi32(1)), scale);
  const __m512i pairs = _mm512_max_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC)), top = _mm512_max_epi32(pairs, _mm512_shuffle_epi32(pairs, _MM_PERM_CDAB));
  const __m512i relative = _mm512_min_epi32(_mm512_sub_epi32(top, scale), _mm512_set1_epi32(kFp8Tops));
  const __m512i begin = _mm512_max_epi32(_mm512_sub_epi32(relative, _mm512_set1_epi32(kFp8Reach)), _mm512_setzero_si512());
  _mm512_storeu_si512(shift, _mm512_or_si512(_mm512_slli_epi32(begin, 3), _mm512_slli_epi32(relative, 8)));
  const __m512i exponent = _mm512_slli_epi32(_mm512_sub_epi32(top, _mm512_set1_epi32(kFp8TopBias - 127)), 23);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(weight_scale), _mm512_castsi512_si128(_mm512_maskz_compress_epi32(0x1111, exponent)));
  const __m512i above = _mm512_sub_epi32(top, _mm512_set1_epi32(kLeastFp8Top));
  if (_mm512_cmpgt_epu32_mask(above, _mm512_set1_epi32(kMostFp8Top - kLeastFp8Top)) != 0) return Folded::kNot;
  return _mm512_cmplt_epi32_mask(relative, _mm512_set1_epi32(kPlainFp8Top)) == 0 ? Folded::kPlain : Folded::kByTable;
}

// Sixty-four bytes in one register and their dot products. Included inside an unnamed namespace after avx512/lanes.inl. The names are those of
// avx2/bytes.inl.

struct Bytes { __m512i v; };
struct ByteSums { __m512i v; };

inline constexpr std::int64_t kByteColumns = 64;  // of one register

// Register tile: its sums fill sixteen lanes.
inline constexpr int kByteTileRows = 4, kByteTileOutputs = 4, kByteTileSums = 16;

// So many rows are multiplied where weights are decoded; of more, so many are held in registers beside so many groups of sixteen outputs.
inline constexpr int kMostFewRows = 8, kMostTileRows = 8, kPanelGroups = 2;

// The instruction takes the weights as unsigned: they are held plus this.
inline constexpr int kWeightOffset = 128;

// Instead of a shift: the group belongs to another pass.
inline constexpr std::uint8_t kLeftOut = 64;

[[gnu::always_inline]] inline ByteSums NoByteSums() noexcept { return {_mm512_setzero_si512()}; }
[[gnu::always_inline]] inline Bytes LoadBytes(const void* p) noexcept { return {_mm512_loadu_si512(p)}; }
[[gnu::always_inline]] inline void StoreByteColumns(void* p, Bytes a) noexcept { _mm512_storeu_si512(p, a.v); }
/// sums[i] += Σ of the four products of lane i.
[[gnu::always_inline]] inline ByteSums DotBytes(Bytes weight, Bytes x, ByteSums sums) noexcept { return {_mm512_dpbusd_epi32(sums.v, weight.v, x.v)}; }

/// The same of words that stand in lanes.
[[gnu::always_inline]] inline Ints DotWords(Ints weight, Ints x, Ints sums) noexcept { return {_mm512_dpbusd_epi32(sums.v, weight.v, x.v)}; }

/// Of the even and the odd columns of a step: in every 128 bits their first eight of each by turns, and their last eight.
[[gnu::always_inline]] inline void Interleave(Bytes (&w)[2]) noexcept {
  const __m512i even = w[0].v, odd = w[1].v;
  w[0].v = _mm512_unpacklo_epi8(even, odd);
  w[1].v = _mm512_unpackhi_epi8(even, odd);
}
/// words[i] = word i of every line; lines are kByteGroup apart and of two registers, as they are or as Interleave leaves them.
template <bool kInterleaved>
[[gnu::always_inline]] inline void TurnWords(const std::uint8_t* lines, std::uint8_t (*words)[64]) noexcept {
  for (int half = 0; half < 2; ++half) {
    __m512i v[16];
#pragma GCC unroll 16
    for (int o = 0; o < 16; ++o) v[o] = _mm512_load_si512(lines + o * kByteGroup + half * kByteColumns);
    Transpose(v);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) _mm512_store_si512(words[kInterleaved ? i / 4 * 8 + half * 4 + i % 4 : half * 16 + i], v[i]);
  }
}

/// 64 whole numbers of a kInt8 row.
[[gnu::always_inline]] inline Bytes Int8Weights(const std::byte* p) noexcept {
  return {_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(0x80)))};
}

/// 128 e2m1 codes, twice their values shifted by their four groups' shifts (each times 16; kLeftOut, which there is not where kPlain: as if zero): the even columns and the odd ones.
template <bool kPlain>
[[gnu::always_inline]] inline void Fp4Weights(const std::byte* p, const std::uint8_t* shifts, Bytes (&w)[2]) noexcept {
  const __m512i quarters = _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202, 0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
  std::int32_t of_groups;
  __builtin_memcpy(&of_groups, shifts, sizeof(of_groups));
  const __m512i shift = _mm512_shuffle_epi8(_mm512_set1_epi32(of_groups), quarters), codes = _mm512_loadu_si512(p), nibble = _mm512_set1_epi8(0x0F);
  const __m512i even = _mm512_ternarylogic_epi32(codes, nibble, shift, 0xEA);  // (code & 15) | shift
  const __m512i odd = _mm512_ternarylogic_epi32(_mm512_srli_epi16(codes, 4), nibble, shift, 0xEA), table = _mm512_load_si512(kShiftedE2m1<kWeightOffset>.byte);
  w[0].v = _mm512_permutexvar_epi8(even, table);
  w[1].v = _mm512_permutexvar_epi8(odd, table);
  if constexpr (kPlain) return;
  const __mmask64 left_out = _mm512_test_epi8_mask(shift, _mm512_set1_epi8(kLeftOut));
  for (Bytes& half : w) half.v = _mm512_mask_mov_epi8(half.v, left_out, _mm512_set1_epi8(static_cast<char>(kWeightOffset)));
}
/// The even columns of 128, then the odd ones, in place.
[[gnu::always_inline]] inline void SeparateBytes(std::int8_t* x) noexcept {
  const __m512i first = _mm512_loadu_si512(x), second = _mm512_loadu_si512(x + 64), low = _mm512_set1_epi16(0x00FF), in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  const __m512i even = _mm512_packus_epi16(_mm512_and_si512(first, low), _mm512_and_si512(second, low));
  const __m512i odd = _mm512_packus_epi16(_mm512_srli_epi16(first, 8), _mm512_srli_epi16(second, 8));
  _mm512_storeu_si512(x, _mm512_permutexvar_epi64(in_order, even));
  _mm512_storeu_si512(x + 64, _mm512_permutexvar_epi64(in_order, odd));
}

// Scale codes of kFp4 rows, sixteen of a row in every 128 bits.
inline constexpr int kScaleRows = 4;
/// Of all rows that were folded, byte by byte: the least of a row's codes, at least and at most, and how far its largest is above it.
struct ScaleBounds { __m512i least, most, spread; };
[[gnu::always_inline]] inline ScaleBounds NoScaleBounds() noexcept { return {_mm512_set1_epi8(-1), _mm512_setzero_si512(), _mm512_setzero_si512()}; }
/// Whether any byte is above the bound, or below it.
[[gnu::always_inline]] inline bool AnyAbove(__m512i a, int bound) noexcept { return _mm512_cmpgt_epu8_mask(a, _mm512_set1_epi8(static_cast<char>(bound))) != 0; }
[[gnu::always_inline]] inline bool AnyBelow(__m512i a, int bound) noexcept { return _mm512_cmplt_epu8_mask(a, _mm512_set1_epi8(static_cast<char>(bound))) != 0; }
/// shifts: of each row's codes above its least one, times 16; weight_scale: half of what the least one stands for, as weights are twice their values.
[[gnu::always_inline]] inline void FoldScaleRows(const std::uint8_t* const (&rows)[kScaleRows], std::uint8_t* shifts, float* weight_scale, ScaleBounds& bounds) noexcept {
  const auto row = [&](int i) __attribute__((always_inline)) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i])); };
  const __m512i codes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(row(1), row(0))), _mm256_set_m128i(row(3), row(2)), 1);
  __m512i least = _mm512_min_epu8(codes, _mm512_shuffle_epi32(codes, _MM_PERM_BADC));
  least = _mm512_min_epu8(least, _mm512_shuffle_epi32(least, _MM_PERM_CDAB));
  least = _mm512_min_epu8(least, _mm512_rol_epi32(least, 16));
  least = _mm512_min_epu8(least, _mm512_rol_epi32(least, 8));
  const __m512i shift = _mm512_sub_epi8(codes, least);
  bounds = {_mm512_min_epu8(bounds.least, least), _mm512_max_epu8(bounds.most, least), _mm512_max_epu8(bounds.spread, shift)};
  _mm512_storeu_si512(shifts, _mm512_slli_epi16(shift, 4));
  const __m512i half = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_and_si512(least, _mm512_set1_epi32(0xFF)), _mm512_set1_epi32(1)), 23);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(weight_scale), _mm512_castsi512_si128(_mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), half)));
}

/// 64 e4m3 codes.
template <bool kPlain>
[[gnu::always_inline]] inline Bytes Fp8Weights(const std::byte* p, const std::uint8_t* shift) noexcept { return {Fp8Wholes<kWeightOffset, kPlain>(p, shift)}; }

[[gnu::always_inline]] inline __m512i AddNeighbours(__m512i a, __m512i b) noexcept {
  const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
  return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)), _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
}
/// In every 128 bits, the four lanes of each of four added.
[[gnu::always_inline]] inline ByteSums SumFour(const ByteSums* a) noexcept {
  return {AddNeighbours(AddNeighbours(a[0].v, a[1].v), AddNeighbours(a[2].v, a[3].v))};
}
/// Lane 4·i + j: lane j of every 128 bits of fours[i] added.
[[gnu::always_inline]] inline Ints JoinFours(const ByteSums (&fours)[kByteTileSums / 4]) noexcept {
  __m512i pairs[2];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m512i a = fours[2 * i].v, b = fours[2 * i + 1].v;
    pairs[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xEE));
  }
  return {_mm512_add_epi32(_mm512_shuffle_i32x4(pairs[0], pairs[1], 0x88), _mm512_shuffle_i32x4(pairs[0], pairs[1], 0xDD))};
}
[[gnu::always_inline]] inline Lanes ToFloats(Ints a) noexcept { return {_mm512_cvtepi32_ps(a.v)}; }
/// The whole numbers of all lanes added.
[[gnu::always_inline]] inline std::int32_t SumBytes(ByteSums a) noexcept { return _mm512_reduce_add_epi32(a.v); }

/// Lane i is p[i / kRows].
template <int kRows> [[gnu::always_inline]] inline Lanes ForRowsOf(const float* p) noexcept {
  const auto at = [](int i) constexpr { return i / kRows; };
  const __m512i order = _mm512_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10), at(11), at(12), at(13), at(14), at(15));
  return {_mm512_permutexvar_ps(order, _mm512_loadu_ps(p))};
}

// Pairs of bf16 numbers, as the dot instruction takes them, and how the weights of every format become such. Included inside an unnamed namespace
// after avx512/lanes.inl, wide/math.inl and wide/operands.inl.

inline constexpr std::int64_t kStep = 2 * kPair;     // columns that are decoded together

// Numbers of these magnitudes and of eight bits: products are multiples of 2^-114, and so are their sums.
inline constexpr float kSmallest = 0x1p-50f, kLargest = 0x1p50f;

/// The halves that matter of two vectors of bf16 numbers: first in the high halves, second in the low ones.
[[gnu::always_inline]] inline Ints PackPairs(Lanes first, Lanes second) noexcept {
  return {_mm512_mask_blend_epi16(0x55555555u, _mm512_castps_si512(first.v), _mm512_srli_epi32(_mm512_castps_si512(second.v), 16))};
}
[[gnu::always_inline]] inline Lanes Dot(Ints weight, Ints x, Lanes sum) noexcept {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(x.v), reinterpret_cast<__m512bh>(weight.v))};
}
[[gnu::always_inline]] inline void StoreInts(std::uint32_t* p, Ints a) noexcept { _mm512_storeu_si512(p, a.v); }

/// One byte of the bf16 codes of the e4m3 magnitudes 0 … 127 times 2^-8.
struct E4m3Bytes {
  alignas(64) std::uint8_t byte[2][64];
};
constexpr E4m3Bytes MakeE4m3Bytes(int shift) noexcept {
  E4m3Bytes table{};
  for (int code = 0; code < 128; ++code) {
    const int exponent = code >> 3, mantissa = code & 7;
    const float value = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-17f : (1.0f + static_cast<float>(mantissa) / 8.0f) * 0x1p-15f * static_cast<float>(1 << exponent);
    table.byte[code / 64][code % 64] = static_cast<std::uint8_t>(__builtin_bit_cast(std::uint32_t, value) >> shift);
  }
  return table;
}
inline constexpr E4m3Bytes kE4m3High = MakeE4m3Bytes(24), kE4m3Low = MakeE4m3Bytes(16);

/// 64 e4m3 codes as the pairs of their first 32 columns and of the others.
[[gnu::always_inline]] inline void PackE4m3(const std::byte* codes, Ints (&out)[2]) noexcept {
  // Bytes of one quarter, once interleaved, are eight halves of the first 32 columns and eight of the others.
  const __m512i order = _mm512_set_epi8(47, 63, 46, 62, 45, 61, 44, 60, 15, 31, 14, 30, 13, 29, 12, 28, 43, 59, 42, 58, 41, 57, 40, 56, 11, 27, 10, 26, 9, 25, 8, 24,
                                        39, 55, 38, 54, 37, 53, 36, 52, 7, 23, 6, 22, 5, 21, 4, 20, 35, 51, 34, 50, 33, 49, 32, 48, 3, 19, 2, 18, 1, 17, 0, 16);
  const __m512i code = _mm512_permutexvar_epi8(order, LoadInts(codes).v);
  const __m512i magnitude = _mm512_permutex2var_epi8(LoadInts(kE4m3High.byte[0]).v, code, LoadInts(kE4m3High.byte[1]).v);
  const __m512i low = _mm512_permutex2var_epi8(LoadInts(kE4m3Low.byte[0]).v, code, LoadInts(kE4m3Low.byte[1]).v);
  const __m512i high = _mm512_ternarylogic_epi32(magnitude, code, _mm512_set1_epi8(static_cast<char>(0x80)), 0xF8);  // magnitude | (code & sign)
  out[0].v = _mm512_unpacklo_epi8(low, high);
  out[1].v = _mm512_unpackhi_epi8(low, high);
}

/// The bf16 codes of the sixteen e2m1 values times every moderate scale: what a scale code and a nibble stand for is one load and one lookup.
inline constexpr int kLeastScale = 127 - kModerateExponent, kScaleCodes = 2 * kModerateExponent + 1;
struct ScaledE2m1 {
  alignas(64) std::uint16_t value[kScaleCodes][16];
};
constexpr ScaledE2m1 MakeScaledE2m1() noexcept {
  constexpr std::uint16_t kMagnitudes[8] = {0, 0x3F00, 0x3F80, 0x3FC0, 0x4000, 0x4040, 0x4080, 0x40C0};
  ScaledE2m1 table{};
  for (int code = 0; code < kScaleCodes; ++code) {
    for (int i = 0; i < 8; ++i) {
      const int scaled = i == 0 ? 0 : kMagnitudes[i] + (code - kModerateExponent) * 128;
      table.value[code][i] = static_cast<std::uint16_t>(scaled);
      table.value[code][8 + i] = static_cast<std::uint16_t>(scaled | 0x8000);
    }
  }
  return table;
}
inline constexpr ScaledE2m1 kScaledE2m1 = MakeScaledE2m1();

/// 32 e2m1 codes times the moderate scale of that code, as pairs.
[[gnu::always_inline]] inline Ints PackE2m1(const std::byte* codes, std::uint8_t scale) noexcept {
  const __m512i values = _mm512_broadcast_i64x4(_mm256_load_si256(reinterpret_cast<const __m256i*>(kScaledE2m1.value[scale - kLeastScale])));
  // Each eight bytes hold the four nibbles of two lanes; their bits 8, 0 … say where a byte begins: odd columns below even ones.
  const __m512i nibbles = _mm512_set1_epi64(0x0008'000C'0000'0004);
  const __m512i bytes = _mm512_cvtepu16_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  return {_mm512_permutexvar_epi16(_mm512_multishift_epi64_epi8(nibbles, bytes), values)};
}

/// A block of 128 e2m1 codes times their four moderate scales.
[[gnu::always_inline]] inline void PackE2m1Block(const std::byte* codes, const std::uint8_t* scales, Ints (&out)[4]) noexcept {
  // Eight bytes then hold what two lanes want of each of the four groups of columns.
  const __m512i order = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4, 27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
  const __m512i bytes = _mm512_permutexvar_epi16(order, LoadInts(codes).v);
#pragma GCC unroll 4
  for (int group = 0; group < 4; ++group) {
    const __m512i values = _mm512_broadcast_i64x4(_mm256_load_si256(reinterpret_cast<const __m256i*>(kScaledE2m1.value[std::size_t{scales[group]} - kLeastScale])));
    const __m512i nibbles = _mm512_set1_epi64(0x0008'000C'0000'0004 + 0x1010'1010'1010'1010 * group);
    out[group].v = _mm512_permutexvar_epi16(_mm512_multishift_epi64_epi8(nibbles, bytes), values);
  }
}

[[gnu::always_inline]] inline Ints PackBf16(const std::byte* codes) noexcept {
  const __m512i order = _mm512_setr_epi32(0x00000010, 0x00010011, 0x00020012, 0x00030013, 0x00040014, 0x00050015, 0x00060016, 0x00070017, 0x00080018,
                                          0x00090019, 0x000A001A, 0x000B001B, 0x000C001C, 0x000D001D, 0x000E001E, 0x000F001F);
  return {_mm512_permutexvar_epi16(order, LoadInts(codes).v)};
}

/// 64 weights as pairs, from column `at` on, of which `count` are left; kWhole: all. `least`, per word: the least magnitude of plain weights,
/// less one, so that zeros are out of the way.
template <class Row, bool kWhole>
[[gnu::always_inline]] inline void PackWeights(const std::byte* row, const std::uint8_t* scales, std::int64_t at, std::int64_t count, Ints& least,
                                               Ints (&out)[2]) noexcept {
  const std::byte* codes = row + Row::Bytes(at);
  alignas(64) std::byte rest[128];
  if (!kWhole && count < kStep) {
    __builtin_memset(rest, 0, sizeof(rest));
    __builtin_memcpy(rest, codes, static_cast<std::size_t>(Row::Bytes(count)));
    codes = rest;
  }
  if constexpr (Row::kScale == ScalePlace::kAtBlock) {
    PackE4m3(codes, out);
  } else if constexpr (Row::kScale == ScalePlace::kAtWeight) {
    out[0] = PackE2m1(codes, scales[at / kWeightGroup]);
    out[1] = PackE2m1(codes + kPair / 2, scales[(kWhole || count > kPair ? at + kPair : at) / kWeightGroup]);
  } else {
    for (int i = 0; i < 2; ++i) {
      out[i] = PackBf16(codes + 2 * kPair * i);
      const __m512i less_one = _mm512_sub_epi16(_mm512_and_si512(out[i].v, _mm512_set1_epi16(0x7FFF)), _mm512_set1_epi16(1));
      least.v = _mm512_min_epu16(least.v, less_one);
    }
  }
}

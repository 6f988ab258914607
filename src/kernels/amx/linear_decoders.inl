// How a block of 128 columns becomes bf16 in tiles, and how x is arranged to meet it. Included inside an unnamed namespace after avx512/e2m1_table.inl.
//
// Codes are decoded 64 at a time, and the halves of registers are joined where they lie; so a step's 32 columns are not neighbours, and x takes
// the same order (Arrange).

inline constexpr std::int64_t kSide = 16, kLine = 64;
inline constexpr std::int64_t kBlock = 128, kStep = 32, kBlockSteps = kBlock / kStep;
inline constexpr std::int64_t kPanel = 2 * kSide;  // outputs that are decoded together
inline constexpr int kPlainSpread = 3;             // of the exponents of an FP4 block, that one table covers

/// A block of a panel's weights: [tile of outputs][step][output][column].
struct WeightBlock {
  alignas(64) std::uint16_t tile[2][kBlockSteps][kSide][kStep];
  [[gnu::always_inline]] void Write(std::int64_t o, const __m512i (&line)[kBlockSteps]) noexcept {
#pragma GCC unroll 4
    for (std::int64_t step = 0; step < kBlockSteps; ++step) _mm512_store_si512(tile[o / kSide][step][o % kSide], line[step]);
  }
};

/// What a panel's block is multiplied with, and how FP4 groups stand to that.
struct BlockScales {
  alignas(64) std::int32_t exponent[kPanel];  // of two
  alignas(64) std::int32_t shift[kPanel];     // kFp4: of four groups, a byte each: 16·(0 … 3) where plain, else a signed exponent
  alignas(64) float scale[kPanel];            // 2^exponent, where moderate
  bool plain, moderate;
};

inline constexpr int kModerateExponent = 50;  // of either factor: their product is a normal number

/// Which bytes of a block's codes are there, 64 each time.
struct BlockBytes {
  __mmask64 line[kBlockSteps];
  [[gnu::always_inline]] explicit BlockBytes(std::int64_t count) noexcept {
#pragma GCC unroll 4
    for (__mmask64& part : line) {
      part = count >= kLine ? ~__mmask64{0} : count > 0 ? (__mmask64{1} << count) - 1 : 0;
      count -= kLine;
    }
  }
};

/// scales.moderate and scales.scale of the exponents.
[[gnu::always_inline]] inline void SetScales(BlockScales& scales) noexcept {
  __mmask16 beyond = 0;
#pragma GCC unroll 2
  for (std::int64_t o = 0; o < kPanel; o += kLanes) {
    const __m512i exponent = _mm512_load_si512(scales.exponent + o);
    beyond |= _mm512_cmpgt_epi32_mask(_mm512_abs_epi32(exponent), _mm512_set1_epi32(kModerateExponent));
    _mm512_store_si512(scales.scale + o, _mm512_slli_epi32(_mm512_add_epi32(exponent, _mm512_set1_epi32(127)), 23));
  }
  scales.moderate = beyond == 0;
}

struct Bf16Decoder {
  static constexpr bool kScaled = false;
  [[gnu::always_inline]] static void Arrange(__m512i (&)[kBlockSteps]) noexcept {}
  [[gnu::always_inline]] static void Decode(const std::byte* codes, const BlockBytes& there, std::int64_t o, const BlockScales&, WeightBlock& block) noexcept {
    __m512i line[kBlockSteps];
#pragma GCC unroll 4
    for (std::int64_t step = 0; step < kBlockSteps; ++step) {
      line[step] = _mm512_maskz_loadu_epi8(there.line[step], codes + step * kLine);
    }
    block.Write(o, line);
  }
};

struct Fp8Decoder {
  static constexpr bool kScaled = true;
  [[gnu::always_inline]] static void Arrange(__m512i (&line)[kBlockSteps]) noexcept {
#pragma GCC unroll 2
    for (int i = 0; i < kBlockSteps; i += 2) {
      const __m512i first = line[i], second = line[i + 1];
      line[i] = _mm512_shuffle_i32x4(first, second, 0x88);
      line[i + 1] = _mm512_shuffle_i32x4(first, second, 0xDD);
    }
  }
  struct Halves {
    __m512i low, high;
  };
  /// The subnormals 0 … 7 times 2^-9, of which there are few: their exponent bits are zero.
  [[gnu::noinline, gnu::cold]] static void DecodeSubnormals(const std::byte* codes, __mmask64 there, std::uint16_t* first, std::uint16_t* second) noexcept {
    const __m512i code = _mm512_maskz_loadu_epi8(there, codes);
    const __mmask64 small = _mm512_testn_epi8_mask(code, _mm512_set1_epi8(0x78));
    const __m512i lows = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, char(0x80), char(0xC0), 0, 0x20, 0x40, 0x60, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m512i highs = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0x3B, 0x3B, 0x3B, 0x3C, 0x3C, 0x3C, 0x3C, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi8(0x7F)), sign = _mm512_andnot_si512(_mm512_set1_epi8(0x7F), code);
    const Halves normal = DecodeNormals(code);
    const __m512i low = _mm512_mask_shuffle_epi8(normal.low, small, lows, magnitude);
    const __m512i high = _mm512_mask_mov_epi8(normal.high, small, _mm512_or_si512(sign, _mm512_shuffle_epi8(highs, magnitude)));
    _mm512_store_si512(first, _mm512_unpacklo_epi8(low, high));
    _mm512_store_si512(second, _mm512_unpackhi_epi8(low, high));
  }
  /// A code s eeee mmm is the bf16 number s, eeee + 120, mmm0000. As bits: the low byte is e0 mmm 0000, and the high one s e3 !e3 !e3 !e3 !e3 e2 e1.
  [[gnu::always_inline]] static Halves DecodeNormals(__m512i code) noexcept {
    return {_mm512_gf2p8affine_epi64_epi8(code, _mm512_set1_epi64(0x0000000001020408), 0), _mm512_gf2p8affine_epi64_epi8(code, _mm512_set1_epi64(0x1020404040404080), 0x3C)};
  }
  [[gnu::always_inline]] static void Decode(const std::byte* codes, const BlockBytes& there, std::int64_t o, const BlockScales&, WeightBlock& block) noexcept {
    std::uint16_t* line = block.tile[o / kSide][0][o % kSide];
    constexpr std::int64_t kNext = kSide * kStep;
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const __m512i code = _mm512_maskz_loadu_epi8(there.line[i], codes + i * kLine);
      const Halves halves = DecodeNormals(code);
      _mm512_store_si512(line + 2 * i * kNext, _mm512_unpacklo_epi8(halves.low, halves.high));
      _mm512_store_si512(line + (2 * i + 1) * kNext, _mm512_unpackhi_epi8(halves.low, halves.high));
      if (_mm512_testn_epi8_mask(code, _mm512_set1_epi8(0x78)) != 0) [[unlikely]] {
        DecodeSubnormals(codes + i * kLine, there.line[i], line + 2 * i * kNext, line + (2 * i + 1) * kNext);
      }
    }
  }
};

/// At code + 16·shift: the low and the high byte of the code's value, times 2^shift, in bf16.
struct Fp4Bytes {
  alignas(64) std::uint8_t low[64], high[64];
  constexpr Fp4Bytes() noexcept : low(), high() {
    constexpr float kValue[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    for (int i = 0; i < 64; ++i) {
      const float value = kValue[i % 8] * static_cast<float>(1 << (i / 16));
      const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, i % 16 < 8 ? value : -value);
      low[i] = static_cast<std::uint8_t>(bits >> 16);
      high[i] = static_cast<std::uint8_t>(bits >> 24);
    }
  }
};
inline constexpr Fp4Bytes kFp4Bytes;

struct Fp4Decoder {
  static constexpr bool kScaled = true;
  [[gnu::always_inline]] static void Arrange(__m512i (&line)[kBlockSteps]) noexcept {
    const __m512i even_odd = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
#pragma GCC unroll 4
    for (__m512i& part : line) part = _mm512_permutexvar_epi16(even_odd, part);
    const __m512i even[2] = {_mm512_shuffle_i32x4(line[0], line[1], 0x44), _mm512_shuffle_i32x4(line[2], line[3], 0x44)};
    const __m512i odd[2] = {_mm512_shuffle_i32x4(line[0], line[1], 0xEE), _mm512_shuffle_i32x4(line[2], line[3], 0xEE)};
    line[0] = _mm512_shuffle_i32x4(even[0], even[1], 0x88);
    line[1] = _mm512_shuffle_i32x4(even[0], even[1], 0xDD);
    line[2] = _mm512_shuffle_i32x4(odd[0], odd[1], 0x88);
    line[3] = _mm512_shuffle_i32x4(odd[0], odd[1], 0xDD);
  }
  /// `value` times two to the power that its lane's group stands above the block's, exactly.
  [[gnu::always_inline]] static __m512i Raise(__m512i value, __m512i exponent) noexcept {
    const __mmask32 nonzero = _mm512_test_epi16_mask(value, _mm512_set1_epi16(0x7FFF));
    return _mm512_mask_add_epi16(value, nonzero, value, _mm512_slli_epi16(exponent, 7));
  }
  [[gnu::always_inline]] static void Decode(const std::byte* codes, const BlockBytes& there, std::int64_t o, const BlockScales& scales, WeightBlock& block) noexcept {
    const __m512i lows = _mm512_load_si512(kFp4Bytes.low), highs = _mm512_load_si512(kFp4Bytes.high), nibble = _mm512_set1_epi8(0x0F);
    const __m512i code = _mm512_maskz_loadu_epi8(there.line[0], codes), of_group = _mm512_shuffle_epi8(_mm512_set1_epi32(scales.shift[o]), Quarters());
    const __m512i shift = scales.plain ? of_group : _mm512_setzero_si512();
    const __m512i even = _mm512_ternarylogic_epi32(code, nibble, shift, 0xEA);  // (code & 15) | shift
    const __m512i odd = _mm512_ternarylogic_epi32(_mm512_srli_epi16(code, 4), nibble, shift, 0xEA);
    const __m512i low[2] = {_mm512_permutexvar_epi8(even, lows), _mm512_permutexvar_epi8(odd, lows)};
    const __m512i high[2] = {_mm512_permutexvar_epi8(even, highs), _mm512_permutexvar_epi8(odd, highs)};
    __m512i line[kBlockSteps] = {_mm512_unpacklo_epi8(low[0], high[0]), _mm512_unpackhi_epi8(low[0], high[0]), _mm512_unpacklo_epi8(low[1], high[1]),
                                 _mm512_unpackhi_epi8(low[1], high[1])};
    if (!scales.plain) [[unlikely]] {
      const __m512i exponent = _mm512_srai_epi16(_mm512_slli_epi16(of_group, 8), 8);
      for (__m512i& part : line) part = Raise(part, exponent);
    }
    block.Write(o, line);
  }
};

/// Scales of an FP8 block: one exponent code for the outputs before `next`, and one for the others.
[[gnu::always_inline]] inline void UseFp8Scales(int first, int second, std::int64_t next, BlockScales& scales) noexcept {
  const __mmask32 before = next >= kPanel ? ~__mmask32{0} : (__mmask32{1} << next) - 1;
  const __m512i other = _mm512_set1_epi32(second - 127), one = _mm512_set1_epi32(first - 127);
  _mm512_store_si512(scales.exponent, _mm512_mask_mov_epi32(other, static_cast<__mmask16>(before), one));
  _mm512_store_si512(scales.exponent + kLanes, _mm512_mask_mov_epi32(other, static_cast<__mmask16>(before >> kLanes), one));
  SetScales(scales);
}

/// The exponents of four groups of sixteen outputs, which begin at codes + row[o], a byte each; the first repeated past the last group.
[[gnu::always_inline]] inline __m512i LoadGroups(const std::uint8_t* codes, const std::int32_t* row, std::int64_t groups) noexcept {
  if (groups >= kBlockSteps) return _mm512_i32gather_epi32(_mm512_load_si512(row), codes, 1);
  alignas(64) std::uint32_t four[kLanes];
  for (std::int64_t o = 0; o < kLanes; ++o) {
    four[o] = 0x01010101u * codes[row[o]];
    __builtin_memcpy(&four[o], codes + row[o], static_cast<std::size_t>(groups));
  }
  return _mm512_load_si512(four);
}

/// Scales of an FP4 block whose outputs' exponents begin at codes + row[o]: relative to the smallest one where one table covers them, else to the middle.
/// Which of the two it is changes no bit.
[[gnu::always_inline]] inline void FoldFp4(const std::uint8_t* codes, const std::int32_t (&row)[kPanel], std::int64_t groups, BlockScales& scales) noexcept {
  __m512i code[2], lowest[2], highest[2];
  __mmask64 beyond = 0;
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    code[i] = LoadGroups(codes, row + i * kLanes, groups);
    const __m512i turned = _mm512_rol_epi32(code[i], 16), least = _mm512_min_epu8(code[i], turned), most = _mm512_max_epu8(code[i], turned);
    lowest[i] = _mm512_min_epu8(least, _mm512_rol_epi32(least, 8));
    highest[i] = _mm512_max_epu8(most, _mm512_rol_epi32(most, 8));
    beyond |= _mm512_cmpgt_epu8_mask(_mm512_sub_epi8(highest[i], lowest[i]), _mm512_set1_epi8(kPlainSpread));
  }
  scales.plain = beyond == 0;
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m512i uneven = _mm512_and_si512(_mm512_xor_si512(lowest[i], highest[i]), _mm512_set1_epi8(1));
    const __m512i base = scales.plain ? lowest[i] : _mm512_sub_epi8(_mm512_avg_epu8(lowest[i], highest[i]), uneven);
    const __m512i relative = _mm512_sub_epi8(code[i], base);
    const __m512i bounded = _mm512_max_epi8(_mm512_min_epi8(relative, _mm512_set1_epi8(126)), _mm512_set1_epi8(-126));
    _mm512_store_si512(scales.shift + i * kLanes, scales.plain ? _mm512_slli_epi16(relative, 4) : bounded);
    _mm512_store_si512(scales.exponent + i * kLanes, _mm512_sub_epi32(_mm512_and_si512(base, _mm512_set1_epi32(0xFF)), _mm512_set1_epi32(127)));
  }
  SetScales(scales);
}

// How 128 columns of an output become bytes of tiles. Included inside an unnamed namespace after avx512/lanes.inl and avx512/fp8_codes.inl.

inline constexpr std::int64_t kSide = 16, kLine = 64, kTileBytes = kSide * kLine;
inline constexpr std::int64_t kStepColumns = 128, kStepTiles = 2, kBlockSteps = kByteGroup / kStepColumns;
inline constexpr std::int64_t kGroupColumns = 32, kBlockGroups = kByteGroup / kGroupColumns, kStepGroups = kStepColumns / kGroupColumns;
inline constexpr std::int64_t kPanel = 2 * kSide;     // outputs that are decoded together
inline constexpr std::int64_t kPanelsPerCall = 64;    // one packing of x serves
inline constexpr std::int64_t kXSlots = 320;          // tiles of rows times steps: what is held of x
inline constexpr std::int64_t kMostRowTiles = 16;     // that share a decoded block
inline constexpr std::int64_t kFewestByteRows = 5;    // fewer are multiplied faster where they are decoded

// So far apart may a block's exponents be: |Σ| <= 512 · 12 · 127 · 2^11 fits 32 bits.
inline constexpr int kPassShifts = 4, kPasses = 3, kMostSpread = kPassShifts * kPasses - 1;
inline constexpr std::uint8_t kLeftOut = 64;  // instead of a shift: the group belongs to another pass

// How a step of a panel's output gets into the ring: Decode writes one output's line of either tile.

struct NothingMore {
  [[gnu::always_inline]] void Decode(std::int64_t) const noexcept {}
};
struct Int8Step {
  const std::byte* const* codes;
  std::int64_t at, ahead;
  std::uint8_t (*ring)[2][kTileBytes];

  [[gnu::always_inline]] void Decode(std::int64_t o) const noexcept {
    const std::byte* p = codes[o] + at;
    __builtin_prefetch(p + ahead, 0, 2);
    __builtin_prefetch(p + ahead + kLine, 0, 2);
    _mm512_store_si512(ring[0][0] + o * kLine, _mm512_loadu_si512(p));
    _mm512_store_si512(ring[1][0] + o * kLine, _mm512_loadu_si512(p + kLine));
  }
};
/// kAll: the pass takes every group.
template <bool kAll>
struct Fp4Step {
  const std::byte* const* codes;
  std::int64_t at, ahead;
  std::uint8_t (*ring)[2][kTileBytes];
  const std::uint8_t (*shift)[kBlockGroups];
  __m512i table, nibble, quarters;

  [[gnu::always_inline]] void Decode(std::int64_t o) const noexcept {
    const std::byte* p = codes[o] + at;
    __builtin_prefetch(p + ahead, 0, 2);
    std::int32_t shifts;
    __builtin_memcpy(&shifts, shift[o], sizeof(shifts));
    const __m512i of_group = _mm512_shuffle_epi8(_mm512_set1_epi32(shifts), quarters), code = _mm512_loadu_si512(p);
    const __m512i even = _mm512_ternarylogic_epi32(code, nibble, of_group, 0xEA);  // (code & 15) | shift
    const __m512i odd = _mm512_ternarylogic_epi32(_mm512_srli_epi16(code, 4), nibble, of_group, 0xEA);
    if constexpr (kAll) {
      _mm512_store_si512(ring[0][0] + o * kLine, _mm512_permutexvar_epi8(even, table));
      _mm512_store_si512(ring[1][0] + o * kLine, _mm512_permutexvar_epi8(odd, table));
    } else {
      const __mmask64 taken = _mm512_testn_epi8_mask(of_group, _mm512_set1_epi8(kLeftOut));
      _mm512_store_si512(ring[0][0] + o * kLine, _mm512_maskz_permutexvar_epi8(taken, even, table));
      _mm512_store_si512(ring[1][0] + o * kLine, _mm512_maskz_permutexvar_epi8(taken, odd, table));
    }
  }
};

struct Fp8Step {
  const std::byte* const* codes;
  std::int64_t at, ahead;
  std::uint8_t (*ring)[2][kTileBytes];
  const std::uint8_t (*shift)[kBlockGroups];

  [[gnu::always_inline]] void Decode(std::int64_t o) const noexcept {
    const std::byte* p = codes[o] + at;
    __builtin_prefetch(p + ahead, 0, 2);
    __builtin_prefetch(p + ahead + kLine, 0, 2);
    _mm512_store_si512(ring[0][0] + o * kLine, Fp8Wholes<0, false>(p, shift[o]));
    _mm512_store_si512(ring[1][0] + o * kLine, Fp8Wholes<0, false>(p + kLine, shift[o]));
  }
};

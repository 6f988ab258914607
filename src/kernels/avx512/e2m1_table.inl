// What e2m1 codes are in whole numbers of eight bits. Included inside an unnamed namespace.

/// At code + 16·shift: twice the code's value, shifted left by 0 to 3, plus kPlus.
template <int kPlus>
struct ShiftedE2m1 {
  alignas(64) std::uint8_t byte[64];
  constexpr ShiftedE2m1() noexcept : byte() {
    constexpr int kTwice[8] = {0, 1, 2, 3, 4, 6, 8, 12};
    for (int i = 0; i < 64; ++i) {
      const int value = kTwice[i % 8] << (i / 16);
      byte[i] = static_cast<std::uint8_t>(kPlus + (i % 16 < 8 ? value : -value));
    }
  }
};
template <int kPlus>
inline constexpr ShiftedE2m1<kPlus> kShiftedE2m1;

/// In lane i, sixteen times the number i: which of four groups' shifts a line's bytes take.
[[gnu::always_inline]] inline __m512i Quarters() noexcept {
  return _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202, 0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
}

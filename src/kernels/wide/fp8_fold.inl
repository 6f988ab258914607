// The whole numbers of kFp8 groups, whose blocks' scales are folded into them. Included inside an unnamed namespace after wide/fp8_table.inl; the
// instruction set's FoldFp8Rows comes after it.

inline constexpr int kModerateByteExponent = 50;

/// Tops from here to there keep products of scales far from the ends of fp32.
inline constexpr int kLeastFp8Top = kFp8TopBias - kModerateByteExponent, kMostFp8Top = kFp8TopBias + kModerateByteExponent;

/// What folding finds of a group: scales too near the ends of fp32, blocks so far below their row's top that they need a table of their own, neither.
enum class Folded { kNot, kByTable, kPlain };
[[gnu::always_inline]] inline Folded Worse(Folded a, Folded b) noexcept { return a < b ? a : b; }

/// Where the codes and the scales of row n lie from column `at` on, a multiple of kByteGroup.
[[gnu::always_inline]] inline void OpenFp8Row(const Matrix& w, std::int64_t n, std::int64_t at, const std::uint8_t*& codes, const std::uint8_t*& scales) noexcept {
  codes = reinterpret_cast<const std::uint8_t*>(w.data) + n * w.k + at;
  scales = w.scales + n / kActivationGroup * ((w.k + kActivationGroup - 1) / kActivationGroup) + at / kActivationGroup;
}

/// The scales of a group's blocks, a byte each. Where there is no block 0: with a field of 1 that is no larger than any top.
[[gnu::always_inline]] inline std::int32_t Fp8ScaleCodes(const std::uint8_t* scales, std::int64_t columns) noexcept {
  static_assert(kFp8Blocks == 4);
  std::int32_t codes = 0;
  if (columns > 3 * kActivationGroup) {
    __builtin_memcpy(&codes, scales, kFp8Blocks);
  } else {
    __builtin_memcpy(&codes, scales, static_cast<std::size_t>((columns + kActivationGroup - 1) / kActivationGroup));
  }
  return codes;
}

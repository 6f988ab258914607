// kFp8 codes as whole numbers (kernels::Fp8Whole) by one look-up. Included inside an unnamed namespace.
//
// Of a block only the kFp8Window codes of the exponents up to the group's top are not zero: a code's index is its distance from the first of them,
// and what lies below saturates to index 0, which stands for zero.

inline constexpr int kFp8Window = 8 * (kFp8Reach + 1), kFp8Tops = 15 + kFp8Reach + 1;  // from there on nothing is left of a block

/// Blocks of 128 columns with scales of their own in a group.
inline constexpr std::int64_t kFp8Blocks = kByteGroup / kActivationGroup;

/// The first code of the window of a block whose group's top is `relative_top` above its scale.
constexpr int Fp8WindowBegin(int relative_top) noexcept { return relative_top > kFp8Reach ? 8 * (relative_top - kFp8Reach) : 0; }

/// From this relative top on a window holds no subnormal numbers, and all windows are alike.
inline constexpr int kPlainFp8Top = kFp8Reach + 1;

/// kOffset + the whole number of every index, a row for each relative top.
template <int kOffset>
struct Fp8Table {
  alignas(64) std::uint8_t byte[kFp8Tops + 1][kFp8Window];
};
template <int kOffset>
constexpr Fp8Table<kOffset> MakeFp8Table() noexcept {
  Fp8Table<kOffset> table{};
  for (int top = 0; top <= kFp8Tops; ++top) {
    for (int i = 0; i < kFp8Window; ++i) table.byte[top][i] = static_cast<std::uint8_t>(kOffset + Fp8Whole(Fp8WindowBegin(top) + i, top > 0 ? top : 1));
  }
  return table;
}

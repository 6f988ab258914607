#pragma once

#include "kernels/matrix.h"

namespace baleen::kernels {

/// Channels of x per scale where x are bytes and weights have scales of their own along a row (kFp4, kFp8). Whole rows for kInt8.
inline constexpr std::int64_t kByteGroup = 512;

/// The columns of a kInt8 matrix must not pass this: a row's sum of products then fits 32 bits.
inline constexpr std::int64_t kMostByteColumns = std::int64_t{1} << 17;

/// Whether weights of a checkpoint multiply bytes in fast arithmetic.
inline constexpr bool TakesBytes(Format format) noexcept { return format == Format::kFp4 || format == Format::kFp8; }

[[gnu::always_inline]] inline constexpr std::int64_t ByteGroup(Format format, std::int64_t k) noexcept { return format == Format::kInt8 ? k : kByteGroup; }

/// The largest `field + scale` of a kFp8 group's codes is its top: field = a code's exponent bits, at least 1, scale = the e8m0 code of its block.
/// The group's weights are whole numbers times 2^(top − kFp8TopBias).
inline constexpr int kFp8TopBias = 140;

/// Exponents below the top of which something is left.
inline constexpr int kFp8Reach = 7;

/// The whole number that a kFp8 code stands for, before its sign, `relative_top` = top − scale of its block: its value in 64ths of the top's power of
/// two, rounded to the nearest, ties to even. At most 120; exact from an eighth of the top's power of two upwards.
[[gnu::always_inline]] inline constexpr int Fp8Whole(int magnitude_code, int relative_top) noexcept {
  const int field = magnitude_code >> 3, fraction = magnitude_code & 7;
  const int eighths = field == 0 ? fraction : 8 + fraction, below = relative_top - (field == 0 ? 1 : field), dropped = below - 3;
  if (dropped <= 0) return eighths << -dropped;
  if (below > kFp8Reach) return 0;
  const int whole = eighths >> dropped, rest = eighths & ((1 << dropped) - 1), half = 1 << (dropped - 1);
  return whole + (rest > half || (rest == half && whole % 2 == 1) ? 1 : 0);
}

/// y[r, i] = Σ_k x[row(r), k] · W[row_begin + i, k], x and W as whole numbers of 8 bits with scales: the fast arithmetic.
///
///   weight    kFp4, kFp8 (no NaN codes: they count as 480) or kInt8 (k at most kMostByteColumns)
///   x         int8 rows of k, x_stride apart, of −127 … 127; row(r) = x_rows ? x_rows[r] : r
///   x_scales  [row(r)][ceil(k / ByteGroup)], finite and not negative, scale_stride floats apart
///   y         [rows, row_end - row_begin], y_stride apart
///
/// Order     kFp4: groups of 512 columns ascending; a group's products, relative to the smallest of its weight scales, are summed exactly and
///           rounded to fp32; sum = fma(that, x scale · smallest weight scale, sum), rounded once. kFp8: the same, a group's weights being whole
///           numbers of a 64th of the power of two of its largest one (Fp8Whole). kInt8: all products summed exactly, rounded to fp32, times
///           (x scale · weight scale). So the bits are the same on every instruction set.
/// Errors    none; shapes were settled when the plan was built.
/// Source    kernels.md §4 and §5: exponents of a group folded into whole numbers.
struct ByteLinearArgs {
  Matrix weight;
  std::int64_t row_begin = 0, row_end = 0;
  const std::int8_t* x = nullptr;
  std::int64_t x_stride = 0;
  const std::int32_t* x_rows = nullptr;
  const float* x_scales = nullptr;
  std::int64_t scale_stride = 0;
  std::int64_t rows = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;
  Rounding rounding = Rounding::kNone;
};

/// codes[r, :] = nearest whole numbers to x[r, :] / scale, ties to even, in groups of `group` columns; scales[r, ceil(k/group)] = the largest
/// magnitude / 127, which is at least kLeastByteMagnitude and finite. What is no number becomes ±127.
struct ByteQuantizeArgs {
  const float* x = nullptr;  // [rows, k], contiguous
  std::int64_t rows = 0, k = 0, group = kByteGroup;
  std::int8_t* codes = nullptr;  // [rows, k]; of a single row, they may begin where x does
  float* scales = nullptr;       // [rows, ceil(k/group)]
};

/// Smaller largest magnitudes count as this, so that no scale comes near the ends of fp32.
inline constexpr float kLeastByteMagnitude = 0x1p-40f;

}  // namespace baleen::kernels

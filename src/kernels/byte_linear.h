#pragma once

#include "kernels/matrix.h"

namespace baleen::kernels {

/// Channels of x per scale where x are bytes and weights have groups of their own (kFp4). Whole rows for kInt8.
inline constexpr std::int64_t kByteGroup = 512;

/// The columns of a kInt8 matrix must not pass this: a row's sum of products then fits 32 bits.
inline constexpr std::int64_t kMostByteColumns = std::int64_t{1} << 17;

[[gnu::always_inline]] inline constexpr std::int64_t ByteGroup(Format format, std::int64_t k) noexcept { return format == Format::kInt8 ? k : kByteGroup; }

/// y[r, i] = Σ_k x[row(r), k] · W[row_begin + i, k], x and W as whole numbers of 8 bits with scales: the fast arithmetic.
///
///   weight    kFp4 or kInt8 (k at most kMostByteColumns)
///   x         int8 rows of k, x_stride apart, of −127 … 127; row(r) = x_rows ? x_rows[r] : r
///   x_scales  [row(r)][ceil(k / ByteGroup)], finite and not negative, scale_stride floats apart
///   y         [rows, row_end - row_begin], y_stride apart
///
/// Order     kFp4: groups of 512 columns ascending; a group's products, relative to the smallest of its weight scales, are summed exactly and
///           rounded to fp32; sum = fma(that, x scale · smallest weight scale, sum), rounded once. kInt8: all products summed exactly, rounded to
///           fp32, times (x scale · weight scale). So the bits are the same on every instruction set.
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

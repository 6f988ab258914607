#pragma once

#include "kernels/matrix.h"

namespace baleen::kernels {

/// y[r, i] = Σ_k x[row(r), k] · W[row_begin + i, k], for the matrix rows [row_begin, row_end).
///
///   x         rows of k floats, x_stride apart; row(r) = x_rows ? x_rows[r] : r
///   x_scales  null: x holds plain numbers. Else x holds e4m3 values and x_scales [row(r)][ceil(k/128)] their scales (§9.2),
///             scale_stride floats apart
///   y         [rows, row_end - row_begin], y_stride apart
///
/// Order     per output: blocks of ScaleColumns(format) columns; each block's products summed in fp32 (reference: exactly, rounded
///           once), times (x scale · weight scale), added to one fp32 accumulator in ascending blocks. Vector forms keep lanes along k
///           and may fold kFp4's scales, powers of two, into the weights (docs/numerics.md). A row's bits never depend on the other
///           rows or on row_begin/row_end.
/// Errors    none; shapes were settled when the plan was built.
/// Source    §9.1, §9.2.
struct LinearArgs {
  Matrix weight;
  std::int64_t row_begin = 0, row_end = 0;
  const float* x = nullptr;
  std::int64_t x_stride = 0;
  const std::int32_t* x_rows = nullptr;
  const float* x_scales = nullptr;
  std::int64_t scale_stride = 0;
  std::int64_t rows = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;
  Rounding rounding = Rounding::kNone;
};

/// codes[r, :] = e4m3 values of x[r, :] / scale, groups of 128 columns; scales[r, ceil(k/128)] the powers of two (§9.2, A.1, A.2).
/// The sign of a zero is kept.
struct QuantizeArgs {
  const float* x = nullptr;  // [rows, k], contiguous
  std::int64_t rows = 0, k = 0;
  float* codes = nullptr;    // [rows, k], may be x
  float* scales = nullptr;   // [rows, ceil(k/128)]
};

}  // namespace baleen::kernels

#pragma once

#include "kernels/matrix.h"

namespace baleen::kernels {

/// out = weight · x · rsqrt(mean(x²) + eps), fp32 inside, one rounding at the end (§0.4).
struct NormArgs {
  const float* x = nullptr;       // [rows, d], x_stride apart
  std::int64_t rows = 0, d = 0, x_stride = 0;
  const float* weight = nullptr;  // [d]
  float eps = 0;
  float* out = nullptr;           // [rows, d], contiguous, may be x if x_stride == d
  Rounding rounding = Rounding::kNone;
};

/// x[v, :] *= rsqrt(mean(x[v, :]²) + eps), no weight (§3.1). Rounding kBf16: every step rounds to bf16 as the vendor's code does:
/// the squares, their mean (summed in fp32), mean + eps, the reciprocal root (1/sqrt rounded once), the product.
struct HeadNormArgs {
  float* x = nullptr;  // [vectors, d], in place
  std::int64_t vectors = 0, d = 0;
  float eps = 0;
  Rounding rounding = Rounding::kNone;
};

/// Rotates the last rope_dim channels of each vector in interleaved pairs: (a, b) → (a·cos − b·sin, a·sin + b·cos) (§3.3);
/// inverse: the conjugate rotation. fp32, then `rounding`.
struct RotateArgs {
  float* x = nullptr;              // [vectors, d], in place; all vectors at one position
  std::int64_t vectors = 0, d = 0, rope_dim = 0;
  const float* cosine = nullptr;   // [rope_dim / 2] of the position
  const float* sine = nullptr;
  bool inverse = false;
  Rounding rounding = Rounding::kNone;
};

}  // namespace baleen::kernels

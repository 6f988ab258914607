#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/reference/families.h"

namespace baleen::kernels::reference {
namespace {

/// round(sum + t·scale·2^exponent), rounded once: the power of two goes to both factors where the product of scales is near the ends of fp32.
float ScaledAdd(float t, float scale, int exponent, float sum) noexcept {
  if (t == 0.0f || scale == 0.0f) return sum + 0.0f;
  const int own = std::ilogb(scale), whole = own + exponent, bounded = std::clamp(whole, -100, 100);
  return std::fma(std::ldexp(t, whole - bounded), std::ldexp(scale, bounded - own), sum);
}

/// One output of a kFp4 row.
float Fp4Output(const Matrix& w, std::int64_t n, const std::int8_t* x, const float* x_scales) noexcept {
  const auto* codes = reinterpret_cast<const std::uint8_t*>(w.data + n * RowBytes(w.format, w.k));
  const std::uint8_t* scales = w.scales + n * ((w.k + 31) / 32);
  float sum = 0.0f;
  for (std::int64_t begin = 0; begin < w.k; begin += kByteGroup) {
    const std::int64_t end = std::min(begin + kByteGroup, w.k);
    const int least = *std::min_element(scales + begin / 32, scales + (end + 31) / 32);
    double exact = 0.0;  // whole halves: 20 bits, and 33 more of relative scales fit without rounding
    for (std::int64_t k = begin; k < end; ++k) {
      const double weight = tensor::FromE2m1(static_cast<std::uint8_t>(codes[k / 2] >> (4 * (k % 2))));
      exact += std::ldexp(weight * x[k], scales[k / 32] - least);
    }
    sum = ScaledAdd(static_cast<float>(exact), x_scales[begin / kByteGroup], least - 127, sum);
  }
  return sum;
}

/// One output of a kFp8 row: a group's top is the largest exponent field plus scale of its codes.
float Fp8Output(const Matrix& w, std::int64_t n, const std::int8_t* x, const float* x_scales) noexcept {
  const auto* codes = reinterpret_cast<const std::uint8_t*>(w.data + n * w.k);
  const std::uint8_t* scales = w.scales + n / 128 * ((w.k + 127) / 128);
  float sum = 0.0f;
  for (std::int64_t begin = 0; begin < w.k; begin += kByteGroup) {
    const std::int64_t end = std::min(begin + kByteGroup, w.k);
    int top = 0;
    for (std::int64_t k = begin; k < end; ++k) top = std::max(top, std::max(1, (codes[k] & 0x7F) >> 3) + scales[k / 128]);
    std::int64_t exact = 0;
    for (std::int64_t k = begin; k < end; ++k) {
      const int whole = Fp8Whole(codes[k] & 0x7F, top - scales[k / 128]);
      exact += x[k] * (codes[k] < 0x80 ? whole : -whole);
    }
    sum = ScaledAdd(static_cast<float>(exact), x_scales[begin / kByteGroup], top - kFp8TopBias, sum);
  }
  return sum;
}

/// One output of a kInt8 row.
float Int8Output(const Matrix& w, std::int64_t n, const std::int8_t* x, float x_scale) noexcept {
  std::int64_t exact = 0;
  for (std::int64_t k = 0; k < w.k; ++k) exact += std::int64_t{x[k]} * static_cast<std::int8_t>(w.data[n * w.k + k]);
  return static_cast<float>(exact) * (x_scale * w.row_scales[n]);
}

float Output(const Matrix& w, std::int64_t n, const std::int8_t* x, const float* x_scales) noexcept {
  switch (w.format) {
    case Format::kFp4: return Fp4Output(w, n, x, x_scales);
    case Format::kFp8: return Fp8Output(w, n, x, x_scales);
    default: return Int8Output(w, n, x, x_scales[0]);
  }
}

}  // namespace

void ByteLinear(const ByteLinearArgs& args) noexcept {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const std::int64_t source = args.x_rows != nullptr ? args.x_rows[r] : r;
    const std::int8_t* x = args.x + source * args.x_stride;
    const float* x_scales = args.x_scales + source * args.scale_stride;
    for (std::int64_t n = args.row_begin; n < args.row_end; ++n) {
      args.y[r * args.y_stride + n - args.row_begin] = Round(Output(args.weight, n, x, x_scales), args.rounding);
    }
  }
}

void ByteQuantize(const ByteQuantizeArgs& args) noexcept {
  const std::int64_t groups = (args.k + args.group - 1) / args.group;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = r * args.k + g * args.group, end = r * args.k + std::min((g + 1) * args.group, args.k);
      float largest = kLeastByteMagnitude;
      for (std::int64_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(args.x[i]));
      largest = std::min(largest, FLT_MAX);
      const float inverse = 127.0f / largest;
      for (std::int64_t i = begin; i < end; ++i) {
        const float magnitude = std::fabs(args.x[i] * inverse);
        const float whole = magnitude <= 127.0f ? std::nearbyint(magnitude) : 127.0f;
        args.codes[i] = static_cast<std::int8_t>(std::signbit(args.x[i]) ? -whole : whole);
      }
      args.scales[r * groups + g] = largest / 127.0f;
    }
  }
}

}  // namespace baleen::kernels::reference

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/reference/families.h"

namespace baleen::kernels::reference {
namespace {

/// The stored number of row n, column k, without its scale.
double Code(const Matrix& w, std::int64_t n, std::int64_t k) noexcept {
  const std::byte* row = w.data + n * RowBytes(w.format, w.k);
  switch (w.format) {
    case Format::kF32: {
      float value;
      std::memcpy(&value, row + 4 * k, 4);
      return value;
    }
    case Format::kBf16: {
      std::uint16_t value;
      std::memcpy(&value, row + 2 * k, 2);
      return tensor::FromBf16(value);
    }
    case Format::kFp8: return tensor::FromE4m3(static_cast<std::uint8_t>(row[k]));
    case Format::kInt8: return static_cast<std::int8_t>(row[k]);
    case Format::kFp4: return tensor::FromE2m1(static_cast<std::uint8_t>(static_cast<std::uint8_t>(row[k / 2]) >> (4 * (k % 2))));
  }
  return 0;
}

float Scale(const Matrix& w, std::int64_t n, std::int64_t k) noexcept {
  if (w.format == Format::kFp8) return tensor::FromE8m0(w.scales[n / 128 * ((w.k + 127) / 128) + k / 128]);
  if (w.format == Format::kFp4) return tensor::FromE8m0(w.scales[n * ((w.k + 31) / 32) + k / 32]);
  return 1.0f;
}

}  // namespace

void Linear(const LinearArgs& args) noexcept {
  const Matrix& w = args.weight;
  const std::int64_t block = ScaleColumns(w.format);
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const std::int64_t source = args.x_rows != nullptr ? args.x_rows[r] : r;
    const float* x = args.x + source * args.x_stride;
    for (std::int64_t n = args.row_begin; n < args.row_end; ++n) {
      float sum = 0.0f;
      for (std::int64_t begin = 0; begin < w.k; begin += block) {
        double exact = 0.0;  // products of the small formats fit a double without rounding
        for (std::int64_t k = begin; k < std::min(begin + block, w.k); ++k) exact += static_cast<double>(x[k]) * Code(w, n, k);
        const float x_scale = args.x_scales != nullptr ? args.x_scales[source * args.scale_stride + begin / kActivationGroup] : 1.0f;
        // In double: the product of two scales may pass fp32's range where the term itself does not.
        const double term = static_cast<double>(static_cast<float>(exact)) * (static_cast<double>(x_scale) * static_cast<double>(Scale(w, n, begin)));
        sum = static_cast<float>(static_cast<double>(sum) + term);
      }
      args.y[r * args.y_stride + n - args.row_begin] = Round(sum, args.rounding);
    }
  }
}

void Quantize(const QuantizeArgs& args) noexcept {
  const std::int64_t groups = (args.k + kActivationGroup - 1) / kActivationGroup;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = r * args.k + g * kActivationGroup, end = r * args.k + std::min((g + 1) * kActivationGroup, args.k);
      float amax = 0.0f;
      for (std::int64_t i = begin; i < end; ++i) amax = std::max(amax, std::fabs(args.x[i]));
      const float scale = tensor::FromE8m0(tensor::PowerOfTwoCeiling(amax, tensor::kE4m3Largest, tensor::kE4m3Floor));
      for (std::int64_t i = begin; i < end; ++i) args.codes[i] = tensor::FromE4m3(tensor::ToE4m3(args.x[i] / scale));
      args.scales[r * groups + g] = scale;
    }
  }
}

}  // namespace baleen::kernels::reference

#include <cmath>

#include "kernels/reference/families.h"

namespace baleen::kernels::reference {

float RootMean(const RootMeanArgs& args) noexcept {
  double sum = 0.0;
  for (std::int64_t i = 0; i < args.d; ++i) sum += static_cast<double>(args.x[i]) * args.x[i];
  const auto mean = static_cast<float>(sum / static_cast<double>(args.d));
  return 1.0f / std::sqrt(mean + args.eps);
}

void Norm(const NormArgs& args) noexcept {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.x_stride;
    const float factor = RootMean({x, args.d, args.eps});
    for (std::int64_t i = 0; i < args.d; ++i) args.out[r * args.d + i] = Round(args.weight[i] * (x[i] * factor), args.rounding);
  }
}

void HeadNorm(const HeadNormArgs& args) noexcept {
  for (std::int64_t v = 0; v < args.vectors; ++v) {
    float* x = args.x + v * args.d;
    double sum = 0.0;
    for (std::int64_t i = 0; i < args.d; ++i) sum += Round(x[i] * x[i], args.rounding);
    const float mean = Round(static_cast<float>(sum / static_cast<double>(args.d)), args.rounding);
    const float shifted = Round(mean + args.eps, args.rounding);
    const float factor = Round(static_cast<float>(1.0 / std::sqrt(static_cast<double>(shifted))), args.rounding);
    for (std::int64_t i = 0; i < args.d; ++i) x[i] = Round(x[i] * factor, args.rounding);
  }
}

void Rotate(const RotateArgs& args) noexcept {
  for (std::int64_t v = 0; v < args.vectors; ++v) {
    float* x = args.x + v * args.d + args.d - args.rope_dim;
    for (std::int64_t i = 0; i < args.rope_dim / 2; ++i) {
      const float cosine = args.cosine[i], sine = args.inverse ? -args.sine[i] : args.sine[i];
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = Round(a * cosine - b * sine, args.rounding);
      x[2 * i + 1] = Round(a * sine + b * cosine, args.rounding);
    }
  }
}

}  // namespace baleen::kernels::reference

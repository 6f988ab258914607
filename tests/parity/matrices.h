#pragma once

#include <cmath>

#include "isas.h"
#include "tensor/scalar.h"

namespace baleen::kernels {

inline constexpr Format kFormats[] = {Format::kF32, Format::kBf16, Format::kFp8, Format::kFp4};
inline constexpr const char* kFormatNames[] = {"f32", "bf16", "fp8", "fp4"};

using LinearKernel = void (*)(const LinearArgs&) noexcept;

struct Weights {
  std::vector<std::byte> data;  // exactly the matrix: a sanitizer sees a read past it
  std::vector<std::uint8_t> scales;
  Matrix matrix;
};

/// Random codes; scale codes from [low, high].
inline Weights RandomWeights(Numbers& numbers, Format format, std::int64_t n, std::int64_t k, int low = 117, int high = 130) {
  Weights w;
  w.data.resize(static_cast<std::size_t>(n * RowBytes(format, k)));
  for (std::byte& code : w.data) code = static_cast<std::byte>(numbers.Whole(0, 255));
  if (format == Format::kFp8) {
    for (std::byte& code : w.data) code = (static_cast<int>(code) & 0x7F) == 0x7F ? std::byte{0xFE} : code;
  }
  if (format == Format::kF32 || format == Format::kBf16) {
    for (std::int64_t i = 0; i < n * k; ++i) {
      const float value = numbers.Whole(0, 9) == 0 ? 0.0f : numbers.Uniform(-1.0f, 1.0f);
      const std::uint16_t narrow = tensor::ToBf16(value);
      if (format == Format::kF32) std::memcpy(w.data.data() + 4 * i, &value, 4);
      if (format == Format::kBf16) std::memcpy(w.data.data() + 2 * i, &narrow, 2);
    }
  }
  if (format == Format::kFp8) w.scales.resize(static_cast<std::size_t>((n + 127) / 128 * ((k + 127) / 128)));
  if (format == Format::kFp4) w.scales.resize(static_cast<std::size_t>(n * ((k + 31) / 32)));
  for (std::uint8_t& scale : w.scales) scale = static_cast<std::uint8_t>(numbers.Whole(low, high));
  w.matrix = {format, w.data.data(), w.scales.empty() ? nullptr : w.scales.data(), n, k};
  return w;
}

struct Activations {
  std::vector<float> x, scales;
  std::int64_t rows = 0, k = 0;
  bool quantised = false;
};

inline Activations RandomActivations(Numbers& numbers, std::int64_t rows, std::int64_t k, bool quantised) {
  Activations a{numbers.Wild(rows * k), std::vector<float>(static_cast<std::size_t>(rows * ((k + 127) / 128))), rows, k, quantised};
  if (quantised) TableFor(hardware::Isa::kReference).quantize({a.x.data(), rows, k, a.x.data(), a.scales.data()});
  return a;
}

inline std::vector<float> Multiply(LinearKernel kernel, const Matrix& w, const Activations& a, std::int64_t begin, std::int64_t end, std::int64_t first,
                                   std::int64_t rows, const std::vector<std::int32_t>& x_rows = {}, Rounding rounding = Rounding::kNone) {
  std::vector<float> y(static_cast<std::size_t>(rows * (end - begin)), 7.0f);
  const std::int64_t groups = (a.k + 127) / 128;
  LinearArgs args{.weight = w, .row_begin = begin, .row_end = end, .x = a.x.data() + first * a.k, .x_stride = a.k, .rows = rows, .y = y.data(),
                  .y_stride = end - begin, .rounding = rounding};
  if (!x_rows.empty()) args.x_rows = x_rows.data();
  if (a.quantised) {
    args.x_scales = a.scales.data() + first * groups;
    args.scale_stride = groups;
  }
  kernel(args);
  return y;
}

/// Σ |x·w| of one output, scales applied.
inline double Magnitude(const Weights& w, const Activations& a, std::int64_t r, std::int64_t n) {
  double sum = 0.0;
  const std::int64_t k = a.k;
  const Format format = w.matrix.format;
  const std::byte* row = w.data.data() + n * RowBytes(format, k);
  for (std::int64_t i = 0; i < k; ++i) {
    float value = 0.0f;
    double scale = a.quantised ? a.scales[r * ((k + 127) / 128) + i / 128] : 1.0;
    if (format == Format::kF32) std::memcpy(&value, row + 4 * i, 4);
    if (format == Format::kBf16) {
      std::uint16_t code;
      std::memcpy(&code, row + 2 * i, 2);
      value = tensor::FromBf16(code);
    }
    if (format == Format::kFp8) {
      value = tensor::FromE4m3(static_cast<std::uint8_t>(row[i]));
      scale *= tensor::FromE8m0(w.scales[n / 128 * ((k + 127) / 128) + i / 128]);
    }
    if (format == Format::kFp4) {
      value = tensor::FromE2m1(static_cast<std::uint8_t>(static_cast<int>(row[i / 2]) >> (4 * (i % 2))));
      scale *= tensor::FromE8m0(w.scales[n * ((k + 31) / 32) + i / 32]);
    }
    sum += std::fabs(static_cast<double>(value) * a.x[r * k + i]) * scale;
  }
  return sum;
}

/// Rounding errors on the way to one output: k/16 of a lane's chain, k/128 additions of blocks, the tree, and the reference's own; and half
/// the smallest fp32 a product, kept times 2^-8 for fp8, before scales of at most 2^3.
inline double Bound(std::int64_t k, double magnitude) { return (k / 16.0 + k / 64.0 + 16.0) * 0x1p-24 * magnitude + k * 0x1p-138; }

}  // namespace baleen::kernels

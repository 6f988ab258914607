#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/reference/families.h"

namespace baleen::kernels::reference {
namespace {

void Hadamard(float* x, std::int64_t dim) noexcept {
  for (std::int64_t half = 1; half < dim; half *= 2) {
    for (std::int64_t begin = 0; begin < dim; begin += 2 * half) {
      for (std::int64_t i = begin; i < begin + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
  for (std::int64_t i = 0; i < dim; ++i) x[i] = tensor::RoundToBf16(x[i] * factor);
}

float LargestMagnitude(const float* x, std::int64_t count) noexcept {
  float amax = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) amax = std::max(amax, std::fabs(x[i]));
  return amax;
}

}  // namespace

void PackKv(const PackKvArgs& args) noexcept {
  const KvRowLayout& layout = args.layout;
  if (layout.format == RowFormat::kF32) {
    std::memcpy(args.row, args.x, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  std::memset(args.row + layout.ScaleOffset(), 0, static_cast<std::size_t>(layout.RowBytes() - layout.ScaleOffset()));
  for (std::int64_t g = 0; g < layout.Groups(); ++g) {
    const std::int64_t begin = g * kKvGroup, end = std::min(begin + kKvGroup, layout.CodeBytes());
    const std::uint8_t scale_code = tensor::PowerOfTwoCeiling(LargestMagnitude(args.x + begin, end - begin), tensor::kE4m3Largest, tensor::kE4m3Floor);
    const float scale = tensor::FromE8m0(scale_code);
    args.row[layout.ScaleOffset() + g] = static_cast<std::byte>(scale_code);
    for (std::int64_t i = begin; i < end; ++i) args.row[i] = static_cast<std::byte>(tensor::ToE4m3(args.x[i] / scale));
  }
  for (std::int64_t i = 0; i < layout.rope_dim; ++i) {
    const std::uint16_t code = tensor::ToBf16(args.x[layout.CodeBytes() + i]);
    std::memcpy(args.row + layout.CodeBytes() + 2 * i, &code, 2);
  }
}

void UnpackKv(const UnpackKvArgs& args) noexcept {
  const KvRowLayout& layout = args.layout;
  if (layout.format == RowFormat::kF32) {
    std::memcpy(args.x, args.row, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  for (std::int64_t i = 0; i < layout.CodeBytes(); ++i) {
    const float scale = tensor::FromE8m0(static_cast<std::uint8_t>(args.row[layout.ScaleOffset() + i / kKvGroup]));
    args.x[i] = tensor::RoundToBf16(tensor::FromE4m3(static_cast<std::uint8_t>(args.row[i])) * scale);
  }
  for (std::int64_t i = 0; i < layout.rope_dim; ++i) {
    std::uint16_t code;
    std::memcpy(&code, args.row + layout.CodeBytes() + 2 * i, 2);
    args.x[layout.CodeBytes() + i] = tensor::FromBf16(code);
  }
}

void IndexQuantize(const IndexQuantizeArgs& args) noexcept {
  for (std::int64_t v = 0; v < args.vectors; ++v) {
    float* x = args.x + v * args.dim;
    Hadamard(x, args.dim);
    for (std::int64_t begin = 0; begin < args.dim; begin += kIndexGroup) {
      const std::int64_t count = std::min(kIndexGroup, args.dim - begin);
      const float scale = tensor::FromE8m0(tensor::PowerOfTwoCeiling(LargestMagnitude(x + begin, count), tensor::kE2m1Largest, tensor::kE2m1Floor));
      for (std::int64_t i = begin; i < begin + count; ++i) x[i] = tensor::RoundToBf16(tensor::FromE2m1(tensor::ToE2m1(x[i] / scale)) * scale);
    }
  }
}

void PackIndex(const PackIndexArgs& args) noexcept {
  const IndexRowLayout& layout = args.layout;
  if (layout.format == RowFormat::kF32) {
    std::memcpy(args.row, args.x, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  std::memcpy(args.scratch, args.x, static_cast<std::size_t>(4 * layout.dim));
  Hadamard(args.scratch, layout.dim);
  for (std::int64_t g = 0; g < layout.Groups(); ++g) {
    const std::int64_t begin = g * kIndexGroup, count = std::min(kIndexGroup, layout.dim - begin);
    const std::uint8_t scale_code = tensor::PowerOfTwoCeiling(LargestMagnitude(args.scratch + begin, count), tensor::kE2m1Largest, tensor::kE2m1Floor);
    const float scale = tensor::FromE8m0(scale_code);
    args.row[layout.dim / 2 + g] = static_cast<std::byte>(scale_code);
    for (std::int64_t i = begin; i < begin + count; i += 2) {
      const unsigned low = tensor::ToE2m1(args.scratch[i] / scale), high = tensor::ToE2m1(args.scratch[i + 1] / scale);
      args.row[i / 2] = static_cast<std::byte>(low | (high << 4));
    }
  }
}

}  // namespace baleen::kernels::reference

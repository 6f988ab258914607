#include "kernels/reference/families.h"

#include <cstring>

namespace baleen::kernels::reference {

void PeakMultiply(std::int64_t steps, std::byte* operands) noexcept {
  constexpr std::int64_t kSums = 8;
  auto* x = reinterpret_cast<float*>(operands);
  float sum[kSums] = {};
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::int64_t i = 0; i < kSums; ++i) sum[i] = sum[i] * 0.5f + x[step % 16 * kSums + i];
  }
  std::memcpy(x, sum, sizeof sum);
}

std::uint64_t ReadStreams(const std::byte* data, std::int64_t bytes) noexcept {
  const std::int64_t stream = bytes / kReadStreams;
  std::uint64_t seen = 0;
  for (std::int64_t at = 0; at < stream; at += 8) {
    for (std::int64_t s = 0; s < kReadStreams; ++s) {
      std::uint64_t word;
      std::memcpy(&word, data + s * stream + at, 8);
      seen |= word;
    }
  }
  return seen;
}

}  // namespace baleen::kernels::reference

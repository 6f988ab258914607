#pragma once

#include <cstddef>
#include <cstdint>

namespace baleen::kernels {

inline constexpr std::int64_t kPeakBytes = 16384;  // operands of Peaks::multiply
inline constexpr std::int64_t kReadStreams = 8;

/// What a row's instructions reach where nothing holds them up: measured beside its other entries, to tell how much of the machine they use.
struct Peaks {
  const char* instruction = nullptr;  // the one that multiplies
  double flops = 0;                   // of one of its steps
  std::int64_t steps = 0;             // that take some ten microseconds
  /// `operands`: kPeakBytes of zeros, aligned to a cache line, in the first level of the cache.
  void (*multiply)(std::int64_t steps, std::byte* operands) noexcept = nullptr;
  /// Reads every byte once, as kReadStreams streams at a time; returns the Or of its 64-bit words. bytes: a multiple of 4096.
  std::uint64_t (*read)(const std::byte* data, std::int64_t bytes) noexcept = nullptr;
};

}  // namespace baleen::kernels

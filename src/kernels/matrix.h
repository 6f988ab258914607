#pragma once

#include <cstddef>
#include <cstdint>

namespace baleen::kernels {

/// How the numbers of a weight matrix are stored (specification §9.1).
enum class Format : std::uint8_t {
  kF32,   // 4 bytes
  kBf16,  // 2 bytes
  kFp8,   // e4m3, one e8m0 scale per 128 × 128 block
  kFp4,   // e2m1, two a byte, low nibble first; one e8m0 scale per row and 32 columns
  kInt8,  // whole numbers, one fp32 scale per row
};

/// A weight matrix where it lies, row-major [n, k], no alignment promised.
struct Matrix {
  Format format = Format::kF32;
  const std::byte* data = nullptr;
  const std::uint8_t* scales = nullptr;  // kFp8: [ceil(n/128), ceil(k/128)]; kFp4: [n, ceil(k/32)]; else null
  std::int64_t n = 0, k = 0;
  const float* row_scales = nullptr;  // kInt8: [n]; else null
};

/// Bytes of one row. k is even for kFp4.
[[gnu::always_inline]] inline constexpr std::int64_t RowBytes(Format format, std::int64_t k) noexcept {
  return format == Format::kF32 ? 4 * k : format == Format::kBf16 ? 2 * k : format == Format::kFp4 ? k / 2 : k;
}

/// Bytes of a matrix's e8m0 scales: kFp4 has them for each row, kFp8 for each 128 rows.
[[gnu::always_inline]] inline constexpr std::int64_t ScaleBytes(Format format, std::int64_t n, std::int64_t k) noexcept {
  return format == Format::kFp4 ? n * ((k + 31) / 32) : format == Format::kFp8 ? (n + 127) / 128 * ((k + 127) / 128) : 0;
}

/// Columns that share one scale; also the block of the summation order.
[[gnu::always_inline]] inline constexpr std::int64_t ScaleColumns(Format format) noexcept { return format == Format::kFp4 ? 32 : 128; }

/// Where an operation rounds its results to: nowhere (exact arithmetic) or to the nearest bf16 (official arithmetic, A.4).
enum class Rounding : std::uint8_t { kNone, kBf16 };

/// Channels per activation scale (§9.2) and per KV scale (§3.2). A last group may be shorter.
inline constexpr std::int64_t kActivationGroup = 128, kKvGroup = 64, kIndexGroup = 32;

}  // namespace baleen::kernels

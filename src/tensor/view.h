#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace baleen::tensor {

/// A named piece of somebody else's memory: row-major, unaligned (safetensors promises no alignment).
struct View {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;      // logical: for kF4 the last dimension counts codes, not bytes
  std::span<const std::byte> bytes;     // exactly Elements() * DTypeBits / 8

  std::int64_t Elements() const noexcept {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    return count;
  }
};

/// "[2, 3]" for messages.
std::string ShapeText(std::span<const std::int64_t> shape);

}  // namespace baleen::tensor

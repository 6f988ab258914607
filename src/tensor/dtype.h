#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace baleen::tensor {

/// Element types of a safetensors file that this program can name. kF4 is two e2m1 codes a byte, low nibble first.
enum class DType { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kF8E8M0, kF4, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

/// The name a safetensors header uses, for example "F8_E4M3".
std::string_view DTypeName(DType dtype) noexcept;
std::optional<DType> DTypeFromName(std::string_view name) noexcept;

/// Bits of one element (4 for kF4).
int DTypeBits(DType dtype) noexcept;

}  // namespace baleen::tensor

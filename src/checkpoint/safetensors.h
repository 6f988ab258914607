#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "diagnostics/result.h"
#include "tensor/view.h"

namespace baleen::checkpoint {

/// Longest header that is read, and longest index file.
inline constexpr std::uint64_t kHeaderLimitBytes = 100'000'000;

/// One tensor of a safetensors file.
struct StoredTensor {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<std::int64_t> shape;        // logical; F4 counts codes
  std::uint64_t begin = 0, end = 0;       // bytes from the start of the file
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;      // by name
  std::map<std::string, std::string> metadata;
};

/// Reads and checks the header of a safetensors file that lies in memory: 8 bytes of length, JSON, then tensor bytes without holes.
/// Only header bytes are touched.
/// Errors: too short, header longer than the file or than kHeaderLimitBytes, malformed JSON, duplicate names, unknown dtype, a shape
/// whose size does not fit 63 bits or differs from its byte range, ranges that overlap, leave holes or end elsewhere than the file.
Result<SafetensorsHeader> ParseSafetensors(std::span<const std::byte> file);

/// Bytes of a tensor of this type and shape. Errors: a negative extent, more than 2^63 - 1 bits, half a byte left over.
Result<std::uint64_t> TensorBytes(tensor::DType dtype, std::span<const std::int64_t> shape);

}  // namespace baleen::checkpoint

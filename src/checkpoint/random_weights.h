#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/tensor_list.h"

namespace baleen::checkpoint {

/// The random contents of one tensor of a twin: a function of name, seed and byte position only, so that any part can be made at any
/// time by any thread. Products have unit variance, norms are near 1, mixing and bias terms small: activations stay sane however deep.
class RandomTensor {
 public:
  /// The tensor itself, in its official dtype.
  RandomTensor(const TensorSpec& spec, const ModelConfig& config, std::uint64_t seed);
  /// The e8m0 scales of a linear: the two powers of two around the wanted size, mixed so that the variance comes out right.
  static RandomTensor Scales(const TensorSpec& spec, const ModelConfig& config, std::uint64_t seed);

  /// Writes bytes [first, first + out.size()) of the tensor.
  void Fill(std::uint64_t first, std::span<std::byte> out) const;

 private:
  enum class Kind { kFp8, kFp4, kBf16, kF32, kScale, kExpertIds };

  RandomTensor() = default;

  template <Kind kind>
  std::uint64_t WordOf(std::uint64_t index) const;  // the 8 bytes at 8·index
  template <Kind kind>
  void FillOf(std::uint64_t first, std::span<std::byte> out) const;

  Kind kind_ = Kind::kBf16;
  std::uint64_t key_ = 0;
  float center_ = 0, spread_ = 0;                      // plain tensors: center + spread·u, u uniform in [-1, 1)
  std::uint8_t scale_ = 0;                             // the larger of the two scale codes
  std::uint32_t larger_of_65536_ = 0;                  // how often it is taken
  std::uint64_t experts_ = 0, experts_per_token_ = 0;  // tid2eid
};

}  // namespace baleen::checkpoint

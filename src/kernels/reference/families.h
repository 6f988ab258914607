#pragma once

#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::reference {

// The obvious scalar form of every leaf operation; their contracts stand at the argument structs.

void Linear(const LinearArgs& args) noexcept;
void PeakMultiply(std::int64_t steps, std::byte* operands) noexcept;
std::uint64_t ReadStreams(const std::byte* data, std::int64_t bytes) noexcept;
void Quantize(const QuantizeArgs& args) noexcept;
void ByteLinear(const ByteLinearArgs& args) noexcept;
void ByteQuantize(const ByteQuantizeArgs& args) noexcept;
void Norm(const NormArgs& args) noexcept;
void HeadNorm(const HeadNormArgs& args) noexcept;
void Rotate(const RotateArgs& args) noexcept;
void PackKv(const PackKvArgs& args) noexcept;
void UnpackKv(const UnpackKvArgs& args) noexcept;
void IndexQuantize(const IndexQuantizeArgs& args) noexcept;
void PackIndex(const PackIndexArgs& args) noexcept;
void Attend(const AttendArgs& args) noexcept;
void IndexScore(const IndexScoreArgs& args) noexcept;
void TopK(const TopKArgs& args) noexcept;
void Pool(const PoolArgs& args) noexcept;
void Mix(const MixArgs& args) noexcept;
void HeadMix(const HeadMixArgs& args) noexcept;
void Collapse(const CollapseArgs& args) noexcept;
void Expand(const ExpandArgs& args) noexcept;
float RootMean(const RootMeanArgs& args) noexcept;
void RouterScore(const RouterScoreArgs& args) noexcept;
void Swiglu(const SwigluArgs& args) noexcept;
void Add(const AddArgs& args) noexcept;
void RoundBf16(const RoundArgs& args) noexcept;

/// value, rounded as asked.
[[gnu::always_inline]] inline float Round(float value, Rounding rounding) noexcept {
  return rounding == Rounding::kBf16 ? tensor::RoundToBf16(value) : value;
}

}  // namespace baleen::kernels::reference

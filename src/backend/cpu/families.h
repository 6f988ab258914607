#pragma once

#include "backend/ops.h"

namespace baleen::backend::cpu {

/// The CPU's operations: each splits its rows or outputs over the device's team and calls the leaf kernels.
const Ops& Table() noexcept;

void RunEmbed(Device& device, const Embed& op) noexcept;
void RunCollapse(Device& device, const CollapseStreams& op) noexcept;
void RunExpand(Device& device, const ExpandStreams& op) noexcept;
void RunCollapseHead(Device& device, const CollapseHead& op) noexcept;
void RunMeanStreams(Device& device, const MeanStreams& op) noexcept;
void RunQuantize(Device& device, const Quantize& op) noexcept;
void RunLinear(Device& device, const Linear& op) noexcept;
void RunGroupedLinear(Device& device, const GroupedLinear& op) noexcept;
void RunNorm(Device& device, const Norm& op) noexcept;
void RunMakeRotation(Device& device, const MakeRotation& op) noexcept;
void RunPrepareQuery(Device& device, const PrepareQuery& op) noexcept;
void RunStoreKv(Device& device, const StoreKv& op) noexcept;
void RunScaleBy(Device& device, const ScaleBy& op) noexcept;
void RunAddRows(Device& device, const AddRows& op) noexcept;
void RunCompress(Device& device, const Compress& op) noexcept;
void RunChooseRows(Device& device, const ChooseRows& op) noexcept;
void RunAttend(Device& device, const Attend& op) noexcept;
void RunKeepRows(Device& device, const KeepRows& op) noexcept;
void RunRoute(Device& device, const Route& op) noexcept;
void RunAllExperts(Device& device, const RunExperts& op) noexcept;

/// Rows [part·size, …) of a split of `count` things into parts of `size`.
struct Span {
  std::int64_t begin, end;
};
constexpr std::int64_t Parts(std::int64_t count, std::int64_t size) noexcept { return (count + size - 1) / size; }
constexpr Span Part(std::int64_t count, std::int64_t size, std::int64_t part) noexcept {
  const std::int64_t begin = part * size, end = begin + size;
  return {begin, end < count ? end : count};
}

/// Outputs of a linear layer that one part computes: enough work to pay for the hand-over, a multiple of 16.
std::int64_t OutputsPerPart(std::int64_t outputs, int threads) noexcept;

}  // namespace baleen::backend::cpu

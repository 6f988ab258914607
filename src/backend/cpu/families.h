#pragma once

#include "backend/ops.h"

namespace baleen::backend::cpu {

/// The CPU's operations: each splits its rows or outputs over the device's team and calls the leaf kernels.
const Ops& Table() noexcept;

void RunEmbed(Device& device, const Embed& op) noexcept;
void RunCollapse(Device& device, const CollapseStreams& op) noexcept;
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

/// What a part of a job over `matrices` matrices of so many outputs computes, `size` outputs of one: blocks of outputs come first, then matrices, so
/// that whichever matrices are there, a thread begins with the same rows of each (0017).
struct MatrixPart {
  std::int64_t matrix;
  Span outputs;
};
constexpr MatrixPart PartOf(std::int64_t matrices, std::int64_t outputs, std::int64_t size, std::int64_t part) noexcept {
  return {part % matrices, Part(outputs, size, part / matrices)};
}

/// Rows that one part of a row-wise operation computes: some parts for each thread, but few, as handing one out costs as much as a short row.
constexpr std::int64_t RowsPerPart(std::int64_t rows, int threads) noexcept {
  constexpr std::int64_t kMost = 4;
  const std::int64_t share = rows / (4 * threads);
  return share < 1 ? 1 : share > kMost ? kMost : share;
}

/// Calls body(r, thread) for every row in [0, rows).
template <typename Body>
void ForRows(Device& device, std::int64_t rows, const Body& body) noexcept {
  const std::int64_t size = RowsPerPart(rows, device.workers().threads());
  device.workers().Run(Parts(rows, size), [&](std::int64_t part, int thread) noexcept {
    const Span span = Part(rows, size, part);
    for (std::int64_t r = span.begin; r < span.end; ++r) body(r, thread);
  });
}

/// Expands the rows' streams by op.f, where there is one; [rows, d].
void ExpandRows(Device& device, const ExpandStreams& op, const Span& rows, std::int64_t d, Rounding rounding) noexcept;

/// Outputs of a linear layer of `rows` rows that one part computes: enough work to pay for the hand-over, a multiple of 16. `matrices` run
/// together, in one job.
std::int64_t OutputsPerPart(std::int64_t outputs, std::int64_t rows, std::int64_t matrices, int threads) noexcept;

}  // namespace baleen::backend::cpu

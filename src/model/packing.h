#pragma once

#include <cstdint>

#include "backend/device.h"
#include "model/weights.h"

namespace baleen::model {

/// Where a model's matrices are read.
enum class WeightsPlace : std::uint8_t {
  kMapped,  // in the checkpoint's files, as the system maps them
  kPacked,  // in memory of the process's own
};

/// Matrices copied out of the checkpoint.
struct PackedWeights {
  hardware::Region memory;
  double seconds = 0;  // of the copy
};

/// The rows [begin, end) of a matrix of so many that this thread of the team copies, so that their pages come to lie on its NUMA node.
struct PackedRows {
  std::int64_t begin, end;
};
PackedRows RowsPackedBy(std::int64_t rows, int thread, int threads) noexcept;

/// Bytes that PackWeights takes for these weights.
std::uint64_t PackedBytes(const Weights& weights) noexcept;

/// Copies every matrix with its scales into memory of the process's own, on huge pages where the system has them, and lets the matrices point there;
/// rows stay as the checkpoint stores them, each matrix begins at a multiple of 64 bytes. The whole team copies: of every matrix each thread the rows
/// that it multiplies in a step, so that their pages come to lie on its NUMA node. The checkpoint's own pages are given back. Shows a progress bar when
/// long. Errors: less memory available than it takes.
Result<PackedWeights> PackWeights(Weights& weights, const checkpoint::Checkpoint& checkpoint, backend::Device& device);

}  // namespace baleen::model

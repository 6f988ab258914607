#pragma once

#include <cstdint>
#include <span>

#include "kvcache/sequence.h"

namespace baleen::model {

/// Consecutive tokens of one sequence inside a step; they continue it at sequence->length().
struct Segment {
  kvcache::Sequence* sequence = nullptr;
  std::int64_t rows = 0;
};

/// Sees the residual streams [rows, n, d] after each layer; for tests and traces.
struct StreamObserver {
  void (*see)(void* context, std::int64_t layer, const float* streams, std::int64_t rows) = nullptr;
  void* context = nullptr;
};

/// One forward pass over the rows of several sequences, some in prefill, some in decode. A row's results do not depend on the other
/// sequences of the step nor on how its sequence was cut into steps.
struct Step {
  std::span<const std::int32_t> tokens;      // [rows], the segments' tokens one after another
  std::span<const Segment> segments;         // different sequences
  std::span<const std::int32_t> rows_wanted; // rows of the step whose logits are computed, rising
  StreamObserver observer;
};

}  // namespace baleen::model

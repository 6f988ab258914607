#pragma once

#include <cstdint>
#include <span>

#include "kvcache/sequence.h"

namespace baleen::model {

/// What the drafter does for one sequence of the last step: its own state is brought up to the rows that were kept of the step, and
/// tokens are drafted behind them.
struct Proposal {
  kvcache::Sequence* sequence = nullptr;
  std::int64_t segment = 0;        // its place in the last step
  std::int32_t next_token = 0;     // the token at position sequence->length(): sampled, or the prompt's next
  std::int64_t wanted = 0;         // tokens to draft; 0 = only keep up
  std::span<std::int32_t> tokens;  // [wanted] for positions length + 1, length + 2, …   (out)
  std::span<float> confidence;     // [wanted] or empty: DSpark's probability that each is accepted once those before it are   (out)
  std::int64_t proposed = 0;       // tokens drafted: `wanted`, or fewer where DSpark's confidences end the draft early   (out)
};

}  // namespace baleen::model

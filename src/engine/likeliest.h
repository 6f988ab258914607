#pragma once

#include <cstdint>
#include <span>

#include "diagnostics/result.h"
#include "engine/request.h"

namespace baleen::engine {

constexpr std::int64_t kMostLikeliest = 20;  // alternatives that a request may ask for

/// log softmax(logits)[chosen], and the likeliest.size() likeliest tokens with theirs: falling, ties by the lower id. likeliest has at most
/// min(kMostLikeliest, vocab) places and may be empty; how many it has changes no value. The logits are those of the model, unadjusted; sums
/// in double. Allocates nothing.
/// Errors: a logit that is not finite.
Result<double> Likeliest(std::span<const float> logits, std::int32_t chosen, std::span<ScoredToken> likeliest);

}  // namespace baleen::engine

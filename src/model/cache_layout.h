#pragma once

#include "checkpoint/model_config.h"
#include "kvcache/layout.h"
#include "model/activations.h"

namespace baleen::model {

/// What a model of these limits keeps of a sequence: known from the config alone, so that memory can be settled before a weight is loaded.
kvcache::Layout CacheLayoutOf(const checkpoint::ModelConfig& config, Arithmetic arithmetic, const Limits& limits);

/// Within a context of so many tokens a longer window or more chosen entries change nothing; their memory would be taken for nothing.
checkpoint::ModelConfig ConfigWithin(checkpoint::ModelConfig config, std::int64_t context);

/// Tokens that the checkpoint's drafter can propose at once, of the ones asked for.
std::int64_t DraftTokensOf(const checkpoint::ModelConfig& config, std::int64_t asked);

}  // namespace baleen::model

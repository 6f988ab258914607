#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "diagnostics/result.h"
#include "model/transformer.h"

namespace baleen::engine {

/// Natural logarithms of the probabilities that the model gives to a text: [tokens - 1], entry i for token i + 1 behind tokens 0 … i.
/// The softmax is taken in double. Uses steps of min(Limits.rows, Limits.logit_rows).
/// Errors: fewer than two tokens, more than the context, an id outside the vocabulary, a logit that is not finite.
Result<std::vector<double>> LogProbabilities(model::Transformer& model, std::span<const std::int32_t> tokens);

/// log softmax(logits)[id]. Errors: a logit that is not finite.
Result<double> LogProbability(std::span<const float> logits, std::int32_t id);

}  // namespace baleen::engine

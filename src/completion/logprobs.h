#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "completion/answer.h"
#include "text/tokenizer.h"

namespace baleen::completion {

/// Log-probabilities of tokens as OpenAI's dialects write them. A probability of nothing is -9999, as the vendor's service writes it.

/// A JSON array of those tokens that are reasoning, or of the others: token, logprob, bytes, top_logprobs.
std::string LogprobList(std::span<const SampledToken> tokens, bool reasoning, const text::Tokenizer& tokenizer);

/// {"content": […], "reasoning_content": […]}, the latter if the answer thinks.
std::string ChatLogprobs(std::span<const SampledToken> tokens, bool thinks, const text::Tokenizer& tokenizer);

/// OpenAI's older form beside the newer one. offset: the characters in front of the first token; in the end, those behind the last.
std::string TextLogprobs(std::span<const SampledToken> tokens, const text::Tokenizer& tokenizer, std::size_t& offset);

/// How a token is written in log-probabilities: its text, "bytes:\xe4\xb8" where it is not whole UTF-8, "id:2047" where it has no bytes.
std::string TokenText(const text::Tokenizer& tokenizer, std::int32_t id);

}  // namespace baleen::completion

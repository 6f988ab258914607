#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "completion/completion.h"

namespace baleen::completion {

/// What a response is called.
struct ResponseNames {
  std::string id;            // "chatcmpl-…" or "cmpl-…"; the ids of tool calls are made from it
  std::int64_t created = 0;  // seconds since 1970
};

/// The body of a completion that is done and did not fail, as JSON in one line, in the order of OpenAI's reference. Beyond it: reasoning_content
/// in messages and logprobs, prompt_cache_hit_tokens and prompt_cache_miss_tokens in usage, content in the logprobs of text completions.
std::string WriteOpenAiBody(const Completion& completion, const ServedModel& model, const ResponseNames& names);

/// {"error": {"message": …, "type": …, "param": …, "code": …}}
std::string WriteOpenAiError(const RequestError& error);

/// How a token is written in log-probabilities: its text, "bytes:\xe4\xb8" where it is not whole UTF-8, "id:2047" where it has no bytes.
std::string TokenText(const text::Tokenizer& tokenizer, std::int32_t id);

}  // namespace baleen::completion

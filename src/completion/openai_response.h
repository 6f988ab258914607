#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "completion/completion.h"

namespace baleen::completion {

/// What a response is called, in every dialect.
struct ResponseNames {
  std::string id;            // "chatcmpl-…", "cmpl-…", "resp_…" or "msg_…"; the ids of tool calls are made from it
  std::int64_t created = 0;  // seconds since 1970
  std::string fingerprint = {};  // OpenAI's system_fingerprint; empty = not written
  std::string request_id = {};   // Anthropic's, for an error inside a stream
};

/// The body of a completion that is done and did not fail, as JSON in one line, in the order of OpenAI's reference. Beyond it: reasoning_content
/// in messages and logprobs, prompt_cache_hit_tokens and prompt_cache_miss_tokens in usage, content in the logprobs of text completions.
std::string WriteOpenAiBody(const Completion& completion, const ServedModel& model, const ResponseNames& names);

/// {"error": {"message": …, "type": …, "param": …, "code": …}}; the type follows from the status.
std::string WriteOpenAiError(const RequestError& error);

/// The first members of a body or chunk, with a comma behind them.
std::string WriteOpenAiHead(std::string_view object, const ServedModel& model, const ResponseNames& names);

/// The usage block. chat: with the reasoning tokens.
std::string WriteOpenAiUsage(const CompletionUsage& usage, bool chat);

}  // namespace baleen::completion

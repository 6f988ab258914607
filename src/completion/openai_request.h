#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "completion/completion_request.h"
#include "completion/request_error.h"
#include "text/json_python.h"

namespace baleen::completion {

/// The limits of a request's fields beyond those of OpenAI's own reference.
inline constexpr std::int64_t kMostChoices = 16;
inline constexpr std::size_t kMostStops = 16, kMostStopCharacters = 4096;
inline constexpr std::size_t kMostTools = 128, kMostNameBytes = 64;
inline constexpr std::size_t kMostPatternCharacters = 65536;
inline constexpr std::int64_t kMostAlternatives = 20;
inline constexpr std::int64_t kMostNewTokens = std::int64_t{1} << 31;

/// What differs between the routes of one dialect.
struct OpenAiRules {
  bool prefix = true;  // an assistant's last message with prefix: true may be gone on with; the vendor has this under /beta only
};

/// Reads the body of /v1/chat/completions. vocab_size bounds the ids of logit_bias.
///
/// Read: model, messages, thinking {type}, reasoning_effort (also minimal, medium, xhigh, ultra, none), max_tokens or
/// max_completion_tokens, temperature, top_p, top_k, min_p, frequency_penalty, presence_penalty, logit_bias, seed, stop, logprobs,
/// top_logprobs, ignore_eos, n, tools, tool_choice, parallel_tool_calls, response_format, stream, stream_options, user_id or user.
/// response_format is also {type: "regex", pattern} and {type: "grammar", grammar (GBNF)}.
/// Accepted without effect, but with their types checked: store, metadata, service_tier, safety_identifier, prompt_cache_key, verbosity.
/// Other fields are ignored; null counts as absent. Thinking is on unless `thinking` or the effort "none" switches it off; reasoning_content may
/// be missing from earlier turns.
/// Errors: 400 and 422 that name the field; also for functions and function_call, and for a tool's message with no call in front of it.
Checked<CompletionRequest> ReadOpenAiChat(const text::JsonValue& body, std::int64_t vocab_size, OpenAiRules rules = {});

/// Reads the body of /v1/completions: prompt (a string, an array of ids, or an array of one of these) and the fields above that are not
/// of chats; logprobs is a count here (true = 0 alternatives beside top_logprobs). With a suffix the text between prompt and suffix is asked
/// for (fill in the middle). echo and best_of are refused where they would have an effect.
Checked<CompletionRequest> ReadOpenAiText(const text::JsonValue& body, std::int64_t vocab_size);

}  // namespace baleen::completion

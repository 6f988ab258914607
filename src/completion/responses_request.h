#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "completion/completion_request.h"
#include "completion/request_error.h"
#include "text/json_python.h"

namespace baleen::completion {

/// Names of tools on /v1/responses and /v1/messages.
inline constexpr std::size_t kMostLongNameBytes = 128;
inline constexpr std::size_t kMostMetadata = 16, kMostMetadataKeyCharacters = 64, kMostMetadataCharacters = 512;

/// A body of /v1/responses, and what the response needs of it beyond the completion.
struct ResponsesRequest {
  CompletionRequest completion;
  std::vector<std::string> custom_tools;  // names; their calls become items of type custom_tool_call
  std::string echo;                       // what the response object repeats: members as JSON, each followed by ", "
};

/// Reads the body of /v1/responses, which is answered without any memory of earlier ones.
///
/// Read: model, input (a string, or items of type message, reasoning, function_call, function_call_output, custom_tool_call,
/// custom_tool_call_output; an item without a type but with a role is a message; web_search_call is left out), instructions (the first system
/// message), tools, tool_choice, parallel_tool_calls, reasoning {effort}, text {format}, max_output_tokens, temperature, top_p, seed, include
/// (message.output_text.logprobs), top_logprobs, stream, metadata, user_id, user or safety_identifier.
/// A developer is a user. Reasoning, text and calls in a row are one turn of the assistant. A tool of type custom becomes a function with one
/// string `input`, its grammar in the description; tools of other types than function and custom run elsewhere and are left out.
/// Accepted without effect, but with their types checked: store, truncation, max_tool_calls, service_tier, prompt_cache_key, stream_options.
/// Other fields are ignored; null counts as absent.
/// Errors: 400 and 422 that name the field; also for previous_response_id, conversation, prompt and background: true, which would need a memory.
Checked<ResponsesRequest> ReadResponses(const text::JsonValue& body);

}  // namespace baleen::completion

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "completion/openai_response.h"
#include "completion/response_writer.h"

namespace baleen::completion {

/// Writes the answer to /v1/messages, as events or as one body: blocks of type thinking, text and tool_use. The signature of a thinking block is made
/// of the response's id; nothing checks it when it comes back. usage: input_tokens are those of the prompt that were not in the prefix cache,
/// cache_read_input_tokens those that were, cache_creation_input_tokens is 0.
/// In a body, arguments that are no JSON object (the token limit cut the call) become {"arguments": TEXT}, as in the chat encoding; in a stream they
/// stand as they came.
/// message_start comes with the first token, a comment keeps the connection open until then; it counts the whole prompt as input_tokens, since the
/// hits are not known yet, and message_delta has the final counts.
/// Begin is empty. model must outlive the writer; of the request nothing is needed.
std::unique_ptr<ResponseWriter> MakeAnthropicWriter(const CompletionRequest& request, const ServedModel& model, ResponseNames names);

/// {"type": "error", "error": {"type": …, "message": …}, "request_id": …}; the type follows from the status.
std::string WriteAnthropicError(const RequestError& error, const std::string& request_id);

/// The HTTP status that this dialect has for an error: 400 for a value out of range, 529 for overload.
int AnthropicStatus(int status) noexcept;

/// The answer to /v1/messages/count_tokens.
std::string WriteTokenCount(std::int64_t prompt_tokens);

}  // namespace baleen::completion

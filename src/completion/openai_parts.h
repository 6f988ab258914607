#pragma once

#include "completion/completion_request.h"
#include "completion/fields.h"

namespace baleen::completion {

/// The parts of an OpenAI body that have a form of their own.

/// messages: at least one, each with a known role and text content; the last asks for an answer (a user, tool or developer message, or an
/// assistant's with prefix: true, which is gone on with).
Checked<text::Messages> ReadOpenAiMessages(const Fields& body);

/// tools, tool_choice and parallel_tool_calls.
Checked<void> ReadOpenAiTools(const Fields& body, CompletionRequest& request);

/// response_format. The schema itself is judged when it is compiled.
Checked<void> ReadOpenAiFormat(const Fields& body, CompletionRequest& request);

/// 1 to 64 letters, digits, _ and -.
bool IsName(std::string_view name) noexcept;

}  // namespace baleen::completion

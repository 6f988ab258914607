#pragma once

#include <string>
#include <string_view>

#include "completion/completion_request.h"
#include "completion/request_error.h"
#include "text/json_python.h"

namespace baleen::completion {

/// What differs between the routes of the Messages dialect.
enum class AnthropicRoute {
  kMessages,
  kCountTokens,  // max_tokens may be absent
};

/// Reads the body of /v1/messages or /v1/messages/count_tokens.
///
/// Read: model, max_tokens (required), system (a string or text blocks), messages (user, assistant and system; blocks of type text, thinking,
/// tool_use, tool_result with text; a system message behind others is taken for the user's), tools {name, description, input_schema, strict}, tool_choice auto, any, tool or none with disable_parallel_tool_use,
/// thinking enabled, adaptive, between_tools or disabled, output_config {effort, format}, stop_sequences, temperature (0 to 2, as the vendor's service takes
/// it), top_p, top_k, seed, metadata.user_id, stream.
/// Thinking is off, as with Anthropic, unless `thinking` or an effort asks for it; budget_tokens has no effect. A last message of the assistant is
/// gone on with. Thinking without its text (redacted_thinking) is left out, signatures are not checked. Tools with a type other than custom run
/// elsewhere, or have a form of their own, and are left out. Blocks of other types are refused by name.
/// Lines of `system` that begin with "x-anthropic-billing-header:" are left out: Claude Code puts a number into them that is new every time, which
/// would keep every prompt from being found in the prefix cache. Nothing else is changed.
/// Other fields are ignored; null counts as absent.
/// Errors: 400 and 422 that name the field.
Checked<CompletionRequest> ReadAnthropic(const text::JsonValue& body, AnthropicRoute route = AnthropicRoute::kMessages);

/// The text without the lines described above.
std::string WithoutVolatileLines(std::string_view system);

}  // namespace baleen::completion

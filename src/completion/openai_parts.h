#pragma once

#include "completion/completion_request.h"
#include "completion/fields.h"
#include "completion/openai_request.h"

namespace baleen::completion {

/// The parts of an OpenAI body that have a form of their own.

/// messages: at least one, each with a known role and text content; the last asks for an answer (a user, tool or developer message, or an
/// assistant's with prefix: true, which is gone on with).
Checked<text::Messages> ReadOpenAiMessages(const Fields& body, OpenAiRules rules);

/// tools, tool_choice and parallel_tool_calls.
Checked<void> ReadOpenAiTools(const Fields& body, CompletionRequest& request);

/// One stop text: not empty, at most kMostStopCharacters.
Checked<void> AddStop(const text::JsonValue& value, const std::string& place, std::vector<std::string>& stops);

/// {"mode": "auto" or "required", "tools": [{"type": "function", "name": …}, …]}: which tools may be called. nested: the name stands in "function".
Checked<ToolChoice> ReadAllowedTools(const Fields& choice, bool nested);

/// Is a tool that must be called among the tools? name_path: the field that names it.
Checked<void> CheckToolChoice(const CompletionRequest& request, const std::string& name_path);
/// An array of at most kMostTools.
Checked<void> CheckToolCount(const text::JsonValue& tools);

/// response_format. The schema itself is judged when it is compiled.
Checked<void> ReadOpenAiFormat(const Fields& body, CompletionRequest& request);

/// 1 to `most` letters, digits, _ and -.
bool IsName(std::string_view name, std::size_t most = kMostNameBytes) noexcept;

/// How IsName's names look, in words.
std::string NameForm(std::size_t most);

/// A tool's "name".
Checked<std::string> ReadToolName(const Fields& tool, std::size_t most);

/// name, description, strict and the JSON schema under schema_key, as a function that the model is told of with just these.
Checked<Tool> ReadFunction(const Fields& function, std::size_t most_name_bytes, std::string_view schema_key);

/// tool_choice where it is a text: none, auto or required. expected: all that it may be, for the error.
Checked<ToolChoice> ReadChoiceWord(const Fields& body, std::string_view word, std::string_view expected);

/// Offers the model a tool. Errors: 409, an earlier one has its name; path is that of the name. A schema cannot say that names differ, so it is no 422:
/// that is for values which the document refuses.
Checked<void> OfferTool(CompletionRequest& request, Tool tool, const std::string& path);

}  // namespace baleen::completion

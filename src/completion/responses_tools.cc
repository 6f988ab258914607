#include <algorithm>

#include "completion/openai_parts.h"
#include "completion/responses_parts.h"

namespace baleen::completion {
namespace {

using text::JsonValue;
using text::QuoteJson;

std::string OrNull(const JsonValue* value) { return value == nullptr ? "null" : text::WriteJson(*value); }

std::string EchoFunction(const Fields& entry, const Tool& tool) {
  return "{\"type\": \"function\", \"name\": " + QuoteJson(tool.name) + ", \"description\": " + OrNull(entry.Find("description")) +
         ", \"parameters\": " + OrNull(entry.Find("parameters")) + ", \"strict\": " + (tool.strict ? "true" : "false") + "}";
}

// A tool that takes free text, as a function with one string; a grammar for the text is told to the model.
Checked<Tool> ReadCustom(const Fields& entry) {
  Tool tool;
  TRY_ASSIGN(tool.name, ReadToolName(entry, kMostLongNameBytes));
  TRY_ASSIGN(const std::optional<std::string> description, entry.Text("description", std::string::npos));
  std::string about = "The whole input, as plain text.";
  if (const JsonValue* value = entry.Find("format")) {
    TRY_ASSIGN(const Fields format, Fields::Of(value, entry.Path("format")));
    TRY_ASSIGN(const std::optional<std::string> type, format.Text("type", std::string::npos));
    if (!type) return format.WrongType("type", "text or grammar");
    if (*type != "text" && *type != "grammar") return format.WrongValue("type", "text or grammar");
    if (*type == "grammar") {
      TRY_ASSIGN(const std::optional<std::string> syntax, format.Text("syntax", std::string::npos));
      TRY_ASSIGN(const std::optional<std::string> definition, format.Text("definition", std::string::npos));
      if (!definition) return format.WrongType("definition", "a string, the grammar");
      about += " It must follow this grammar (" + syntax.value_or("lark") + "):\n" + *definition;
    }
  }
  tool.free_text = true;
  tool.parameters_json = "{\"type\": \"object\", \"properties\": {\"input\": {\"type\": \"string\", \"description\": " + QuoteJson(about) +
                         "}}, \"required\": [\"input\"], \"additionalProperties\": false}";
  tool.function_json = "{\"name\": " + QuoteJson(tool.name) + (description ? ", \"description\": " + QuoteJson(*description) : "") +
                       ", \"parameters\": " + tool.parameters_json + "}";
  return tool;
}

// The echoed tools.
Checked<std::string> ReadTools(const text::JsonArray& tools, ResponsesRequest& request) {
  std::string echo;
  std::size_t number = 0;
  for (const JsonValue& json : tools) {
    TRY_ASSIGN(const Fields entry, Fields::Of(&json, "tools[" + std::to_string(number++) + "]"));
    TRY_ASSIGN(const std::optional<std::string> type, entry.Text("type", std::string::npos));
    if (!type) return entry.WrongType("type", "function or custom");
    if (*type != "function" && *type != "custom") continue;
    const bool custom = *type == "custom";
    TRY_ASSIGN(Tool tool, custom ? ReadCustom(entry) : ReadFunction(entry, kMostLongNameBytes, "parameters"));
    echo += (echo.empty() ? "" : ", ") + (custom ? text::WriteJson(json) : EchoFunction(entry, tool));
    if (custom) request.custom_tools.push_back(tool.name);
    TRY(OfferTool(request.completion, std::move(tool), entry.Path("name")));
  }
  return "[" + echo + "]";
}

Checked<ToolChoice> ReadChoice(const Fields& body) {
  using Kind = ToolChoice::Kind;
  constexpr std::string_view kExpected = "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"name\": …}";
  const JsonValue* value = body.Find("tool_choice");
  if (value == nullptr) return ToolChoice{};
  if (const std::string* word = value->AsString()) return ReadChoiceWord(body, *word, kExpected);
  if (value->AsObject() == nullptr) return body.WrongType("tool_choice", kExpected);
  const Fields choice(*value, "tool_choice");
  TRY_ASSIGN(const std::optional<std::string> type, choice.Text("type", std::string::npos));
  if (!type) return choice.WrongType("type", "function or custom");
  const std::string_view kind = *type;
  if (kind == "allowed_tools") return ReadAllowedTools(choice, false);
  if (kind != "function" && kind != "custom") return choice.WrongValue("type", "function, custom or allowed_tools");
  TRY_ASSIGN(const std::optional<std::string> name, choice.Text("name", std::string::npos));
  if (!name) return choice.WrongType("name", "the name of one of the tools");
  return ToolChoice{Kind::kNamed, *name};
}

}  // namespace

Checked<void> ReadResponsesTools(const Fields& body, ResponsesRequest& request) {
  std::string tools = "[]";
  if (const JsonValue* value = body.Find("tools")) {
    TRY(CheckToolCount(*value));
    TRY_ASSIGN(tools, ReadTools(*value->AsArray(), request));
  }
  TRY_ASSIGN(request.completion.tool_choice, ReadChoice(body));
  TRY_ASSIGN(const std::optional<bool> parallel, body.Boolean("parallel_tool_calls"));
  request.completion.parallel_tool_calls = parallel.value_or(true);
  TRY(CheckToolChoice(request.completion, "tool_choice.name"));
  const JsonValue* choice = body.Find("tool_choice");
  request.echo += "\"parallel_tool_calls\": " + std::string(request.completion.parallel_tool_calls ? "true" : "false") +
                  ", \"tool_choice\": " + (choice == nullptr ? "\"auto\"" : text::WriteJson(*choice)) + ", \"tools\": " + tools + ", ";
  return {};
}

}  // namespace baleen::completion

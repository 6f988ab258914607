#include <algorithm>

#include "completion/anthropic_parts.h"
#include "completion/openai_parts.h"
#include "completion/responses_request.h"

namespace baleen::completion {
namespace {

using text::JsonValue;

Checked<void> ReadChoice(const Fields& body, CompletionRequest& request) {
  using Kind = ToolChoice::Kind;
  constexpr std::string_view kTypes = "auto, any, tool or none";
  const JsonValue* value = body.Find("tool_choice");
  if (value == nullptr) return {};
  TRY_ASSIGN(const Fields choice, Fields::Of(value, "tool_choice"));
  TRY_ASSIGN(const std::optional<std::string> type, choice.Text("type", std::string::npos));
  if (!type) return choice.WrongType("type", kTypes);
  if (*type == "any") {
    request.tool_choice.kind = Kind::kRequired;
  } else if (*type == "none") {
    request.tool_choice.kind = Kind::kNone;
  } else if (*type == "tool") {
    TRY_ASSIGN(const std::optional<std::string> name, choice.Text("name", std::string::npos));
    if (!name) return choice.WrongType("name", "the name of one of the tools");
    request.tool_choice = {.kind = Kind::kNamed, .name = *name};
  } else if (*type != "auto") {
    return choice.WrongValue("type", kTypes);
  }
  TRY_ASSIGN(const std::optional<bool> single, choice.Boolean("disable_parallel_tool_use"));
  request.parallel_tool_calls = !single.value_or(false);
  return {};
}

}  // namespace

Checked<void> ReadAnthropicTools(const Fields& body, CompletionRequest& request) {
  if (const JsonValue* tools = body.Find("tools")) {
    TRY(CheckToolCount(*tools));
    std::size_t number = 0;
    for (const JsonValue& json : *tools->AsArray()) {
      TRY_ASSIGN(const Fields entry, Fields::Of(&json, "tools[" + std::to_string(number++) + "]"));
      TRY_ASSIGN(const std::optional<std::string> type, entry.Text("type", std::string::npos));
      if (type && *type != "custom") continue;
      TRY(Fields::Of(entry.Find("input_schema"), entry.Path("input_schema")));
      TRY_ASSIGN(Tool tool, ReadFunction(entry, kMostLongNameBytes, "input_schema"));
      TRY(OfferTool(request, std::move(tool), entry.Path("name")));
    }
  }
  TRY(ReadChoice(body, request));
  return CheckToolChoice(request, "tool_choice.name");
}

}  // namespace baleen::completion

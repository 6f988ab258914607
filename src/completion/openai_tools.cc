#include <algorithm>
#include <utility>

#include "completion/openai_parts.h"
#include "completion/openai_request.h"

namespace baleen::completion {
namespace {

using text::JsonValue;
using text::QuoteJson;

constexpr std::string_view kFormats = "text, json_object, json_schema, regex or grammar";
Checked<Tool> ReadTool(const JsonValue& json, const std::string& place) {
  TRY_ASSIGN(const Fields entry, Fields::Of(&json, place));
  TRY_ASSIGN(const std::optional<std::string> type, entry.Text("type", std::string::npos));
  if (!type) return entry.WrongType("type", "\"function\"");
  if (*type != "function") return entry.WrongValue("type", "\"function\"");
  TRY_ASSIGN(const Fields function, Fields::Of(entry.Find("function"), place + ".function"));
  TRY_ASSIGN(Tool tool, ReadFunction(function, kMostNameBytes, "parameters"));
  tool.function_json = text::WriteJson(*entry.Find("function"));  // further members reach the model, too
  return tool;
}

Checked<ToolChoice> ReadChoice(const Fields& body) {
  using Kind = ToolChoice::Kind;
  constexpr std::string_view kExpected = "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}";
  const JsonValue* value = body.Find("tool_choice");
  if (value == nullptr) return ToolChoice{};
  if (const std::string* word = value->AsString()) return ReadChoiceWord(body, *word, kExpected);
  if (value->AsObject() == nullptr) return body.WrongType("tool_choice", kExpected);
  const Fields choice(*value, "tool_choice");
  TRY_ASSIGN(const std::optional<std::string> type, choice.Text("type", std::string::npos));
  if (!type) return choice.WrongType("type", "\"function\"");
  if (*type == "allowed_tools") {
    TRY_ASSIGN(const Fields allowed, Fields::Of(choice.Find("allowed_tools"), "tool_choice.allowed_tools"));
    return ReadAllowedTools(allowed, true);
  }
  if (*type != "function") return choice.WrongValue("type", "\"function\"");
  TRY_ASSIGN(const Fields function, Fields::Of(choice.Find("function"), "tool_choice.function"));
  TRY_ASSIGN(const std::optional<std::string> name, function.Text("name", std::string::npos));
  if (!name) return function.WrongType("name", "the name of one of the tools");
  return ToolChoice{Kind::kNamed, *name};
}

// {"type": "regex", "pattern": …} and {"type": "grammar", "grammar": …}, beyond OpenAI's reference.
Checked<void> ReadPattern(const Fields& format, bool regex, ResponseFormat& read) {
  const std::string_view key = regex ? "pattern" : "grammar";
  TRY_ASSIGN(const std::optional<std::string> pattern, format.Text(key, kMostPatternCharacters));
  if (!pattern) return format.WrongType(key, regex ? "a regular expression" : "a grammar in GBNF");
  if (pattern->empty()) return format.WrongValue(key, "a text that is not empty");
  read.kind = regex ? ResponseFormat::Kind::kRegex : ResponseFormat::Kind::kGrammar;
  read.pattern = *pattern;
  return {};
}

}  // namespace

bool IsName(std::string_view name, std::size_t most) noexcept {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= most && std::all_of(name.begin(), name.end(), fits);
}

std::string NameForm(std::size_t most) { return "1 to " + std::to_string(most) + " letters, digits, _ and -"; }

Checked<std::string> ReadToolName(const Fields& tool, std::size_t most) {
  TRY_ASSIGN(std::optional<std::string> name, tool.Text("name", std::string::npos));
  if (!name) return tool.WrongType("name", "a string");
  if (!IsName(*name, most)) return tool.WrongValue("name", NameForm(most));
  return *std::move(name);
}

Checked<Tool> ReadFunction(const Fields& function, std::size_t most_name_bytes, std::string_view schema_key) {
  Tool tool;
  TRY_ASSIGN(tool.name, ReadToolName(function, most_name_bytes));
  TRY_ASSIGN(const std::optional<std::string> description, function.Text("description", std::string::npos));
  TRY_ASSIGN(const std::optional<bool> strict, function.Boolean("strict"));
  tool.strict = strict.value_or(false);
  tool.function_json = "{\"name\": " + QuoteJson(tool.name);
  if (description) tool.function_json += ", \"description\": " + QuoteJson(*description);
  if (const JsonValue* schema = function.Find(schema_key)) {
    if (schema->AsObject() == nullptr) return function.WrongType(schema_key, "an object, a JSON schema");
    tool.parameters_json = text::WriteJson(*schema);
    tool.function_json += ", \"parameters\": " + tool.parameters_json;
  }
  tool.function_json += "}";
  return tool;
}

Checked<ToolChoice> ReadChoiceWord(const Fields& body, std::string_view word, std::string_view expected) {
  using Kind = ToolChoice::Kind;
  if (word == "none") return ToolChoice{Kind::kNone, {}};
  if (word == "auto") return ToolChoice{Kind::kAuto, {}};
  if (word == "required") return ToolChoice{Kind::kRequired, {}};
  return body.WrongValue("tool_choice", expected);
}

Checked<void> OfferTool(CompletionRequest& request, Tool tool, const std::string& path) {
  const bool taken = std::any_of(request.tools.begin(), request.tools.end(), [&](const Tool& other) { return other.name == tool.name; });
  if (taken) return Refuse(409, path, path + ": expected names that differ, found " + QuoteJson(tool.name) + " twice; rename one of the tools", "invalid_value");
  request.tools.push_back(std::move(tool));
  return {};
}

Checked<ToolChoice> ReadAllowedTools(const Fields& choice, bool nested) {
  using Kind = ToolChoice::Kind;
  ToolChoice read;
  TRY_ASSIGN(const std::optional<std::string> mode, choice.Text("mode", std::string::npos));
  if (!mode) return choice.WrongType("mode", "auto or required");
  if (*mode != "auto" && *mode != "required") return choice.WrongValue("mode", "auto or required");
  read.kind = *mode == "required" ? Kind::kRequired : Kind::kAuto;
  const JsonValue* tools = choice.Find("tools");
  if (tools == nullptr || tools->AsArray() == nullptr || tools->AsArray()->empty()) return choice.WrongType("tools", "an array of at least one tool");
  TRY(CheckToolCount(*tools));
  for (std::size_t i = 0; i < tools->AsArray()->size(); ++i) {
    const std::string place = choice.Path("tools") + "[" + std::to_string(i) + "]";
    TRY_ASSIGN(const Fields tool, Fields::Of(&(*tools->AsArray())[i], place));
    TRY_ASSIGN(const Fields named, nested ? Fields::Of(tool.Find("function"), tool.Path("function")) : Checked<Fields>(tool));
    TRY_ASSIGN(const std::optional<std::string> name, named.Text("name", std::string::npos));
    if (!name) return named.WrongType("name", "the name of one of the tools");
    read.allowed.push_back(*name);
  }
  return read;
}

Checked<void> CheckToolChoice(const CompletionRequest& request, const std::string& name_path) {
  using Kind = ToolChoice::Kind;
  const ToolChoice& choice = request.tool_choice;
  for (const std::string& allowed : choice.allowed) {
    if (std::any_of(request.tools.begin(), request.tools.end(), [&](const Tool& tool) { return tool.name == allowed; })) continue;
    return Refuse(400, "tool_choice", "tool_choice: expected names of the tools, found \"" + diagnostics::Quoted(allowed) + "\"; correct it", "invalid_value");
  }
  if (choice.kind != Kind::kRequired && choice.kind != Kind::kNamed) return {};
  if (request.tools.empty()) return Refuse(400, "tool_choice", "tool_choice: expected tools to choose from, found none; add tools", "invalid_value");
  const auto chosen = [&](const Tool& tool) { return tool.name == choice.name; };
  if (choice.kind == Kind::kRequired || std::any_of(request.tools.begin(), request.tools.end(), chosen)) return {};
  return Refuse(400, name_path, name_path + ": expected the name of one of the tools, found \"" + diagnostics::Quoted(choice.name) + "\"; correct it", "invalid_value");
}

Checked<void> CheckToolCount(const JsonValue& tools) {
  if (tools.AsArray() == nullptr) return WrongTypeAt("tools", "an array of tools", &tools);
  const std::size_t count = tools.AsArray()->size();
  if (count <= kMostTools) return {};
  return Refuse(422, "tools", "tools: expected at most " + std::to_string(kMostTools) + ", found " + std::to_string(count) + "; offer fewer", "invalid_value");
}

Checked<void> ReadOpenAiTools(const Fields& body, CompletionRequest& request) {
  if (const JsonValue* tools = body.Find("tools")) {
    TRY(CheckToolCount(*tools));
    std::size_t number = 0;
    for (const JsonValue& json : *tools->AsArray()) {
      const std::string place = "tools[" + std::to_string(number++) + "]";
      TRY_ASSIGN(Tool tool, ReadTool(json, place));
      TRY(OfferTool(request, std::move(tool), place + ".function.name"));
    }
  }
  TRY_ASSIGN(request.tool_choice, ReadChoice(body));
  TRY_ASSIGN(const std::optional<bool> parallel, body.Boolean("parallel_tool_calls"));
  request.parallel_tool_calls = parallel.value_or(true);
  return CheckToolChoice(request, "tool_choice.function.name");
}

Checked<void> ReadOpenAiFormat(const Fields& body, CompletionRequest& request) {
  const JsonValue* value = body.Find("response_format");
  if (value == nullptr) return {};
  using Kind = ResponseFormat::Kind;
  TRY_ASSIGN(const Fields format, Fields::Of(value, "response_format"));
  TRY_ASSIGN(const std::optional<std::string> type, format.Text("type", std::string::npos));
  if (!type) return format.WrongType("type", kFormats);
  if (*type == "text") return {};
  if (*type == "json_object") {
    request.response_format.kind = Kind::kJsonObject;
    return {};
  }
  if (*type == "regex" || *type == "grammar") return ReadPattern(format, *type == "regex", request.response_format);
  if (*type != "json_schema") return format.WrongValue("type", kFormats);
  TRY_ASSIGN(const Fields schema, Fields::Of(format.Find("json_schema"), "response_format.json_schema"));
  TRY_ASSIGN(const std::optional<std::string> name, schema.Text("name", std::string::npos));
  if (name && !IsName(*name)) return schema.WrongValue("name", NameForm(kMostNameBytes));
  TRY(schema.Text("description", std::string::npos));
  TRY_ASSIGN(const std::optional<bool> strict, schema.Boolean("strict"));
  const JsonValue* definition = schema.Find("schema");
  if (definition == nullptr || definition->AsObject() == nullptr) return schema.WrongType("schema", "an object, a JSON schema");
  request.response_format = {Kind::kJsonSchema, text::WriteJson(*definition), strict.value_or(false)};
  return {};
}

}  // namespace baleen::completion

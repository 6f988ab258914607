#include "completion/grammar.h"

#include <algorithm>

#include "text/special_tokens.h"

namespace baleen::completion {
namespace {

// Does the block of calls have a form? Beside a response format it has, for the model may answer with either.
bool HoldsTools(const CompletionRequest& request) {
  using Kind = ToolChoice::Kind;
  if (request.tools.empty() || request.tool_choice.kind == Kind::kNone) return false;
  const bool strict = std::any_of(request.tools.begin(), request.tools.end(), [](const Tool& tool) { return tool.strict; });
  const bool format = request.response_format.kind != ResponseFormat::Kind::kText;
  return strict || format || !request.tool_choice.allowed.empty() || request.tool_choice.kind != Kind::kAuto || !request.parallel_tool_calls;
}

bool TakesFreeText(const CompletionRequest& request) {
  const bool any = std::any_of(request.tools.begin(), request.tools.end(), [](const Tool& tool) { return tool.free_text; });
  return any && request.tool_choice.kind != ToolChoice::Kind::kNone;
}

Result<constraint::Grammar> CompileTools(constraint::Compiler& compiler, const CompletionRequest& request) {
  std::vector<constraint::ToolGrammar> tools;
  const std::vector<std::string>& allowed = request.tool_choice.allowed;
  for (const Tool& tool : request.tools) {
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), tool.name) == allowed.end()) continue;
    tools.push_back({.name = tool.name, .parameters = tool.parameters_json, .strict = tool.strict || tool.free_text});
  }
  constraint::ToolChoice choice{.kind = constraint::ToolChoice::Kind::kAuto, .name = request.tool_choice.name, .parallel = request.parallel_tool_calls};
  if (request.tool_choice.kind == ToolChoice::Kind::kRequired) choice.kind = constraint::ToolChoice::Kind::kRequired;
  if (request.tool_choice.kind == ToolChoice::Kind::kNamed) choice.kind = constraint::ToolChoice::Kind::kNamed;
  const ResponseFormat& format = request.response_format;
  if (format.kind == ResponseFormat::Kind::kText) return compiler.ToolCalls(tools, choice);
  const bool described = format.kind == ResponseFormat::Kind::kJsonSchema;
  const bool json = described || format.kind == ResponseFormat::Kind::kJsonObject;
  if (choice.kind == constraint::ToolChoice::Kind::kAuto && !json) {
    return diagnostics::Unsupported("response_format: expected text, json_object or json_schema beside tools that may be called, found a regex or grammar; "
                                    "leave the tools out, or ask for one with tool_choice");
  }
  if (choice.kind == constraint::ToolChoice::Kind::kAuto) {
    return compiler.ToolCallsOrJson(tools, choice, described ? std::optional<std::string_view>(format.schema_json) : std::nullopt, format.strict);
  }
  if (described) TRY(compiler.JsonSchema(format.schema_json, format.strict));  // there will be no text to hold to it, yet a wrong one is a mistake
  return compiler.ToolCalls(tools, choice);
}

// "response_format.json_schema.schema" of "response_format.json_schema.schema at /properties/a: …".
RequestError Refused(const std::string& field, const diagnostics::Error& error) {
  const bool named = error.message.starts_with("response_format") || error.message.starts_with("tool");
  const std::string param = named ? error.message.substr(0, error.message.find_first_of(" :")) : field;
  const bool too_much = error.kind == diagnostics::ErrorKind::kResource;
  return Refuse(too_much ? 422 : 400, param, named ? error.message : field + ": " + error.message,
                error.kind == diagnostics::ErrorKind::kUnsupported ? "unsupported" : "invalid_value");
}

Result<constraint::Grammar> CompileFormat(constraint::Compiler& compiler, const ResponseFormat& format) {
  using Kind = ResponseFormat::Kind;
  if (format.kind == Kind::kRegex) return compiler.Regex(format.pattern, "response_format.pattern");
  if (format.kind == Kind::kGrammar) return compiler.Ebnf(format.pattern, "response_format.grammar");
  return format.kind == Kind::kJsonObject ? compiler.JsonObject() : compiler.JsonSchema(format.schema_json, format.strict);
}

}  // namespace

Checked<std::optional<constraint::Grammar>> ChooseGrammar(const ServedModel& model, const CompletionRequest& request) {
  using Kind = ResponseFormat::Kind;
  const bool tools = HoldsTools(request) || (model.compiler != nullptr && TakesFreeText(request));
  if (!tools && request.response_format.kind == Kind::kText) return std::optional<constraint::Grammar>();
  const std::string field = tools ? "tools" : "response_format";
  if (model.compiler == nullptr) return Refuse(400, field, field + ": " + model.no_compiler_reason, "unsupported");
  Result<constraint::Grammar> grammar = tools ? CompileTools(*model.compiler, request) : CompileFormat(*model.compiler, request.response_format);
  if (!grammar) return Refused(field, grammar.error());
  return std::optional<constraint::Grammar>(*std::move(grammar));
}

std::unique_ptr<engine::Constraint> StartGrammar(const ServedModel& model, const constraint::Grammar& grammar, AnswerForm form) {
  return model.compiler->Start(grammar, form == AnswerForm::kThinking ? model.tokenizer->Find(text::kThinkingEnd) : std::nullopt);
}

}  // namespace baleen::completion

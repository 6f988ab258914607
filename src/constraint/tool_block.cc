#include "constraint/tool_block.h"

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "constraint/schema_grammar.h"
#include "text/special_tokens.h"

namespace baleen::constraint {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

bool IsName(std::string_view name) {
  return !name.empty() && name.find_first_of("\"\n<>") == std::string_view::npos && name.find("｜") == std::string_view::npos;
}

// Without strict: the parameters that the schema names, each once or not at all, with any value.
Result<Expression> LooseParameters(const text::JsonValue& schema, SchemaGrammar& grammar) {
  std::vector<Expression> lines;
  const text::JsonValue* properties = schema.Find("properties");
  if (properties != nullptr && properties->AsObject() != nullptr) {
    for (const text::JsonMember& member : *properties->AsObject()) {
      if (IsName(member.key)) lines.push_back(Optional(grammar.AnyDsmlParameter(member.key)));
    }
  }
  // The empty line of a call without parameters, and the lines of one with some: the second may be empty too, as the parser allows.
  return Choice({Text("\n"), Sequence(std::move(lines))});
}

Result<Expression> Call(const ToolGrammar& tool, const std::string& field, RuleBook& book, std::deque<text::JsonValue>& schemas) {
  SchemaSettings settings{.field = field + ".parameters", .strict = tool.strict, .inside_dsml = true};
  text::JsonValue& schema = schemas.emplace_back();
  schema.value = text::JsonObject();
  if (!tool.parameters.empty()) {
    Result<text::JsonValue> read = tool.strict ? ReadSchema(tool.parameters, settings) : text::ParseJson(tool.parameters);
    if (!read) return tool.strict ? read.error() : InvalidInput(settings.field + ": expected JSON: " + read.error().message);
    schema = *std::move(read);
  }
  SchemaGrammar grammar(schema, settings, book);
  Result<Expression> parameters = tool.strict ? grammar.DsmlParameters() : LooseParameters(schema, grammar);
  if (!parameters) return parameters;
  return Sequence({Text("<｜DSML｜invoke name=\"" + tool.name + "\">\n"), *std::move(parameters), Text("</｜DSML｜invoke>\n")});
}

}  // namespace

Result<Expression> ToolBlock(std::span<const ToolGrammar> tools, const ToolChoice& choice, RuleBook& book) {
  constexpr std::size_t kMostTools = 128;
  if (tools.empty()) return InvalidInput("tools: expected at least one tool to call, found none");
  if (tools.size() > kMostTools) return InvalidInput("tools: expected at most " + std::to_string(kMostTools) + ", found " + std::to_string(tools.size()));
  std::vector<Expression> calls;
  std::set<std::string_view> names;
  std::deque<text::JsonValue> schemas;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string field = "tools[" + std::to_string(i) + "].function";
    const std::string found = "found \"" + Quoted(tools[i].name) + "\"";
    if (!IsName(tools[i].name)) return InvalidInput(field + ".name: expected a name without quotes, angle brackets and line ends, " + found);
    if (!names.insert(tools[i].name).second) return InvalidInput(field + ".name: expected each name once, " + found + " again");
    if (choice.kind == ToolChoice::Kind::kNamed && tools[i].name != choice.name) continue;
    TRY_ASSIGN(Expression call, Call(tools[i], field, book, schemas));
    const std::size_t rule = book.Add(std::move(call));
    if (!book.Prune(rule)) return InvalidInput(field + ".parameters: expected a schema that some finite value meets, found one that none meets");
    calls.push_back(book.Refer(rule));
  }
  if (calls.empty()) return InvalidInput("tool_choice: expected the name of one of the tools, found \"" + Quoted(choice.name) + "\"");
  Expression call = Choice(std::move(calls));
  if (choice.parallel) call = Repeat(std::move(call), 1, Expression::kUnbounded);
  return Sequence({Text(std::string(text::kToolBlockStart) + ">\n"), std::move(call), Text(text::kToolBlockEnd)});
}

}  // namespace baleen::constraint

#include "constraint/schema_grammar.h"

#include <algorithm>
#include <memory>

#include "constraint/formats.h"
#include "constraint/regex.h"
#include "constraint/schema_merge.h"

namespace baleen::constraint {

using diagnostics::ErrorKind;
using diagnostics::Quoted;
using text::JsonArray;
using text::JsonObject;
using text::JsonValue;

namespace {

// Schemas joined by allOf, or standing beside $ref or anyOf, are written out; this many of them inside each other and in all.
constexpr int kDeepestMerge = 100, kMostMerges = 20000;

// Writing the grammar of a schema takes no longer: far more than any that is of use.
constexpr std::chrono::milliseconds kLongestWork{1000};

const JsonValue& AnySchema() {
  static const JsonValue schema = [] {
    JsonValue value;
    value.value = true;
    return value;
  }();
  return schema;
}

bool IsOfType(const JsonValue& value, std::string_view type) {
  if (type == "null") return value.IsNull();
  if (type == "boolean") return std::holds_alternative<bool>(value.value);
  if (type == "string") return value.AsString() != nullptr;
  if (type == "array") return value.AsArray() != nullptr;
  if (type == "object") return value.AsObject() != nullptr;
  if (std::holds_alternative<text::JsonInteger>(value.value)) return true;  // "integer" or "number"
  return type == "number" && std::holds_alternative<double>(value.value);
}

// The types a schema names; those that its keywords speak of if it names none.
std::vector<std::string> TypesOf(const JsonValue& schema) {
  std::vector<std::string> types;
  if (const JsonValue* type = schema.Find("type")) {
    if (const std::string* one = type->AsString()) return {*one};
    for (const JsonValue& name : *type->AsArray()) types.push_back(*name.AsString());
    if (std::ranges::find(types, "number") != types.end()) std::erase(types, "integer");
    return types;
  }
  const auto any = [&](std::initializer_list<std::string_view> keywords) {
    return std::ranges::any_of(keywords, [&](std::string_view keyword) { return schema.Find(keyword) != nullptr; });
  };
  if (any({"properties", "required", "additionalProperties", "unevaluatedProperties", "minProperties", "maxProperties"})) types.push_back("object");
  if (any({"items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"})) types.push_back("array");
  if (any({"minLength", "maxLength", "pattern", "format"})) types.push_back("string");
  if (any({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})) types.push_back("number");
  return types;
}

}  // namespace

SchemaGrammar::SchemaGrammar(const JsonValue& root, SchemaSettings settings, RuleBook& book)
    : root_(root), settings_(std::move(settings)), book_(book), json_(StringForm::Kind::kJson, settings_.inside_dsml),
      until_(std::chrono::steady_clock::now() + kLongestWork) {}

diagnostics::Error SchemaGrammar::At(std::string_view pointer, const std::string& message, ErrorKind kind) const {
  return SchemaError(settings_, pointer, message, kind);
}

Expression SchemaGrammar::Shared(std::string_view name, const std::function<Expression()>& make) {
  const auto found = shared_.find(name);
  if (found != shared_.end()) return book_.Refer(found->second);
  const std::size_t rule = book_.Reserve();
  shared_.emplace(name, rule);
  book_.Set(rule, make());
  return book_.Refer(rule);
}

Result<Expression> SchemaGrammar::Document() {
  TRY_ASSIGN(Expression document, Value(root_, "", Part::kJson, 0));
  TRY(WriteWaitingRules());
  return document;
}

Status SchemaGrammar::WriteWaitingRules() {
  while (!waiting_.empty()) {
    const auto [source, place] = std::move(waiting_.front());
    waiting_.pop_front();
    TRY_ASSIGN(Expression expression, Value(*source.schema, source.pointer, place.first, 0));
    book_.Set(place.second, std::move(expression));
  }
  return {};
}

Result<Expression> SchemaGrammar::Value(const JsonValue& schema, const std::string& pointer, Part part, int depth) {
  if (std::chrono::steady_clock::now() > until_) return At(pointer, "the schema takes too long to read; make it smaller", ErrorKind::kResource);
  if (const bool* flag = std::get_if<bool>(&schema.value)) return *flag ? AnyValue(part) : Nothing();
  for (const std::string_view keyword : {"$ref", "allOf", "anyOf", "oneOf"}) {
    if (schema.Find(keyword) != nullptr) return Combined(schema, pointer, part, depth);
  }
  if (schema.Find("enum") != nullptr || schema.Find("const") != nullptr) return Constants(schema, pointer, part);
  const std::vector<std::string> types = TypesOf(schema);
  if (types.empty()) return schema.Find("type") == nullptr ? AnyValue(part) : Nothing();
  std::vector<Expression> choices;
  for (const std::string& type : types) {
    if ((part == Part::kDsmlString) != (type == "string") && part != Part::kJson) continue;
    TRY_ASSIGN(Expression choice, OfType(type, schema, pointer, part, depth));
    choices.push_back(std::move(choice));
  }
  return Choice(std::move(choices));
}

Result<Expression> SchemaGrammar::Reference(const std::string& reference, Part part) {
  TRY_ASSIGN(const JsonValue* target, Resolve(root_, reference));
  const auto [found, is_new] = references_.try_emplace({target, part}, 0);
  if (is_new) {
    found->second = book_.Reserve();
    waiting_.push_back({{target, reference.substr(1)}, {part, found->second}});
  }
  return book_.Refer(found->second);
}

// $ref, allOf, anyOf and oneOf: one of them is written out, the rest of the schema holds beside it.
Result<Expression> SchemaGrammar::Combined(const JsonValue& schema, const std::string& pointer, Part part, int depth) {
  if (depth > kDeepestMerge || merges_ > kMostMerges) return At(pointer, "too many schemas stand beside each other here; write them as one");
  if (const JsonValue* reference = schema.Find("$ref")) {
    const JsonValue rest = Without(schema, "$ref");
    if (!HasAssertions(rest)) return Reference(*reference->AsString(), part);
  }
  if (schema.Find("$ref") != nullptr || schema.Find("allOf") != nullptr) {
    TRY_ASSIGN(const JsonValue flat, Flattened(schema, pointer));
    return Value(flat, pointer, part, depth + 1);
  }
  const std::string_view keyword = schema.Find("anyOf") != nullptr ? "anyOf" : "oneOf";
  const JsonValue rest = Without(schema, keyword);
  const JsonArray& branches = *schema.Find(keyword)->AsArray();
  if (keyword == "oneOf" && branches.size() > 1 && !AreDisjoint(branches, root_)) {
    return At(Below(pointer, keyword), "expected schemas that cannot hold together: of different types, or objects that require a property with different "
              "constants; write \"anyOf\" if several may hold");
  }
  std::vector<Expression> choices;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    const std::string place = Below(Below(pointer, keyword), std::to_string(i));
    const JsonValue* branch = &branches[i];
    Result<JsonValue> merged = JsonValue();
    if (HasAssertions(rest)) {
      ++merges_;
      merged = Merge(*branch, rest);
      if (!merged) return At(place, merged.error().message, merged.error().kind);
      branch = &*merged;
    }
    TRY_ASSIGN(Expression choice, Value(*branch, place, part, depth + 1));
    choices.push_back(std::move(choice));
  }
  return Choice(std::move(choices));
}

// Without $ref and allOf at its top.
Result<JsonValue> SchemaGrammar::Flattened(const JsonValue& schema, const std::string& pointer) {
  JsonValue flat = schema;
  for (int i = 0; flat.AsObject() != nullptr; ++i) {
    const bool late = std::chrono::steady_clock::now() > until_;
    if (late || i > kDeepestMerge || ++merges_ > kMostMerges) return At(pointer, "too many schemas stand beside each other here; write them as one");
    const auto join = [&](const JsonValue& rest, const JsonValue& other) -> Status {
      Result<JsonValue> merged = Merge(rest, other);
      if (!merged) return At(pointer, merged.error().message, merged.error().kind);
      flat = *std::move(merged);
      return {};
    };
    if (const JsonValue* reference = flat.Find("$ref")) {
      TRY_ASSIGN(const JsonValue* target, Resolve(root_, *reference->AsString()));
      TRY(join(Without(flat, "$ref"), *target));
    } else if (const JsonValue* all = flat.Find("allOf")) {
      const JsonArray parts = *all->AsArray();
      flat = Without(flat, "allOf");
      for (const JsonValue& one : parts) {
        if (std::chrono::steady_clock::now() > until_) return At(pointer, "too many schemas stand beside each other here; write them as one");
        TRY(join(flat, one));
      }
    } else {
      return flat;
    }
  }
  return flat;
}

Expression SchemaGrammar::Literal(const JsonValue& value) const {
  const Expression blank = Optional(Text(" "));
  if (const std::string* text = value.AsString()) return Sequence({Text("\""), json_.Literal(*text), Text("\"")});
  std::vector<Expression> parts;
  if (const JsonArray* items = value.AsArray()) {
    parts.push_back(Text("["));
    for (std::size_t i = 0; i < items->size(); ++i) {
      if (i > 0) parts.push_back(Sequence({Text(","), blank}));
      parts.push_back(Literal((*items)[i]));
    }
    parts.push_back(Text("]"));
    return Sequence(std::move(parts));
  }
  if (const JsonObject* members = value.AsObject()) {
    parts.push_back(Text("{"));
    for (std::size_t i = 0; i < members->size(); ++i) {
      if (i > 0) parts.push_back(Sequence({Text(","), blank}));
      parts.push_back(Sequence({Text("\""), json_.Literal((*members)[i].key), Text("\":"), blank}));
      parts.push_back(Literal((*members)[i].value));
    }
    parts.push_back(Text("}"));
    return Sequence(std::move(parts));
  }
  return Text(text::WriteJson(value));
}

Result<Expression> SchemaGrammar::Constants(const JsonValue& schema, const std::string& pointer, Part part) {
  for (const text::JsonMember& member : *schema.AsObject()) {
    const bool served = member.key == "enum" || member.key == "const" || member.key == "type" || UseOf(member.key) != KeywordUse::kServed;
    if (served) continue;
    return At(pointer, "\"" + Quoted(member.key) + "\" cannot be checked beside \"enum\" or \"const\"; leave out the values it forbids and the keyword");
  }
  JsonArray values = schema.Find("enum") != nullptr ? *schema.Find("enum")->AsArray() : JsonArray{*schema.Find("const")};
  if (const JsonValue* constant = schema.Find("const")) {
    std::erase_if(values, [&](const JsonValue& value) { return text::WriteJson(value) != text::WriteJson(*constant); });
  }
  const std::vector<std::string> types = TypesOf(schema);
  const StringForm dsml(StringForm::Kind::kDsml, true);
  std::vector<Expression> choices;
  for (const JsonValue& value : values) {
    const bool fits = schema.Find("type") == nullptr || std::ranges::any_of(types, [&](const std::string& type) { return IsOfType(value, type); });
    const bool is_string = value.AsString() != nullptr;
    if (!fits || (part != Part::kJson && is_string != (part == Part::kDsmlString))) continue;
    if (part != Part::kDsmlString) {
      choices.push_back(Literal(value));
      continue;
    }
    Expression literal = dsml.Literal(*value.AsString());
    if (literal.kind == Expression::Kind::kNothing) {
      return At(pointer, "the value \"" + Quoted(*value.AsString()) + "\" cannot stand in a tool call; change it");
    }
    choices.push_back(std::move(literal));
  }
  return Choice(std::move(choices));
}

Result<Expression> SchemaGrammar::OfType(std::string_view type, const JsonValue& schema, const std::string& pointer, Part part, int depth) {
  if (type == "null") return Text("null");
  if (type == "boolean") return Choice({Text("true"), Text("false")});
  if (type == "string") return Strings(schema, pointer, part);
  if (type == "array") return Arrays(schema, pointer, depth);
  if (type == "object") return Objects(schema, pointer, depth);
  return Numbers(schema, pointer, type == "integer");
}

Result<Expression> SchemaGrammar::Strings(const JsonValue& schema, const std::string& pointer, Part part) {
  const bool open = !schema.Find("minLength") && !schema.Find("maxLength") && !schema.Find("pattern") && !schema.Find("format");
  if (part == Part::kDsmlString) return open ? DsmlText() : StringBody(schema, pointer, StringForm(StringForm::Kind::kDsml, true));
  if (open) return AnyString();
  TRY_ASSIGN(Expression body, StringBody(schema, pointer, json_));
  return Sequence({Text("\""), std::move(body), Text("\"")});
}

Result<Expression> SchemaGrammar::StringBody(const JsonValue& schema, const std::string& pointer, const StringForm& form) {
  constexpr std::int64_t kLongestLeast = 10000;
  const JsonValue* least = schema.Find("minLength");
  const JsonValue* most = schema.Find("maxLength");
  std::optional<std::string_view> pattern;
  if (const JsonValue* text = schema.Find("pattern")) pattern = *text->AsString();
  if (const JsonValue* format = schema.Find("format")) {
    const std::optional<std::string_view> known = PatternOfFormat(*format->AsString());
    if (settings_.strict && (!known || pattern)) {
      return At(pointer, known ? "\"pattern\" and \"format\" cannot be enforced together; remove one"
                               : "the format \"" + Quoted(*format->AsString()) + "\" cannot be enforced; write it as a \"pattern\" or remove it");
    }
    // Without strict a format is an annotation, enforced where that costs nothing.
    if (!pattern && !least && !most) pattern = known;
    if (settings_.strict && (least || most)) return At(pointer, "lengths cannot be enforced beside \"format\"; remove them");
  }
  if (pattern) {
    if (least || most) return At(pointer, "lengths cannot be enforced beside \"pattern\"; write them into the pattern, as in ^[a-z]{1,20}$");
    Result<Expression> read = ReadRegex(*pattern, PatternScope::kPart, form, book_);
    if (!read) return At(pointer, "the pattern cannot be compiled: " + read.error().message, read.error().kind);
    return read;
  }
  const std::int64_t low = least ? *ReadCount(*least) : 0, high = most ? *ReadCount(*most) : Expression::kUnbounded;
  if (low > kLongestLeast) return At(pointer, "expected \"minLength\" of at most " + std::to_string(kLongestLeast) + ", found " + std::to_string(low));
  if (most && low > high) return Nothing();
  return book_.Characters(form.AnyCharacter(), low, high);
}

Result<Expression> SchemaGrammar::Numbers(const JsonValue& schema, const std::string& pointer, bool integers) {
  if (const JsonValue* step = schema.Find("multipleOf")) {
    if (NumberText(*step) != "1" && NumberText(*step) != "1.0") return At(pointer, "\"multipleOf\" cannot be enforced but for 1; remove it");
    integers = true;
  }
  Result<Interval> interval = ReadInterval(schema);
  if (!interval) return At(pointer, interval.error().message, interval.error().kind);
  if (integers) return IntegersIn(*interval);
  std::optional<Expression> numbers = NumbersIn(*interval);
  if (!numbers) return At(pointer, "expected bounds with fewer digits");
  return *std::move(numbers);
}

Expression SchemaGrammar::AnyString() {
  return Shared("string", [&] {
    return Sequence({Text("\""), Repeat(json_.AnyCharacter(), 0, Expression::kUnbounded), Text("\"")});
  });
}

Expression SchemaGrammar::AnyValue(Part part) {
  if (part == Part::kDsmlString) return DsmlText();
  if (part == Part::kJsonButStrings) {
    return Shared("value but strings", [&] {
      Result<Expression> array = Arrays(AnySchema(), "", 0);
      return Choice({AnyObject(), *std::move(array), *NumbersIn({}), Text("true"), Text("false"), Text("null")});
    });
  }
  return Shared("value", [&] {
    return Choice({AnyString(), AnyValue(Part::kJsonButStrings)});
  });
}

}  // namespace baleen::constraint

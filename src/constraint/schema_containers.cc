// Arrays, objects and the parameters of DSML calls.
#include <algorithm>
#include <set>

#include "constraint/schema_grammar.h"
#include "constraint/schema_merge.h"
#include "text/utf8.h"

namespace baleen::constraint {

using diagnostics::Quoted;
using text::JsonArray;
using text::JsonObject;
using text::JsonValue;

namespace {

constexpr std::int64_t kUnbounded = Expression::kUnbounded;

Expression Comma() { return Sequence({Text(","), Optional(Text(" "))}); }
Expression Colon() { return Sequence({Text(":"), Optional(Text(" "))}); }

Expression Pair(const Expression& key, const Expression& value) { return Sequence({key, Colon(), value}); }

// What stands in name="…" of a tag of DSML: the parser looks for the quote, and a bar may begin a tag.
bool FitsIntoTag(std::string_view name) {
  return !name.empty() && name.find_first_of("\"\n<>") == std::string_view::npos && name.find("｜") == std::string_view::npos;
}

const JsonValue* FirstOf(const JsonValue& schema, std::string_view first, std::string_view second) {
  const JsonValue* value = schema.Find(first);
  return value != nullptr ? value : schema.Find(second);
}

}  // namespace

Expression SchemaGrammar::Listing(std::vector<Item> items, const Expression& separator, const Expression& none) {
  // Up to here every choice of a last item is written out; beyond, rules hold the rest of the list.
  constexpr std::size_t kShortList = 10;
  const auto optional = [](const Item& item, Expression written) { return item.required ? written : Optional(std::move(written)); };
  const auto first_required = static_cast<std::size_t>(std::ranges::find_if(items, &Item::required) - items.begin());
  std::vector<Expression> parts;
  if (first_required < items.size()) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      Expression& item = items[i].expression;
      if (i < first_required) parts.push_back(Optional(Sequence({std::move(item), separator})));
      if (i == first_required) parts.push_back(std::move(item));
      if (i > first_required) parts.push_back(optional(items[i], Sequence({separator, std::move(item)})));
    }
    return Sequence(std::move(parts));
  }
  for (Item& item : items) item.expression = book_.Refer(book_.Add(std::move(item.expression)));
  std::vector<Expression> choices{none};
  if (items.size() <= kShortList) {
    for (const Item& item : items) {
      std::vector<Expression> written = parts;
      written.push_back(item.expression);
      choices.push_back(Sequence(std::move(written)));
      parts.push_back(Optional(Sequence({item.expression, separator})));
    }
    return Choice(std::move(choices));
  }
  Expression behind = Text("");  // what may follow item i
  std::vector<Expression> from(items.size());
  for (std::size_t i = items.size(); i-- > 0;) {
    from[i] = Sequence({items[i].expression, behind});
    behind = book_.Refer(book_.Add(Sequence({Optional(Sequence({separator, items[i].expression})), behind})));
  }
  for (Expression& one : from) choices.push_back(std::move(one));
  return Choice(std::move(choices));
}

Result<Expression> SchemaGrammar::Arrays(const JsonValue& schema, const std::string& pointer, int depth) {
  const bool any = std::holds_alternative<bool>(schema.value);
  const auto find = [&](std::string_view keyword) { return any ? nullptr : schema.Find(keyword); };
  if (const JsonValue* unique = find("uniqueItems"); unique != nullptr && std::get<bool>(unique->value)) {
    return At(pointer, "\"uniqueItems\" cannot be enforced while text is written; remove it");
  }
  const JsonArray none;
  const JsonValue* items = find("items");
  const JsonValue* prefix = find("prefixItems");
  std::string prefix_pointer = Below(pointer, "prefixItems"), items_pointer = Below(pointer, "items");
  if (items != nullptr && items->AsArray() != nullptr) {  // the older form of prefixItems
    if (prefix != nullptr) return At(pointer, "expected \"items\" to be one schema beside \"prefixItems\"");
    prefix = items;
    prefix_pointer = items_pointer;
    items = find("additionalItems");
    items_pointer = Below(pointer, "additionalItems");
  }
  const std::int64_t least = find("minItems") ? *ReadCount(*find("minItems")) : 0;
  const std::int64_t most = find("maxItems") ? *ReadCount(*find("maxItems")) : kUnbounded;
  const JsonArray& first = prefix != nullptr ? *prefix->AsArray() : none;
  const auto count = static_cast<std::int64_t>(first.size());

  Expression rest = AnyValue(Part::kJson);
  if (items != nullptr) {
    TRY_ASSIGN(rest, Value(*items, items_pointer, Part::kJson, depth));
  } else if (count > 0) {
    rest = least > count ? std::move(rest) : Nothing();  // what the schema does not describe is left out
  }
  if (most == 0) return Text("[]");
  Expression inside = Text("");
  if (rest.kind != Expression::Kind::kNothing && (most == kUnbounded || most > count)) {
    const std::int64_t low = std::max<std::int64_t>(least - count, 0), high = most == kUnbounded ? kUnbounded : most - count;
    if (count > 0) {
      inside = Repeat(Sequence({Comma(), std::move(rest)}), low, high);
    } else {
      rest = book_.Refer(book_.Add(std::move(rest)));
      const Expression more = Repeat(Sequence({Comma(), rest}), std::max<std::int64_t>(low - 1, 0), high == kUnbounded ? kUnbounded : high - 1);
      inside = Sequence({rest, more});
      if (low == 0) inside = Optional(std::move(inside));
    }
  } else if (least > count) {
    return Nothing();
  }
  for (std::int64_t i = count; i-- > 0;) {
    if (most != kUnbounded && i >= most) continue;
    const auto index = static_cast<std::size_t>(i);
    TRY_ASSIGN(Expression item, Value(first[index], Below(prefix_pointer, std::to_string(i)), Part::kJson, depth));
    std::vector<Expression> parts;
    if (i > 0) parts.push_back(Comma());
    parts.push_back(std::move(item));
    parts.push_back(std::move(inside));
    inside = Sequence(std::move(parts));
    if (i >= least) inside = Optional(std::move(inside));
  }
  return Sequence({Text("["), std::move(inside), Text("]")});
}

// Those a schema lists, then those it only requires.
Result<std::vector<SchemaGrammar::Property>> SchemaGrammar::Properties(const JsonValue& schema, const std::string& pointer) const {
  std::vector<Property> properties;
  std::set<std::string> required;
  if (const JsonValue* names = schema.Find("required")) {
    for (const JsonValue& name : *names->AsArray()) required.insert(*name.AsString());
  }
  if (const JsonValue* listed = schema.Find("properties")) {
    for (const text::JsonMember& member : *listed->AsObject()) properties.push_back({member.key, member.value, required.erase(member.key) > 0});
  }
  const JsonValue* additional = FirstOf(schema, "additionalProperties", "unevaluatedProperties");
  for (const std::string& name : required) {
    JsonValue any;
    any.value = true;
    if (additional != nullptr) any = *additional;
    if (const bool* flag = std::get_if<bool>(&any.value); flag != nullptr && !*flag) {
      return At(Below(pointer, "required"), "expected \"" + Quoted(name) + "\" to be one of the properties, as no others are allowed; nothing could be valid",
                diagnostics::ErrorKind::kInvalidInput);
    }
    properties.push_back({name, std::move(any), true});
  }
  return properties;
}

Result<Expression> SchemaGrammar::Objects(const JsonValue& schema, const std::string& pointer, int depth) {
  TRY_ASSIGN(const std::vector<Property> properties, Properties(schema, pointer));
  const JsonValue* additional = FirstOf(schema, "additionalProperties", "unevaluatedProperties");
  std::vector<Item> items;
  std::vector<std::string> names;
  std::int64_t required = 0;
  for (const Property& property : properties) {
    TRY_ASSIGN(Expression value, Value(property.schema, Below(Below(pointer, "properties"), property.name), Part::kJson, depth));
    items.push_back({Pair(Sequence({Text("\""), json_.Literal(property.name), Text("\"")}), value), property.required});
    names.push_back(property.name);
    required += property.required ? 1 : 0;
  }
  const bool open = additional != nullptr || schema.Find("properties") == nullptr;
  std::optional<Expression> others;
  if (open && (additional != nullptr || properties.empty())) {
    Expression value = AnyValue(Part::kJson);
    if (additional != nullptr) {
      TRY_ASSIGN(value, Value(*additional, Below(pointer, "additionalProperties"), Part::kJson, depth));
    }
    if (value.kind != Expression::Kind::kNothing) others = Pair(KeyExcept(names), value);
  }
  const std::int64_t least = schema.Find("minProperties") ? *ReadCount(*schema.Find("minProperties")) : 0;
  const std::int64_t most = schema.Find("maxProperties") ? *ReadCount(*schema.Find("maxProperties")) : kUnbounded;
  if (others && most != kUnbounded && most == static_cast<std::int64_t>(items.size())) others.reset();
  // One further property cannot be named twice; of several nobody knows.
  if (least > required + (others && items.empty() ? 1 : 0)) {
    return At(pointer, "\"minProperties\" above the number of required properties cannot be enforced; remove it");
  }
  if (most != kUnbounded && most < static_cast<std::int64_t>(items.size())) {
    return At(pointer, "\"maxProperties\" below the number of properties cannot be enforced; remove it");
  }
  if (others) {
    const std::int64_t room = most == kUnbounded ? kUnbounded : most - static_cast<std::int64_t>(items.size());
    const Expression other = book_.Refer(book_.Add(*std::move(others)));
    const Expression more = Repeat(Sequence({Comma(), other}), 0, room == kUnbounded ? kUnbounded : room - 1);
    items.push_back({Sequence({other, more}), items.empty() && least > 0});
  }
  return Sequence({Text("{"), Listing(std::move(items), Comma(), Text("")), Text("}")});
}

Expression SchemaGrammar::AnyObject() {
  return Shared("object", [&] {
    const Expression pair = book_.Refer(book_.Add(Pair(AnyString(), AnyValue(Part::kJson))));
    return Sequence({Text("{"), Optional(Sequence({pair, Repeat(Sequence({Comma(), pair}), 0, kUnbounded)})), Text("}")});
  });
}

// A JSON string that is none of the names, nor written with escapes as one of them.
Expression SchemaGrammar::KeyExcept(const std::vector<std::string>& names) {
  if (names.empty()) return AnyString();
  // Every character that is told apart takes a wide state: long names are told apart by their first one only.
  constexpr std::size_t kCharactersToldApart = 40;
  std::size_t characters = 0;
  for (const std::string& name : names) characters += name.size();
  const bool whole = characters <= kCharactersToldApart;
  const Expression anything = Repeat(json_.AnyCharacter(), 0, kUnbounded);
  const std::function<Expression(const std::vector<std::string_view>&, bool)> except = [&](const std::vector<std::string_view>& rest, bool first) {
    std::set<char32_t> heads;
    bool ends = false;
    for (const std::string_view name : rest) {
      if (name.empty()) ends = true;
      if (!name.empty()) heads.insert(text::ReadUtf8(name).code_point);
    }
    CodePoints others = CodePoints::All();
    for (const char32_t head : heads) others = others.Without(CodePoints::Range(head, head));
    std::vector<Expression> choices{Sequence({json_.Character(others), anything})};
    if (!ends && !first) choices.push_back(Text(""));
    for (const char32_t head : heads) {
      if (!whole) break;
      std::vector<std::string_view> tails;
      for (const std::string_view name : rest) {
        if (name.empty() || text::ReadUtf8(name).code_point != head) continue;
        tails.push_back(name.substr(text::ReadUtf8(name).bytes));
      }
      choices.push_back(Sequence({json_.Character(CodePoints::Range(head, head)), except(tails, false)}));
    }
    return Choice(std::move(choices));
  };
  return Sequence({Text("\""), except({names.begin(), names.end()}, true), Text("\"")});
}

Expression SchemaGrammar::DsmlText() {
  return Shared("dsml text", [&] {
    // Anything without U+FF5C before a D, so that no tag begins in it.
    const Expression bars = Repeat(Text("｜"), 1, kUnbounded);
    const Expression behind_bars = OneOf(CodePoints::All().Without(CodePoints::Of("｜D")));
    const Expression unit = Choice({OneOf(CodePoints::All().Without(CodePoints::Of("｜"))), Sequence({bars, behind_bars})});
    return Sequence({Repeat(unit, 0, kUnbounded), Repeat(Text("｜"), 0, kUnbounded)});
  });
}

namespace {

Expression ParameterLine(std::string_view name, const Expression& text, const Expression& json) {
  const std::string start = "<｜DSML｜parameter name=\"" + std::string(name) + "\" string=\"";
  const Expression end = Text("</｜DSML｜parameter>\n");
  return Choice({Sequence({Text(start + "true\">"), text, end}), Sequence({Text(start + "false\">"), json, end})});
}

}  // namespace

Expression SchemaGrammar::AnyDsmlParameter(std::string_view name) { return ParameterLine(name, DsmlText(), AnyValue(Part::kJsonButStrings)); }

Result<Expression> SchemaGrammar::DsmlParameters() {
  TRY_ASSIGN(const JsonValue schema, Flattened(root_, ""));
  if (schema.AsObject() == nullptr) return At("", "expected a schema of type object");
  for (const std::string_view keyword : {"anyOf", "oneOf", "enum", "const", "minProperties", "maxProperties"}) {
    if (schema.Find(keyword) != nullptr) return At("", "\"" + std::string(keyword) + "\" cannot be enforced for all parameters together; remove it");
  }
  if (const JsonValue* type = schema.Find("type"); type != nullptr && (type->AsString() == nullptr || *type->AsString() != "object")) {
    return At("/type", "expected the parameters to be of type object", diagnostics::ErrorKind::kInvalidInput);
  }
  TRY_ASSIGN(const std::vector<Property> properties, Properties(schema, ""));
  std::vector<Item> lines;
  for (const Property& property : properties) {
    const std::string pointer = Below("/properties", property.name);
    if (!FitsIntoTag(property.name)) return At(pointer, "expected a name without quotes, angle brackets, line ends and U+FF5C; it stands in a tag");
    TRY_ASSIGN(const Expression text, Value(property.schema, pointer, Part::kDsmlString, 0));
    TRY_ASSIGN(const Expression json, Value(property.schema, pointer, Part::kJsonButStrings, 0));
    lines.push_back({ParameterLine(property.name, text, json), property.required});
  }
  TRY(WriteWaitingRules());
  return Listing(std::move(lines), Text(""), Text("\n"));
}

}  // namespace baleen::constraint

#include "constraint/schema_merge.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "constraint/schema_check.h"

namespace baleen::constraint {

namespace {

using text::JsonArray;
using text::JsonObject;
using text::JsonValue;

JsonValue Make(auto value) {
  JsonValue made;
  made.value = std::move(value);
  return made;
}

JsonValue Both(const JsonValue& a, const JsonValue& b) { return Make(JsonObject{{"allOf", Make(JsonArray{a, b})}}); }

bool Same(const JsonValue& a, const JsonValue& b) { return text::WriteJson(a) == text::WriteJson(b); }

JsonArray List(const JsonValue& value) { return value.AsArray() != nullptr ? *value.AsArray() : JsonArray{value}; }

bool Contains(const JsonArray& list, const JsonValue& value) {
  return std::ranges::any_of(list, [&](const JsonValue& one) { return Same(one, value); });
}

// A type list whose "number" includes "integer".
JsonArray SharedTypes(const JsonValue& a, const JsonValue& b) {
  const JsonArray first = List(a), second = List(b);
  const JsonValue number = Make(std::string("number")), integer = Make(std::string("integer"));
  JsonArray common;
  for (const JsonValue& type : first) {
    if (Contains(second, type) || (Same(type, integer) && Contains(second, number))) common.push_back(type);
  }
  if (!Contains(common, integer) && Contains(first, number) && Contains(second, integer)) common.push_back(integer);
  return common;
}

bool IsLess(const JsonValue& a, const JsonValue& b) {
  return std::strtod(NumberText(a)->c_str(), nullptr) < std::strtod(NumberText(b)->c_str(), nullptr);
}

// What a schema says of a property it does not list.
const JsonValue* Additional(const JsonValue& schema) { return schema.Find("additionalProperties"); }

JsonValue MergeProperties(const JsonValue& a, const JsonValue& b) {
  const JsonObject none;
  const JsonValue* listed_a = a.Find("properties");
  const JsonValue* listed_b = b.Find("properties");
  JsonObject merged;
  for (const text::JsonMember& member : listed_a ? *listed_a->AsObject() : none) {
    const JsonValue* other = listed_b ? listed_b->Find(member.key) : nullptr;
    if (other == nullptr) other = Additional(b);
    merged.push_back({member.key, other == nullptr ? member.value : Both(member.value, *other)});
  }
  for (const text::JsonMember& member : listed_b ? *listed_b->AsObject() : none) {
    if (listed_a != nullptr && listed_a->Find(member.key) != nullptr) continue;
    const JsonValue* other = Additional(a);
    merged.push_back({member.key, other == nullptr ? member.value : Both(member.value, *other)});
  }
  return Make(std::move(merged));
}

// Lists are compared value by value: longer ones would take too long.
bool AreLong(const JsonValue& a, const JsonValue& b) {
  constexpr std::size_t kMostComparisons = 200'000;
  return List(a).size() * List(b).size() > kMostComparisons;
}

// What a keyword says in both; nothing if that cannot be said by one.
std::optional<JsonValue> MergeKeyword(std::string_view keyword, const JsonValue& a, const JsonValue& b) {
  if (UseOf(keyword) != KeywordUse::kServed || Same(a, b)) return a;
  if (keyword == "type") return Make(SharedTypes(a, b));
  if (keyword == "required" || keyword == "allOf") {
    if (AreLong(a, b)) return std::nullopt;
    JsonArray joined = List(a);
    for (const JsonValue& value : List(b)) {
      if (!Contains(joined, value)) joined.push_back(value);
    }
    return Make(std::move(joined));
  }
  if (keyword == "enum") {
    if (AreLong(a, b)) return std::nullopt;
    JsonArray common;
    for (const JsonValue& value : List(a)) {
      if (Contains(List(b), value)) common.push_back(value);
    }
    return Make(std::move(common));
  }
  if (keyword == "additionalProperties" || keyword == "unevaluatedProperties") return Both(a, b);
  if (keyword == "items" && a.AsArray() == nullptr && b.AsArray() == nullptr) return Both(a, b);
  if (keyword == "uniqueItems") return Make(true);
  const bool is_least = keyword.starts_with("min") || keyword == "exclusiveMinimum";
  if (is_least) return IsLess(a, b) ? b : a;
  if (keyword.starts_with("max") || keyword == "exclusiveMaximum") return IsLess(a, b) ? a : b;
  return std::nullopt;
}

const JsonValue& Target(const JsonValue& schema, const JsonValue& root) {
  const JsonValue* target = &schema;
  for (int hops = 0; hops < 16 && target->Find("$ref") != nullptr; ++hops) {
    const Result<const JsonValue*> next = Resolve(root, *target->Find("$ref")->AsString());
    if (!next) break;
    target = *next;
  }
  return *target;
}

// The values a schema is one of; empty: not known.
JsonArray Constants(const JsonValue& schema) {
  if (const JsonValue* value = schema.Find("const")) return {*value};
  if (const JsonValue* values = schema.Find("enum")) return List(*values);
  return {};
}

bool ShareNothing(const JsonValue& a, const JsonValue& b, const JsonValue& root) {
  constexpr std::size_t kMostConstants = 32;
  const JsonArray constants_a = Constants(a), constants_b = Constants(b);
  if (constants_a.size() > kMostConstants || constants_b.size() > kMostConstants) return false;
  if (!constants_a.empty() && !constants_b.empty()) {
    const auto is_plain = [](const JsonValue& value) { return !value.AsArray() && !value.AsObject() && !std::holds_alternative<double>(value.value); };
    return std::ranges::all_of(constants_a, is_plain) && std::ranges::all_of(constants_b, is_plain) &&
           std::ranges::none_of(constants_a, [&](const JsonValue& value) { return Contains(constants_b, value); });
  }
  const JsonValue* type_a = a.Find("type");
  const JsonValue* type_b = b.Find("type");
  if (type_a == nullptr || type_b == nullptr) return false;
  const JsonArray common = SharedTypes(*type_a, *type_b);
  if (common.empty()) return true;
  if (common.size() != 1 || *common[0].AsString() != "object") return false;
  const JsonValue* properties = a.Find("properties");
  const JsonValue* other = b.Find("properties");
  if (properties == nullptr || other == nullptr || a.Find("required") == nullptr || b.Find("required") == nullptr) return false;
  for (const JsonValue& name : *a.Find("required")->AsArray()) {
    const JsonValue* first = properties->Find(*name.AsString());
    const JsonValue* second = other->Find(*name.AsString());
    if (first == nullptr || second == nullptr || !Contains(*b.Find("required")->AsArray(), name)) continue;
    if (!Constants(Target(*first, root)).empty() && ShareNothing(Target(*first, root), Target(*second, root), root)) return true;
  }
  return false;
}

}  // namespace

JsonValue Without(const JsonValue& schema, std::string_view keyword) {
  JsonObject rest;
  for (const text::JsonMember& member : *schema.AsObject()) {
    if (member.key != keyword) rest.push_back(member);
  }
  return Make(std::move(rest));
}

bool HasAssertions(const JsonValue& schema) {
  if (const bool* flag = std::get_if<bool>(&schema.value)) return !*flag;
  return std::ranges::any_of(*schema.AsObject(), [](const text::JsonMember& member) { return UseOf(member.key) == KeywordUse::kServed; });
}

Result<JsonValue> Merge(const JsonValue& a, const JsonValue& b) {
  if (const bool* flag = std::get_if<bool>(&a.value)) return *flag ? b : a;
  if (const bool* flag = std::get_if<bool>(&b.value)) return *flag ? a : b;
  JsonObject merged;
  const bool properties = a.Find("properties") != nullptr || b.Find("properties") != nullptr;
  if (properties) merged.push_back({"properties", MergeProperties(a, b)});
  JsonArray more;
  for (const text::JsonMember& member : *a.AsObject()) {
    if (member.key == "properties") continue;
    const JsonValue* other = b.Find(member.key);
    if (member.key == "$ref" && other != nullptr && !Same(member.value, *other)) {
      more.push_back(Make(JsonObject{{"$ref", *other}}));
      other = nullptr;
    }
    const std::optional<JsonValue> value = other == nullptr ? member.value : MergeKeyword(member.key, member.value, *other);
    if (!value) {
      return diagnostics::Unsupported("two schemas that must both hold differ in \"" + diagnostics::Quoted(member.key) + "\"; write them as one");
    }
    merged.push_back({member.key, *value});
  }
  for (const text::JsonMember& member : *b.AsObject()) {
    if (member.key != "properties" && a.Find(member.key) == nullptr) merged.push_back(member);
  }
  JsonValue result = Make(std::move(merged));
  if (more.empty()) return result;
  return Merge(result, Make(JsonObject{{"allOf", Make(std::move(more))}}));
}

bool AreDisjoint(const JsonArray& schemas, const JsonValue& root) {
  constexpr std::size_t kMostCompared = 64;
  if (schemas.size() > kMostCompared) return false;
  for (std::size_t i = 0; i < schemas.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (!ShareNothing(Target(schemas[i], root), Target(schemas[k], root), root)) return false;
    }
  }
  return true;
}

}  // namespace baleen::constraint

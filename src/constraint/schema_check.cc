#include "constraint/schema_check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "constraint/regex.h"

namespace baleen::constraint {

namespace {

using diagnostics::ErrorKind;
using diagnostics::InvalidInput;
using diagnostics::Quoted;
using text::JsonArray;
using text::JsonObject;
using text::JsonValue;

constexpr int kDeepest = 64;
constexpr std::size_t kLargestSchema = std::size_t{4} << 20;
// Members are looked up one by one, so many of both would take long.
constexpr std::size_t kMostMembers = 10'000, kMostReferences = 10'000;
constexpr std::array<std::string_view, 7> kTypes{"null", "boolean", "integer", "number", "string", "array", "object"};

// What must stand behind a keyword.
enum class Shape { kAnything, kSchema, kSchemas, kSchemaMap, kSchemaOrSchemas, kCount, kNumber, kText, kFlag, kTexts, kType, kEnum, kReference, kPattern };

struct Keyword {
  KeywordUse use;
  Shape shape = Shape::kAnything;
};

const std::unordered_map<std::string_view, Keyword>& Keywords() {
  using enum KeywordUse;
  static const std::unordered_map<std::string_view, Keyword> table{
      {"$schema", {kAnnotation}}, {"$id", {kAnnotation}}, {"$comment", {kAnnotation}}, {"title", {kAnnotation}}, {"description", {kAnnotation}},
      {"default", {kAnnotation}}, {"examples", {kAnnotation}}, {"deprecated", {kAnnotation}}, {"readOnly", {kAnnotation}},
      {"writeOnly", {kAnnotation}}, {"contentEncoding", {kAnnotation}}, {"contentMediaType", {kAnnotation}}, {"$anchor", {kAnnotation}},
      {"$defs", {kAnnotation, Shape::kSchemaMap}}, {"definitions", {kAnnotation, Shape::kSchemaMap}},
      {"type", {kServed, Shape::kType}}, {"enum", {kServed, Shape::kEnum}}, {"const", {kServed}}, {"$ref", {kServed, Shape::kReference}},
      {"allOf", {kServed, Shape::kSchemas}}, {"anyOf", {kServed, Shape::kSchemas}}, {"oneOf", {kServed, Shape::kSchemas}},
      {"properties", {kServed, Shape::kSchemaMap}}, {"required", {kServed, Shape::kTexts}}, {"additionalProperties", {kServed, Shape::kSchema}},
      {"unevaluatedProperties", {kServed, Shape::kSchema}}, {"minProperties", {kServed, Shape::kCount}}, {"maxProperties", {kServed, Shape::kCount}},
      {"items", {kServed, Shape::kSchemaOrSchemas}}, {"prefixItems", {kServed, Shape::kSchemas}}, {"additionalItems", {kServed, Shape::kSchema}},
      {"minItems", {kServed, Shape::kCount}}, {"maxItems", {kServed, Shape::kCount}}, {"uniqueItems", {kServed, Shape::kFlag}},
      {"minLength", {kServed, Shape::kCount}}, {"maxLength", {kServed, Shape::kCount}}, {"pattern", {kServed, Shape::kPattern}},
      {"format", {kServed, Shape::kText}}, {"minimum", {kServed, Shape::kNumber}}, {"maximum", {kServed, Shape::kNumber}},
      {"exclusiveMinimum", {kServed, Shape::kNumber}}, {"exclusiveMaximum", {kServed, Shape::kNumber}}, {"multipleOf", {kServed, Shape::kNumber}},
      {"not", {kRefused, Shape::kSchema}}, {"if", {kRefused, Shape::kSchema}}, {"then", {kRefused, Shape::kSchema}}, {"else", {kRefused, Shape::kSchema}},
      {"contains", {kRefused, Shape::kSchema}}, {"minContains", {kRefused}}, {"maxContains", {kRefused}}, {"unevaluatedItems", {kRefused, Shape::kSchema}},
      {"patternProperties", {kRefused, Shape::kSchemaMap}}, {"propertyNames", {kRefused, Shape::kSchema}}, {"dependencies", {kRefused}},
      {"dependentRequired", {kRefused}}, {"dependentSchemas", {kRefused}}, {"$dynamicRef", {kRefused}}, {"$recursiveRef", {kRefused}},
      {"$dynamicAnchor", {kRefused}}, {"$recursiveAnchor", {kRefused}}, {"$vocabulary", {kRefused}}, {"contentSchema", {kRefused}}};
  return table;
}

std::string Found(const JsonValue& value) { return std::string(value.Kind()); }

std::string Named(std::string_view keyword) { return "\"" + Quoted(keyword) + "\""; }

class Checker {
 public:
  Checker(const JsonValue& root, const SchemaSettings& settings) : root_(root), settings_(settings) {}

  Status Check() {
    TRY(CheckDepth(root_, 0));
    waiting_.push_back({&root_, ""});
    while (!waiting_.empty()) {
      const Waiting next = std::move(waiting_.back());
      waiting_.pop_back();
      if (seen_.insert(next.schema).second) TRY(CheckSchema(*next.schema, next.pointer));
    }
    return {};
  }

 private:
  struct Waiting {
    const JsonValue* schema;
    std::string pointer;
  };

  diagnostics::Error At(std::string_view pointer, const std::string& message, ErrorKind kind = ErrorKind::kInvalidInput) const {
    return SchemaError(settings_, pointer, message, kind);
  }

  Status CheckDepth(const JsonValue& value, int depth) const {
    if (depth > kDeepest) return At("", "expected at most " + std::to_string(kDeepest) + " levels of nesting, found more; write it with \"$ref\"");
    if (const JsonArray* items = value.AsArray()) {
      for (const JsonValue& item : *items) TRY(CheckDepth(item, depth + 1));
    }
    if (const JsonObject* members = value.AsObject()) {
      if (members->size() > kMostMembers) return At("", "expected objects of at most " + std::to_string(kMostMembers) + " members, found a larger one");
      for (const text::JsonMember& member : *members) TRY(CheckDepth(member.value, depth + 1));
    }
    if (const auto* number = std::get_if<double>(&value.value); number != nullptr && !std::isfinite(*number)) {
      return At("", "expected finite numbers, found NaN, Infinity or a number beyond the range of doubles");
    }
    return {};
  }

  Status CheckSchema(const JsonValue& schema, const std::string& pointer) {
    if (std::holds_alternative<bool>(schema.value)) return {};
    const JsonObject* members = schema.AsObject();
    if (members == nullptr) return At(pointer, "expected a schema, an object or a boolean, found " + Found(schema));
    for (const text::JsonMember& member : *members) {
      const auto keyword = Keywords().find(member.key);
      if (keyword == Keywords().end()) {
        if (!settings_.strict) continue;
        return At(pointer, "expected only keywords that can be enforced, as the schema is strict, found " + Named(member.key) + "; remove it",
                  ErrorKind::kUnsupported);
      }
      TRY(CheckShape(member, keyword->second.shape, Below(pointer, member.key)));
      if (keyword->second.use == KeywordUse::kRefused) {
        return At(pointer, "the keyword " + Named(member.key) + " cannot be enforced while text is written; remove it", ErrorKind::kUnsupported);
      }
    }
    TRY(CheckOrder(schema, pointer, "minLength", "maxLength"));
    TRY(CheckOrder(schema, pointer, "minItems", "maxItems"));
    TRY(CheckOrder(schema, pointer, "minProperties", "maxProperties"));
    return CheckInterval(schema, pointer);
  }

  Status CheckShape(const text::JsonMember& member, Shape shape, const std::string& pointer) {
    const JsonValue& value = member.value;
    switch (shape) {
      case Shape::kAnything: return {};
      case Shape::kSchema: return waiting_.push_back({&value, pointer}), Status();
      case Shape::kSchemaMap: return CheckMap(value, pointer);
      case Shape::kSchemaOrSchemas:
        if (value.AsArray() == nullptr) return waiting_.push_back({&value, pointer}), Status();
        return CheckList(value, pointer);
      case Shape::kSchemas: return CheckList(value, pointer);
      case Shape::kCount: return Expect(ReadCount(value).has_value(), "an integer from 0 on", value, pointer);
      case Shape::kNumber: return Expect(NumberText(value).has_value(), "a number", value, pointer);
      case Shape::kText: return Expect(value.AsString() != nullptr, "a string", value, pointer);
      case Shape::kFlag: return Expect(std::holds_alternative<bool>(value.value), "a boolean", value, pointer);
      case Shape::kTexts: return CheckTexts(value, pointer);
      case Shape::kType: return CheckType(value, pointer);
      case Shape::kEnum:
        TRY(Expect(value.AsArray() != nullptr, "an array", value, pointer));
        return value.AsArray()->empty() ? Status(At(pointer, "expected at least one value, found none; nothing could be valid")) : Status();
      case Shape::kReference: return CheckReference(value, pointer);
      case Shape::kPattern: return CheckPattern(value, pointer);
    }
    return {};
  }

  Status Expect(bool holds, std::string_view what, const JsonValue& found, const std::string& pointer) const {
    return holds ? Status() : Status(At(pointer, "expected " + std::string(what) + ", found " + Found(found)));
  }

  Status CheckMap(const JsonValue& value, const std::string& pointer) {
    TRY(Expect(value.AsObject() != nullptr, "an object of schemas", value, pointer));
    for (const text::JsonMember& member : *value.AsObject()) waiting_.push_back({&member.value, Below(pointer, member.key)});
    return {};
  }

  Status CheckList(const JsonValue& value, const std::string& pointer) {
    const JsonArray* items = value.AsArray();
    if (items == nullptr || items->empty()) return At(pointer, "expected an array of at least one schema, found " + (items ? "none" : Found(value)));
    for (std::size_t i = 0; i < items->size(); ++i) waiting_.push_back({&(*items)[i], Below(pointer, std::to_string(i))});
    return {};
  }

  Status CheckTexts(const JsonValue& value, const std::string& pointer) const {
    TRY(Expect(value.AsArray() != nullptr, "an array of strings", value, pointer));
    for (const JsonValue& item : *value.AsArray()) TRY(Expect(item.AsString() != nullptr, "an array of strings", item, pointer));
    return {};
  }

  Status CheckType(const JsonValue& value, const std::string& pointer) const {
    const JsonArray one{value};
    const JsonArray& types = value.AsArray() != nullptr ? *value.AsArray() : one;
    if (types.empty()) return At(pointer, "expected at least one type, found none");
    if (types.size() > kTypes.size()) return At(pointer, "expected each type once, found " + std::to_string(types.size()));
    for (const JsonValue& type : types) {
      const std::string* name = type.AsString();
      if (name != nullptr && std::ranges::find(kTypes, *name) != kTypes.end()) continue;
      return At(pointer, "expected null, boolean, integer, number, string, array or object, found " + (name ? Named(*name) : Found(type)));
    }
    return {};
  }

  Status CheckReference(const JsonValue& value, const std::string& pointer) {
    TRY(Expect(value.AsString() != nullptr, "a string", value, pointer));
    if (++references_ > kMostReferences) return At(pointer, "expected at most " + std::to_string(kMostReferences) + " references, found more");
    const Result<const JsonValue*> target = Resolve(root_, *value.AsString());
    if (!target) return At(pointer, target.error().message);
    waiting_.push_back({*target, value.AsString()->substr(1)});
    return {};
  }

  Status CheckPattern(const JsonValue& value, const std::string& pointer) const {
    TRY(Expect(value.AsString() != nullptr, "a string", value, pointer));
    RuleBook book;
    const Result<Expression> read = ReadRegex(*value.AsString(), PatternScope::kPart, {StringForm::Kind::kJson, settings_.inside_dsml}, book);
    if (!read) return At(pointer, "the pattern cannot be compiled: " + read.error().message, read.error().kind);
    return {};
  }

  Status CheckOrder(const JsonValue& schema, const std::string& pointer, std::string_view least, std::string_view most) const {
    const JsonValue* low = schema.Find(least);
    const JsonValue* high = schema.Find(most);
    if (low == nullptr || high == nullptr || *ReadCount(*low) <= *ReadCount(*high)) return {};
    return At(pointer, "expected " + Named(least) + " not above " + Named(most) + ", found " + text::WriteJson(*low) + " and " + text::WriteJson(*high));
  }

  Status CheckInterval(const JsonValue& schema, const std::string& pointer) const {
    const auto number = [&](std::string_view key) -> std::optional<double> {
      const JsonValue* value = schema.Find(key);
      return value == nullptr ? std::nullopt : std::optional(std::strtod(NumberText(*value)->c_str(), nullptr));
    };
    for (const std::string_view low : {"minimum", "exclusiveMinimum"}) {
      for (const std::string_view high : {"maximum", "exclusiveMaximum"}) {
        const std::optional<double> least = number(low), most = number(high);
        const bool excluded = low.starts_with('e') || high.starts_with('e');
        if (!least || !most || *least < *most || (*least == *most && !excluded)) continue;
        return At(pointer, "expected " + Named(low) + " not above " + Named(high) + ", found " + text::WriteJson(*schema.Find(low)) + " and " +
                               text::WriteJson(*schema.Find(high)) + "; nothing could be valid");
      }
    }
    const Result<Interval> interval = ReadInterval(schema);
    if (!interval) return At(pointer, interval.error().message, interval.error().kind);
    return {};
  }

  const JsonValue& root_;
  const SchemaSettings& settings_;
  std::vector<Waiting> waiting_;
  std::size_t references_ = 0;
  std::unordered_set<const JsonValue*> seen_;
};

// Percent escapes of a URI fragment.
std::string WithoutPercents(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 3 <= text.size() && std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

const JsonValue* Step(const JsonValue& value, const std::string& key) {
  const JsonArray* items = value.AsArray();
  if (items == nullptr) return value.Find(key);
  std::size_t index = 0;
  const auto read = std::from_chars(key.data(), key.data() + key.size(), index);
  return read.ec == std::errc() && read.ptr == key.data() + key.size() && index < items->size() ? &(*items)[index] : nullptr;
}

}  // namespace

KeywordUse UseOf(std::string_view keyword) {
  const auto found = Keywords().find(keyword);
  return found == Keywords().end() ? KeywordUse::kUnknown : found->second.use;
}

diagnostics::Error SchemaError(const SchemaSettings& settings, std::string_view pointer, const std::string& message, ErrorKind kind) {
  return {kind, settings.field + (pointer.empty() ? "" : " at " + Quoted(pointer, 200)) + ": " + message};
}

std::string Below(std::string_view pointer, std::string_view key) {
  std::string below(pointer);
  below += '/';
  for (const char c : key) {
    if (c == '~') below += "~0";
    else if (c == '/') below += "~1";
    else below += c;
  }
  return below;
}

Result<const JsonValue*> Resolve(const JsonValue& root, std::string_view reference) {
  if (reference != "#" && !reference.starts_with("#/")) {
    return InvalidInput("expected a reference into this schema, like #/$defs/name, found \"" + Quoted(reference) + "\"; nothing is fetched");
  }
  const std::string path = WithoutPercents(reference.substr(1));
  const JsonValue* value = &root;
  for (std::size_t at = 0; at < path.size() && value != nullptr;) {
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    std::string key;
    for (std::size_t i = at + 1; i < end; ++i) {
      const bool escape = path[i] == '~' && i + 1 < end && (path[i + 1] == '0' || path[i + 1] == '1');
      key += escape ? (path[++i] == '0' ? '~' : '/') : path[i];
    }
    value = Step(*value, key);
    at = end;
  }
  if (value == nullptr) return InvalidInput("expected a reference to something in the schema, found \"" + Quoted(reference) + "\", where nothing is");
  return value;
}

std::optional<std::int64_t> ReadCount(const JsonValue& value) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  if (const auto* integer = std::get_if<text::JsonInteger>(&value.value)) {
    if (integer->digits.starts_with('-')) return std::nullopt;
    return std::min(value.AsInt64().value_or(kMost), kMost);
  }
  const auto* number = std::get_if<double>(&value.value);
  if (number == nullptr || *number < 0 || *number != std::floor(*number)) return std::nullopt;
  return *number > static_cast<double>(kMost) ? kMost : static_cast<std::int64_t>(*number);
}

std::optional<std::string> NumberText(const JsonValue& value) {
  if (const auto* integer = std::get_if<text::JsonInteger>(&value.value)) return integer->digits;
  if (const auto* number = std::get_if<double>(&value.value)) return text::WritePythonFloat(*number);
  return std::nullopt;
}

Result<Interval> ReadInterval(const JsonValue& schema) {
  Interval interval;
  for (const std::string_view key : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    const JsonValue* value = schema.Find(key);
    if (value == nullptr) continue;
    const std::string number = *NumberText(*value);
    const bool is_least = key.ends_with("inimum"), excluded = key.starts_with('e'), negative = number.starts_with('-');
    const std::optional<Decimal> decimal = ReadDecimal(number);
    if (!decimal) {
      // Beyond everything that is written anyway.
      if (std::abs(std::strtod(number.c_str(), nullptr)) >= 1e18 && negative == is_least) continue;
      return diagnostics::Unsupported("expected \"" + std::string(key) + "\" to have at most 18 digits, 9 of them behind the point, found " + Quoted(number));
    }
    std::optional<Bound>& bound = is_least ? interval.least : interval.most;
    const auto size = [](const Decimal& d) { return static_cast<double>(d.digits) * std::pow(10.0, -d.places); };
    const bool stronger = !bound || (is_least ? size(*decimal) >= size(bound->value) : size(*decimal) <= size(bound->value));
    if (stronger) bound = Bound{*decimal, excluded};
  }
  return interval;
}

Result<JsonValue> ReadSchema(std::string_view json, const SchemaSettings& settings) {
  if (json.size() > kLargestSchema) {
    return SchemaError(settings, "", "expected at most " + std::to_string(kLargestSchema >> 20) + " MiB, found " + std::to_string(json.size()) + " bytes");
  }
  Result<JsonValue> schema = text::ParseJson(json, text::RepeatedKeys::kRefused);
  if (!schema) return SchemaError(settings, "", "expected JSON: " + schema.error().message);
  TRY(Checker(*schema, settings).Check());
  return schema;
}

}  // namespace baleen::constraint

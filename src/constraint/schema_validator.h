// For the tests of this folder: JSON schema by the definition, as far as the tests use it.
#pragma once

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>

#include "text/json_python.h"
#include "text/utf8.h"

namespace baleen::constraint {

inline double NumberOf(const text::JsonValue& value) {
  if (const auto* integer = std::get_if<text::JsonInteger>(&value.value)) return std::stod(integer->digits);
  return std::get<double>(value.value);
}

inline bool IsNumber(const text::JsonValue& value) { return value.value.index() == 2 || value.value.index() == 3; }

inline bool HasType(const text::JsonValue& value, const std::string& type) {
  if (type == "number") return IsNumber(value);
  if (type == "integer") return IsNumber(value) && NumberOf(value) == std::floor(NumberOf(value));
  constexpr const char* kNames[] = {"null", "boolean", "", "", "string", "array", "object"};
  return type == kNames[value.value.index()];
}

inline std::string InvalidByCombination(const text::JsonValue& schema, const text::JsonValue& value, const text::JsonValue& root);
inline std::string InvalidContainer(const text::JsonValue& schema, const text::JsonValue& value, const text::JsonValue& root);
inline std::string InvalidScalar(const text::JsonValue& schema, const text::JsonValue& value);

/// Why the value is invalid; "" if it is valid.
inline std::string Invalid(const text::JsonValue& schema, const text::JsonValue& value, const text::JsonValue& root) {
  if (const bool* flag = std::get_if<bool>(&schema.value)) return *flag ? "" : "false";
  if (const text::JsonValue* type = schema.Find("type")) {
    bool fits = false;
    if (type->AsString()) fits = HasType(value, *type->AsString());
    else for (const text::JsonValue& one : *type->AsArray()) fits |= HasType(value, *one.AsString());
    if (!fits) return "type";
  }
  for (const std::string& why : {InvalidByCombination(schema, value, root), InvalidContainer(schema, value, root), InvalidScalar(schema, value)}) {
    if (!why.empty()) return why;
  }
  return "";
}

inline std::string InvalidByCombination(const text::JsonValue& schema, const text::JsonValue& value, const text::JsonValue& root) {
  if (const text::JsonValue* reference = schema.Find("$ref")) {
    const text::JsonValue* target = &root;
    std::string path = *reference->AsString() + "/";
    for (std::size_t at = 2; at < path.size(); at = path.find('/', at) + 1) target = target->Find(path.substr(at, path.find('/', at) - at));
    if (const std::string why = Invalid(*target, value, root); !why.empty()) return "$ref: " + why;
  }
  for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
    const text::JsonValue* list = schema.Find(keyword);
    if (list == nullptr) continue;
    const std::size_t size = list->AsArray()->size();
    std::size_t valid = 0;
    for (const text::JsonValue& one : *list->AsArray()) valid += Invalid(one, value, root).empty() ? 1 : 0;
    if (keyword[0] == 'a' && keyword[1] == 'l' ? valid != size : keyword[0] == 'a' ? valid == 0 : valid != 1) return keyword;
  }
  const auto equal = [&](const text::JsonValue& other) { return text::WriteJson(other) == text::WriteJson(value); };
  if (const text::JsonValue* constant = schema.Find("const"); constant && !equal(*constant)) return "const";
  if (const text::JsonValue* list = schema.Find("enum"); list && std::ranges::none_of(*list->AsArray(), equal)) return "enum";
  return "";
}

inline std::string InvalidContainer(const text::JsonValue& schema, const text::JsonValue& value, const text::JsonValue& root) {
  const auto count = [&](const char* keyword, std::int64_t otherwise) { return schema.Find(keyword) ? *schema.Find(keyword)->AsInt64() : otherwise; };
  if (const text::JsonObject* members = value.AsObject()) {
    const auto size = static_cast<std::int64_t>(members->size());
    if (size < count("minProperties", 0) || size > count("maxProperties", size)) return "number of properties";
    if (const text::JsonValue* required = schema.Find("required")) {
      for (const text::JsonValue& name : *required->AsArray()) {
        if (value.Find(*name.AsString()) == nullptr) return "required " + *name.AsString();
      }
    }
    const text::JsonValue* listed = schema.Find("properties");
    const text::JsonValue* additional = schema.Find("additionalProperties");
    for (const text::JsonMember& member : *members) {
      const text::JsonValue* property = listed ? listed->Find(member.key) : nullptr;
      if (property == nullptr) property = additional;
      if (property == nullptr) continue;
      if (const std::string why = Invalid(*property, member.value, root); !why.empty()) return member.key + ": " + why;
    }
  }
  if (const text::JsonArray* items = value.AsArray()) {
    const auto size = static_cast<std::int64_t>(items->size());
    if (size < count("minItems", 0) || size > count("maxItems", size)) return "number of items";
    const text::JsonValue* rest = schema.Find("items");
    const text::JsonValue* prefix = schema.Find("prefixItems");
    if (rest && rest->AsArray()) prefix = rest, rest = schema.Find("additionalItems");
    for (std::size_t i = 0; i < items->size(); ++i) {
      const text::JsonValue* item = prefix && i < prefix->AsArray()->size() ? &(*prefix->AsArray())[i] : rest;
      if (item == nullptr) continue;
      if (const std::string why = Invalid(*item, (*items)[i], root); !why.empty()) return std::to_string(i) + ": " + why;
    }
  }
  return "";
}

inline std::string InvalidFormat(const std::string& format, const std::string& text) {
  const std::pair<const char*, const char*> kShapes[] = {
      {"date", R"(\d{4}-\d\d-\d\d)"}, {"date-time", R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))"}, {"email", R"([^@ ]+@[^@ ]+\.[^@ ]+)"},
      {"uuid", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"}, {"ipv4", R"((\d{1,3}\.){3}\d{1,3})"}, {"duration", R"(P(\d+W|(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?))"}};
  for (const auto& [name, shape] : kShapes) {
    if (format == name) return std::regex_match(text, std::regex(shape)) ? "" : "format " + format;
  }
  return "unknown format";
}

inline std::string InvalidScalar(const text::JsonValue& schema, const text::JsonValue& value) {
  if (const std::string* text = value.AsString()) {
    std::int64_t length = 0;
    for (std::string_view rest = *text; !rest.empty(); rest.remove_prefix(text::ReadUtf8(rest).bytes)) ++length;
    if (schema.Find("minLength") && length < *schema.Find("minLength")->AsInt64()) return "minLength";
    if (schema.Find("maxLength") && length > *schema.Find("maxLength")->AsInt64()) return "maxLength";
    if (const text::JsonValue* pattern = schema.Find("pattern"); pattern && !std::regex_search(*text, std::regex(*pattern->AsString()))) {
      // std::regex counts bytes: a text of few characters may be of many bytes.
      if (std::ranges::all_of(*text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return "pattern";
    }
    if (const text::JsonValue* format = schema.Find("format")) return InvalidFormat(*format->AsString(), *text);
  }
  if (!IsNumber(value)) return "";
  const double number = NumberOf(value);
  if (schema.Find("minimum") && number < NumberOf(*schema.Find("minimum"))) return "minimum";
  if (schema.Find("maximum") && number > NumberOf(*schema.Find("maximum"))) return "maximum";
  if (schema.Find("exclusiveMinimum") && number <= NumberOf(*schema.Find("exclusiveMinimum"))) return "exclusiveMinimum";
  if (schema.Find("exclusiveMaximum") && number >= NumberOf(*schema.Find("exclusiveMaximum"))) return "exclusiveMaximum";
  if (schema.Find("multipleOf") && std::fmod(number, NumberOf(*schema.Find("multipleOf"))) != 0) return "multipleOf";
  return "";
}

}  // namespace baleen::constraint

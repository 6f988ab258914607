#include "completion/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace baleen::completion {
namespace {

using text::JsonValue;

// Where an object or array is nested deeper than allowed, in a text that need not be JSON.
std::size_t FindTooDeep(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMostDepth) return i;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return std::string_view::npos;
}

// 2 and not 2.0 where the bound is whole.
std::string Bound(double value) { return value == std::floor(value) ? std::to_string(static_cast<std::int64_t>(value)) : text::WritePythonFloat(value); }

constexpr double kTwoTo63 = 9223372036854775808.0;

// Code points that begin in the bytes.
std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }));
}

std::string Range(const std::string& kind, const std::string& least, const std::string& most) { return kind + " from " + least + " to " + most; }

}  // namespace

std::optional<std::int64_t> WholeOf(const JsonValue& value) {
  if (std::holds_alternative<text::JsonInteger>(value.value)) return value.AsInt64();
  const double* number = std::get_if<double>(&value.value);
  if (number == nullptr || !(std::abs(*number) < kTwoTo63) || *number != std::floor(*number)) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

bool IsWhole(const JsonValue& value) {
  const double* number = std::get_if<double>(&value.value);
  return std::holds_alternative<text::JsonInteger>(value.value) || (number != nullptr && std::isfinite(*number) && *number == std::floor(*number));
}

Checked<JsonValue> ParseBody(std::string_view json) {
  if (const std::size_t at = FindTooDeep(json); at != std::string_view::npos) {
    return Refuse(400, "", "the request: expected objects and arrays at most " + std::to_string(kMostDepth) + " deep, found a deeper one at byte " +
                               std::to_string(at) + "; flatten it", "invalid_value");
  }
  Result<JsonValue> value = text::ParseJson(json);
  if (!value) return Refuse(400, "", "the request: expected JSON: " + value.error().message + "; correct it", "invalid_json");
  return *std::move(value);
}

RequestError WrongTypeAt(const std::string& path, std::string_view expected, const JsonValue* found) {
  const bool missing = found == nullptr || found->IsNull();
  return Refuse(400, path, path + ": expected " + std::string(expected) + ", found " + (missing ? "nothing" : std::string(found->Kind())) + "; correct the request",
                missing ? "missing_field" : "invalid_type");
}

RequestError WrongValueAt(const std::string& path, std::string_view expected, const JsonValue& found) {
  const bool simple = found.AsArray() == nullptr && found.AsObject() == nullptr;
  return Refuse(422, path, path + ": expected " + std::string(expected) + ", found " + (simple ? diagnostics::Quoted(text::WriteJson(found)) : std::string(found.Kind())) +
                               "; correct the request", "invalid_value");
}

Checked<Fields> Fields::Of(const JsonValue* value, std::string path) {
  if (value == nullptr || value->AsObject() == nullptr) return WrongTypeAt(path, "an object", value);
  return Fields(*value, std::move(path));
}

const JsonValue* Fields::Find(std::string_view key) const {
  const JsonValue* value = object_->Find(key);
  return value == nullptr || value->IsNull() ? nullptr : value;
}

std::string Fields::Path(std::string_view key) const { return path_.empty() ? std::string(key) : path_ + "." + std::string(key); }

RequestError Fields::WrongType(std::string_view key, std::string_view expected) const { return WrongTypeAt(Path(key), expected, Find(key)); }

RequestError Fields::WrongValue(std::string_view key, std::string_view expected) const {
  const JsonValue* value = Find(key);
  return value == nullptr ? WrongTypeAt(Path(key), expected, nullptr) : WrongValueAt(Path(key), expected, *value);
}

Checked<std::optional<bool>> Fields::Boolean(std::string_view key) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return std::optional<bool>();
  const bool* boolean = std::get_if<bool>(&value->value);
  if (boolean == nullptr) return WrongType(key, "true or false");
  return std::optional<bool>(*boolean);
}

Checked<std::optional<std::int64_t>> Fields::Whole(std::string_view key, std::int64_t least, std::int64_t most) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return std::optional<std::int64_t>();
  const std::string expected = Range("a whole number", std::to_string(least), std::to_string(most));
  if (!IsWhole(*value)) return WrongType(key, expected);
  const std::optional<std::int64_t> whole = WholeOf(*value);
  if (!whole || *whole < least || *whole > most) return WrongValue(key, expected);
  return whole;
}

Checked<std::optional<double>> Fields::Number(std::string_view key, double least, double most) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return std::optional<double>();
  const std::string expected = Range("a number", Bound(least), Bound(most));
  double number = 0;
  if (const double* real = std::get_if<double>(&value->value)) {
    number = *real;
  } else if (std::holds_alternative<text::JsonInteger>(value->value)) {
    const std::optional<std::int64_t> whole = value->AsInt64();
    if (!whole) return WrongValue(key, expected);
    number = static_cast<double>(*whole);
  } else {
    return WrongType(key, expected);
  }
  if (!(number >= least && number <= most)) return WrongValue(key, expected);  // NaN is in no range
  return std::optional<double>(number);
}

Checked<std::optional<std::string>> Fields::Text(std::string_view key, std::size_t most_characters) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return std::optional<std::string>();
  const std::string* text = value->AsString();
  if (text == nullptr) return WrongType(key, "a string");
  TRY(CheckLength(*text, Path(key), most_characters));
  return std::optional<std::string>(*text);
}

Checked<void> CheckLength(std::string_view text, const std::string& path, std::size_t most_characters) {
  if (text.size() <= most_characters) return {};
  const std::size_t count = CountCharacters(text);
  if (count <= most_characters) return {};
  return Refuse(422, path, path + ": expected at most " + std::to_string(most_characters) + " characters, found " + std::to_string(count) + "; shorten it", "invalid_value");
}

Checked<std::optional<std::uint64_t>> Fields::Bits64(std::string_view key) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return std::optional<std::uint64_t>();
  if (!IsWhole(*value)) return WrongType(key, "a whole number of 64 bits");
  if (const std::optional<std::int64_t> whole = WholeOf(*value)) return std::optional<std::uint64_t>(static_cast<std::uint64_t>(*whole));
  std::uint64_t bits = 0;
  if (const double* number = std::get_if<double>(&value->value)) {
    if (!(*number >= kTwoTo63 && *number < 2 * kTwoTo63)) return WrongValue(key, "a whole number of 64 bits");
    return std::optional<std::uint64_t>(static_cast<std::uint64_t>(*number));
  }
  const std::string& digits = std::get<text::JsonInteger>(value->value).digits;
  const char* end = digits.data() + digits.size();
  const auto [stop, fault] = std::from_chars(digits.data(), end, bits);
  if (fault != std::errc() || stop != end) return WrongValue(key, "a whole number of 64 bits");
  return std::optional<std::uint64_t>(bits);
}

}  // namespace baleen::completion

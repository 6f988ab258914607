#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::text {

struct JsonValue;
struct JsonMember;
using JsonArray = std::vector<JsonValue>;
using JsonObject = std::vector<JsonMember>;

/// An integer as its decimal digits, exact at any size: "-12", never "-0" or "007".
struct JsonInteger {
  std::string digits;
  friend bool operator==(const JsonInteger&, const JsonInteger&) = default;
};

/// A JSON value that keeps the order of its members and tells integers from floats, as Python's json module does (§11.5).
struct JsonValue {
  std::variant<std::nullptr_t, bool, JsonInteger, double, std::string, JsonArray, JsonObject> value;

  // Defined below, where JsonMember is complete.
  JsonValue() noexcept;
  JsonValue(const JsonValue&);
  JsonValue(JsonValue&&) noexcept;
  JsonValue& operator=(const JsonValue&);
  JsonValue& operator=(JsonValue&&) noexcept;
  ~JsonValue();

  bool IsNull() const noexcept { return std::holds_alternative<std::nullptr_t>(value); }
  const std::string* AsString() const noexcept { return std::get_if<std::string>(&value); }
  const JsonArray* AsArray() const noexcept { return std::get_if<JsonArray>(&value); }
  const JsonObject* AsObject() const noexcept { return std::get_if<JsonObject>(&value); }
  /// The integer, or nothing if the value is not one or does not fit 64 bits.
  std::optional<std::int64_t> AsInt64() const noexcept;
  /// The member's value, or nullptr if there is none or this is not an object.
  const JsonValue* Find(std::string_view key) const noexcept;
  /// Python's bool(value): false for null, false, 0, 0.0, "", [] and {}.
  bool IsTruthy() const noexcept;
  /// "null", "a boolean", "an integer", "a number", "a string", "an array" or "an object", for error messages.
  std::string_view Kind() const noexcept;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

inline JsonValue::JsonValue() noexcept = default;
inline JsonValue::JsonValue(const JsonValue&) = default;
inline JsonValue::JsonValue(JsonValue&&) noexcept = default;
inline JsonValue& JsonValue::operator=(const JsonValue&) = default;
inline JsonValue& JsonValue::operator=(JsonValue&&) noexcept = default;
inline JsonValue::~JsonValue() = default;

/// What to do about a key that stands twice in one object.
enum class RepeatedKeys {
  kLastValue,  // Python's way: the first place, the last value
  kRefused,
};

/// Nesting deeper than this is refused; Python's own reader gives up about here.
inline constexpr int kJsonDepthLimit = 990;

/// Reads one JSON value as Python's json.loads does: NaN, Infinity and -Infinity are accepted, integers are exact, numbers with a point
/// or an exponent become doubles (1e400 is Infinity); a raw control character in a string, a byte order mark or anything after the
/// value is an error. Unlike Python it refuses lone surrogates (\ud800), which no UTF-8 text can hold, and nesting beyond the limit.
///
/// Errors: say the line and column. `text` need not be UTF-8; what is not is an error.
Result<JsonValue> ParseJson(std::string_view text, RepeatedKeys repeated = RepeatedKeys::kLastValue);

/// True if `text` would be JSON but for a lone surrogate: it must not pass for plain text then.
bool FailsOnlyBySurrogate(std::string_view text);

/// Writes a value as json.dumps(value, ensure_ascii=False) does: ", " and ": " between, floats as Python's repr.
std::string WriteJson(const JsonValue& value);

/// The string with its quotes: escaped are `"`, `\` and what is below U+0020, nothing else. Strict JSON.
std::string QuoteJson(std::string_view text);

/// JSON with the characters that some reader takes for the end of a line (U+0085, U+2028, U+2029) as escapes: it stays one line for everyone.
std::string KeepOneLine(std::string_view json);

/// Python's repr of a float: 100000.0, 1e+16, 1e-05, inf as Infinity, nan as NaN.
std::string WritePythonFloat(double value);

}  // namespace baleen::text

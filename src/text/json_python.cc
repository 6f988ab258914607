#include "text/json_python.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <unordered_map>

#include "text/utf8.h"

namespace baleen::text {

namespace {

bool IsDigit(char c) noexcept { return c >= '0' && c <= '9'; }

// Objects below this size are searched member by member for repeated keys, larger ones through a table.
constexpr std::size_t kSmallObject = 8;

// What a number that from_chars calls out of range becomes: its decimal point's place says whether it is too large or too small.
double OutOfRange(std::string_view number) {
  const bool negative = number.starts_with('-');
  if (negative) number.remove_prefix(1);
  const std::size_t e = number.find_first_of("eE");
  const std::string_view digits = number.substr(0, e);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const std::size_t first = digits.find_first_of("123456789");
  std::int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view text = number.substr(e + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    if (std::from_chars(text.data(), text.data() + text.size(), exponent).ec == std::errc::result_out_of_range) {
      exponent = text.starts_with('-') ? std::numeric_limits<std::int64_t>::min() / 2 : std::numeric_limits<std::int64_t>::max() / 2;
    }
    exponent = std::clamp<std::int64_t>(exponent, std::numeric_limits<std::int64_t>::min() / 2, std::numeric_limits<std::int64_t>::max() / 2);
  }
  const std::int64_t place = exponent + static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
  const double size = first == std::string_view::npos || place < 0 ? 0.0 : std::numeric_limits<double>::infinity();
  return negative ? -size : size;
}

class Reader {
 public:
  Reader(std::string_view text, RepeatedKeys repeated) : text_(text), repeated_(repeated) {}

  Result<JsonValue> ReadDocument() {
    JsonValue value;
    if (!ReadValue(value, 0)) return Failure();
    SkipSpace();
    if (at_ != text_.size()) {
      Fail("the end of the text");
      return Failure();
    }
    return value;
  }

  bool surrogate() const noexcept { return surrogate_; }
  void allow_surrogates() noexcept { allow_surrogates_ = true; }

 private:
  // Remembers what was expected at the current place; always false.
  bool Fail(std::string_view expected) {
    if (expected_.empty()) expected_ = expected;
    return false;
  }

  diagnostics::Error Failure() const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t line_start = before.rfind('\n') + 1;
    std::string found = at_ == text_.size() ? "the end of the text" : "\"" + diagnostics::Quoted(text_.substr(at_, 12)) + "\"";
    return diagnostics::InvalidInput("line " + std::to_string(line) + ", column " + std::to_string(at_ - line_start + 1) + ": expected " + expected_ +
                                     ", found " + found);
  }

  void SkipSpace() noexcept {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }

  bool Take(std::string_view word) noexcept {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool ReadValue(JsonValue& out, int depth) {
    SkipSpace();
    if (at_ == text_.size()) return Fail("a JSON value");
    if (depth > kJsonDepthLimit) return Fail("at most " + std::to_string(kJsonDepthLimit) + " levels of nesting");
    switch (text_[at_]) {
      case '{': return ReadObject(out.value.emplace<JsonObject>(), depth);
      case '[': return ReadArray(out.value.emplace<JsonArray>(), depth);
      case '"': return ReadString(out.value.emplace<std::string>());
      default: break;
    }
    if (Take("null")) return true;
    if (Take("true")) return out.value = true, true;
    if (Take("false")) return out.value = false, true;
    if (Take("NaN")) return out.value = std::numeric_limits<double>::quiet_NaN(), true;
    if (Take("Infinity")) return out.value = std::numeric_limits<double>::infinity(), true;
    if (Take("-Infinity")) return out.value = -std::numeric_limits<double>::infinity(), true;
    return ReadNumber(out);
  }

  bool ReadArray(JsonArray& out, int depth) {
    ++at_;
    SkipSpace();
    if (Take("]")) return true;
    while (true) {
      if (!ReadValue(out.emplace_back(), depth + 1)) return false;
      SkipSpace();
      if (Take("]")) return true;
      if (!Take(",")) return Fail("\",\" or \"]\"");
    }
  }

  bool ReadObject(JsonObject& out, int depth) {
    ++at_;
    SkipSpace();
    if (Take("}")) return true;
    while (true) {
      SkipSpace();
      if (at_ == text_.size() || text_[at_] != '"') return Fail("a string as a key");
      JsonMember& member = out.emplace_back();
      if (!ReadString(member.key)) return false;
      SkipSpace();
      if (!Take(":")) return Fail("\":\"");
      if (!ReadValue(member.value, depth + 1)) return false;
      SkipSpace();
      if (Take("}")) return JoinRepeatedKeys(out);
      if (!Take(",")) return Fail("\",\" or \"}\"");
    }
  }

  bool JoinRepeatedKeys(JsonObject& members) {
    std::vector<bool> repeats(members.size(), false);
    std::unordered_map<std::string_view, std::size_t> places;
    if (members.size() > kSmallObject) places.reserve(members.size());
    bool any = false;
    for (std::size_t i = 0; i < members.size(); ++i) {
      std::size_t place = 0;
      if (members.size() > kSmallObject) {
        place = places.try_emplace(members[i].key, i).first->second;
      } else {
        while (members[place].key != members[i].key) ++place;
      }
      if (place == i) continue;
      if (repeated_ == RepeatedKeys::kRefused) {
        return Fail("each key once in the object that ends here (\"" + diagnostics::Quoted(members[i].key) + "\" is repeated)");
      }
      members[place].value = std::move(members[i].value);
      any = repeats[i] = true;
    }
    if (!any) return true;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (repeats[i]) continue;
      if (kept != i) members[kept] = std::move(members[i]);
      ++kept;
    }
    members.resize(kept);
    return true;
  }

  bool ReadString(std::string& out) {
    ++at_;
    while (true) {
      const std::size_t run = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && static_cast<unsigned char>(text_[at_]) >= 0x20) {
        if (static_cast<unsigned char>(text_[at_]) < 0x80) {
          ++at_;
          continue;
        }
        const Utf8Step step = ReadUtf8(text_.substr(at_));
        if (!step.valid) return Fail("UTF-8 text");
        at_ += step.bytes;
      }
      out.append(text_, run, at_ - run);
      if (at_ == text_.size()) return Fail("the closing quote of a string");
      if (text_[at_] == '"') return ++at_, true;
      if (text_[at_] != '\\') return Fail("a control character inside a string to be escaped");
      if (!ReadEscape(out)) return false;
    }
  }

  bool ReadEscape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ + 1 == text_.size()) return Fail("an escape");
    const char letter = text_[at_ + 1];
    if (letter == 'u') return ReadUnicodeEscape(out);
    const std::size_t which = kLetters.find(letter);
    if (which == std::string_view::npos) return Fail("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
    out += kMeanings[which];
    at_ += 2;
    return true;
  }

  std::optional<char32_t> PeekCodeUnit(std::size_t at) const noexcept {
    if (at + 6 > text_.size() || text_[at] != '\\' || text_[at + 1] != 'u') return std::nullopt;
    std::uint32_t unit = 0;
    const char* begin = text_.data() + at + 2;
    const auto [end, error] = std::from_chars(begin, begin + 4, unit, 16);
    if (error != std::errc() || end != begin + 4) return std::nullopt;
    return unit;
  }

  bool ReadUnicodeEscape(std::string& out) {
    const std::optional<char32_t> unit = PeekCodeUnit(at_);
    if (!unit) return Fail("four hexadecimal digits after \\u");
    if (*unit < 0xD800 || *unit > 0xDFFF) return AppendUtf8(out, *unit), at_ += 6, true;
    const std::optional<char32_t> low = *unit < 0xDC00 ? PeekCodeUnit(at_ + 6) : std::nullopt;
    if (low && *low >= 0xDC00 && *low <= 0xDFFF) {
      AppendUtf8(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
      at_ += 12;
      return true;
    }
    surrogate_ = true;
    if (!allow_surrogates_) return Fail("a surrogate to have its pair");
    at_ += 6;
    return true;
  }

  bool ReadNumber(JsonValue& out) {
    const std::size_t start = at_;
    std::size_t end = at_ + (text_[at_] == '-' ? 1 : 0);
    const auto skip_digits = [&](std::size_t from) {
      while (from < text_.size() && IsDigit(text_[from])) ++from;
      return from;
    };
    if (end == text_.size() || !IsDigit(text_[end])) return Fail("a JSON value");
    end = text_[end] == '0' ? end + 1 : skip_digits(end);
    bool integer = true;
    if (end + 1 < text_.size() && text_[end] == '.' && IsDigit(text_[end + 1])) {
      end = skip_digits(end + 1);
      integer = false;
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      std::size_t digits = end + 1;
      if (digits < text_.size() && (text_[digits] == '+' || text_[digits] == '-')) ++digits;
      if (digits < text_.size() && IsDigit(text_[digits])) {
        end = skip_digits(digits);
        integer = false;
      }
    }
    const std::string_view number = text_.substr(start, end - start);
    at_ = end;
    if (integer) {
      out.value = JsonInteger{std::string(number == "-0" ? "0" : number)};
      return true;
    }
    double value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc::result_out_of_range) value = OutOfRange(number);
    out.value = value;
    return true;
  }

  std::string_view text_;
  RepeatedKeys repeated_;
  std::size_t at_ = 0;
  std::string expected_;
  bool surrogate_ = false, allow_surrogates_ = false;
};

void Write(const JsonValue& value, std::string& out);

void WriteArray(const JsonArray& items, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    Write(items[i], out);
  }
  out += ']';
}

void WriteObject(const JsonObject& members, std::string& out) {
  out += '{';
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out += ", ";
    out += QuoteJson(members[i].key);
    out += ": ";
    Write(members[i].value, out);
  }
  out += '}';
}

void Write(const JsonValue& value, std::string& out) {
  if (value.IsNull()) out += "null";
  if (const auto* flag = std::get_if<bool>(&value.value)) out += *flag ? "true" : "false";
  if (const auto* integer = std::get_if<JsonInteger>(&value.value)) out += integer->digits;
  if (const auto* number = std::get_if<double>(&value.value)) out += WritePythonFloat(*number);
  if (const auto* text = value.AsString()) out += QuoteJson(*text);
  if (const auto* items = value.AsArray()) WriteArray(*items, out);
  if (const auto* members = value.AsObject()) WriteObject(*members, out);
}

}  // namespace

std::optional<std::int64_t> JsonValue::AsInt64() const noexcept {
  const auto* integer = std::get_if<JsonInteger>(&value);
  if (integer == nullptr) return std::nullopt;
  std::int64_t number = 0;
  const char* end = integer->digits.data() + integer->digits.size();
  const auto result = std::from_chars(integer->digits.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

const JsonValue* JsonValue::Find(std::string_view key) const noexcept {
  const JsonObject* members = AsObject();
  if (members == nullptr) return nullptr;
  for (const JsonMember& member : *members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

bool JsonValue::IsTruthy() const noexcept {
  if (IsNull()) return false;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* integer = std::get_if<JsonInteger>(&value)) return integer->digits != "0";
  if (const auto* number = std::get_if<double>(&value)) return *number != 0;
  if (const auto* text = AsString()) return !text->empty();
  if (const auto* items = AsArray()) return !items->empty();
  return !AsObject()->empty();
}

std::string_view JsonValue::Kind() const noexcept {
  constexpr std::string_view kKinds[] = {"null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};
  return kKinds[value.index()];
}

Result<JsonValue> ParseJson(std::string_view text, RepeatedKeys repeated) { return Reader(text, repeated).ReadDocument(); }

bool FailsOnlyBySurrogate(std::string_view text) {
  Reader reader(text, RepeatedKeys::kLastValue);
  reader.allow_surrogates();
  return reader.ReadDocument().has_value() && reader.surrogate();
}

std::string WriteJson(const JsonValue& value) {
  std::string out;
  Write(value, out);
  return out;
}

std::string QuoteJson(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 0xF];
        } else {
          out += c;
        }
    }
  }
  out += '"';
  return out;
}

// Outside its strings a JSON value has none of them.
std::string KeepOneLine(std::string_view json) {
  std::string line;
  std::size_t kept = 0;
  for (std::size_t at = json.find_first_of("\xC2\xE2"); at != std::string_view::npos; at = json.find_first_of("\xC2\xE2", at + 1)) {
    const std::string_view rest = json.substr(at);
    const char* escape = nullptr;
    if (rest.starts_with("\xC2\x85")) escape = "\\u0085";
    if (rest.starts_with("\xE2\x80\xA8")) escape = "\\u2028";
    if (rest.starts_with("\xE2\x80\xA9")) escape = "\\u2029";
    if (escape == nullptr) continue;
    line.append(json.substr(kept, at - kept)).append(escape);
    kept = at + (rest[0] == '\xC2' ? 2 : 3);
  }
  return line.append(json.substr(kept));
}

std::string WritePythonFloat(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char buffer[64] = {};
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<std::size_t>(end - buffer));  // -d.ddde±xx
  const std::size_t e = shortest.find('e');
  std::string digits, out;
  for (const char c : shortest.substr(0, e)) {
    if (IsDigit(c)) digits += c;
  }
  int exponent = std::atoi(shortest.data() + e + 1);
  if (std::signbit(value)) out += '-';
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    exponent = std::abs(exponent);
    if (exponent < 10) out += '0';
    return out + std::to_string(exponent);
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace baleen::text

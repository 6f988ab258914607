#include "checkpoint/json_cursor.h"

namespace baleen::checkpoint {
namespace {

void AppendUtf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (point >> 6)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (point >> 12)));
    out.push_back(static_cast<char>(0x80 | ((point >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (point >> 18)));
    out.push_back(static_cast<char>(0x80 | ((point >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((point >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  }
}

bool IsNumberOrWordByte(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

}  // namespace

bool IsUtf8(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || i + length > text.size()) return false;
    std::uint32_t point = lead & (0x7Fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      point = (point << 6) | (next & 0x3Fu);
    }
    if ((length == 3 && point < 0x800) || (length == 4 && (point < 0x10000 || point > 0x10FFFF))) return false;
    if (point >= 0xD800 && point <= 0xDFFF) return false;
    i += length;
  }
  return true;
}

char JsonCursor::Peek() noexcept {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonCursor::Take(char wanted) noexcept {
  if (Peek() != wanted || at_ >= text_.size()) return false;
  ++at_;
  return true;
}

Status JsonCursor::Expect(char wanted) {
  if (Take(wanted)) return {};
  return Fault(std::string("'") + wanted + "'");
}

diagnostics::Error JsonCursor::Fault(std::string_view expected) const {
  const std::string found = at_ >= text_.size() ? "the end of the text" : "'" + diagnostics::Quoted(text_.substr(at_, 12)) + "'";
  return diagnostics::InvalidInput("unexpected JSON: expected " + std::string(expected) + " at byte " + std::to_string(at_) + ", found " + found);
}

Result<std::string> JsonCursor::String() {
  if (!Take('"')) return Fault("a string in quotation marks");
  std::string out;
  std::size_t run = at_;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) {
      ++at_;
      continue;
    }
    out.append(text_.substr(run, at_ - run));
    if (static_cast<unsigned char>(c) < 0x20) return Fault("no control character inside a string");
    ++at_;
    if (c == '"') {
      if (!IsUtf8(out)) return Fault("a string of valid UTF-8 before here");
      return out;
    }
    TRY(Escape(out));
    run = at_;
  }
  return Fault("'\"' at the end of a string");
}

Result<std::uint32_t> JsonCursor::FourHexDigits() {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (c >= '0' && c <= '9') value = value * 16 + static_cast<std::uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f') value = value * 16 + static_cast<std::uint32_t>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F') value = value * 16 + static_cast<std::uint32_t>(c - 'A' + 10);
    else return Fault("four hexadecimal digits after \\u");
  }
  return value;
}

Status JsonCursor::Escape(std::string& out) {
  if (at_ >= text_.size()) return Fault("an escape");
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  const std::size_t simple = kLetters.find(text_[at_]);
  if (simple != std::string_view::npos) {
    out.push_back(kMeanings[simple]);
    ++at_;
    return {};
  }
  if (text_[at_] != 'u') return Fault("an escape");
  ++at_;
  TRY_ASSIGN(std::uint32_t point, FourHexDigits());
  if (point >= 0xD800 && point <= 0xDBFF) {
    if (text_.substr(at_, 2) != "\\u") return Fault("the second half of a surrogate pair");
    at_ += 2;
    TRY_ASSIGN(const std::uint32_t low, FourHexDigits());
    if (low < 0xDC00 || low > 0xDFFF) return Fault("the second half of a surrogate pair before here");
    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
  } else if (point >= 0xDC00 && point <= 0xDFFF) {
    return Fault("no lone surrogate before here");
  }
  AppendUtf8(out, point);
  return {};
}

Result<std::uint64_t> JsonCursor::Unsigned() {
  const char first = Peek();
  if (first < '0' || first > '9') return Fault("a whole number >= 0");
  std::uint64_t value = 0;
  const std::size_t start = at_;
  while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
    if (value > (UINT64_MAX - digit) / 10) return Fault("a number below 2^64");
    value = value * 10 + digit;
    ++at_;
  }
  if (first == '0' && at_ - start > 1) return Fault("a number without leading zeros before here");
  if (at_ < text_.size() && IsNumberOrWordByte(text_[at_])) return Fault("a whole number >= 0");
  return value;
}

Status JsonCursor::SkipWord() {
  const std::size_t start = at_;
  while (at_ < text_.size() && IsNumberOrWordByte(text_[at_])) ++at_;
  const std::string_view word = text_.substr(start, at_ - start);
  const bool number = !word.empty() && (word[0] == '-' || (word[0] >= '0' && word[0] <= '9'));
  if (number || word == "true" || word == "false" || word == "null") return {};
  at_ = start;
  return Fault("a JSON value");
}

Status JsonCursor::Skip(int depth) {
  const char first = Peek();
  if (first == '"') {
    TRY(String());
    return {};
  }
  if (first != '{' && first != '[') return SkipWord();
  if (depth <= 0) return Fault("fewer nested arrays and objects");
  const char close = first == '{' ? '}' : ']';
  ++at_;
  if (Take(close)) return {};
  do {
    if (first == '{') {
      TRY(String());
      TRY(Expect(':'));
    }
    TRY(Skip(depth - 1));
  } while (Take(','));
  return Expect(close);
}

Status JsonCursor::End() {
  Peek();
  if (at_ == text_.size()) return {};
  return Fault("nothing more");
}

}  // namespace baleen::checkpoint

#include "text/pretokenizer.h"

#include <cstddef>
#include <cstdint>
#include <span>

#include "text/unicode_categories.h"
#include "text/utf8.h"

namespace baleen::text {

namespace {

struct Character {
  char32_t code_point;
  std::size_t bytes;  // 0 past the end of the text
  std::uint8_t classes;

  bool Is(std::uint8_t wanted) const noexcept { return (classes & wanted) != 0; }
  bool EndsLine() const noexcept { return bytes > 0 && (code_point == '\r' || code_point == '\n'); }
};

Character Read(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return {0, 0, 0};
  const Utf8Step step = ReadUtf8(text.substr(at));
  if (!step.valid) return {step.code_point, step.bytes, 0};
  return {step.code_point, step.bytes, CharacterClasses(step.code_point)};
}

// A matcher returns the length in bytes of the match that begins at `at`, or 0.
using Matcher = std::size_t (*)(std::string_view text, std::size_t at);

std::size_t SkipClass(std::string_view text, std::size_t at, std::uint8_t classes) noexcept {
  while (true) {
    const Character c = Read(text, at);
    if (c.bytes == 0 || !c.Is(classes)) return at;
    at += c.bytes;
  }
}

std::size_t SkipLineEnds(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && (text[at] == '\r' || text[at] == '\n')) ++at;
  return at;
}

template <int kMost>
std::size_t MatchDigits(std::string_view text, std::size_t at) noexcept {
  const std::size_t start = at;
  for (int i = 0; i < kMost; ++i) {
    const Character c = Read(text, at);
    if (!c.Is(kNumber)) break;
    at += c.bytes;
  }
  return at - start;
}

std::size_t MatchIdeographs(std::string_view text, std::size_t at) noexcept {
  const std::size_t start = at;
  while (true) {
    const Character c = Read(text, at);
    const bool ideograph = c.code_point >= 0x4E00 && c.code_point <= 0x9FA5;
    const bool kana = c.code_point >= 0x3040 && c.code_point <= 0x30FF;
    if (c.bytes == 0 || !(ideograph || kana)) return at - start;
    at += c.bytes;
  }
}

bool IsAsciiLetter(char c) noexcept { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

bool IsAsciiPunctuation(char c) noexcept { return c > 0x20 && c < 0x7F && !IsAsciiLetter(c) && !(c >= '0' && c <= '9'); }

// White space, for the last three alternatives: \s*[\r\n]+ , \s+(?!\S) , \s+
std::size_t MatchSpace(std::string_view text, std::size_t start) noexcept {
  std::size_t at = start, last_character = start, after_line_end = start;
  while (true) {
    const Character c = Read(text, at);
    if (c.bytes == 0 || !c.Is(kWhiteSpace)) break;
    last_character = at;
    at += c.bytes;
    if (c.EndsLine()) after_line_end = at;
  }
  if (after_line_end > start) return after_line_end - start;
  // Spaces before a word leave their last one to it.
  if (at < text.size() && last_character > start) return last_character - start;
  return at - start;
}

std::size_t MatchWords(std::string_view text, std::size_t start) noexcept {
  if (IsAsciiPunctuation(text[start]) && start + 1 < text.size() && IsAsciiLetter(text[start + 1])) {
    std::size_t at = start + 1;
    while (at < text.size() && IsAsciiLetter(text[at])) ++at;
    return at - start;
  }
  const Character first = Read(text, start);
  constexpr std::uint8_t kWord = kLetter | kMark, kSign = kPunctuation | kSymbol;
  const bool may_lead = !first.EndsLine() && !first.Is(kLetter | kSign);
  const std::size_t word = first.Is(kWord) || !may_lead ? start : start + first.bytes;
  const std::size_t word_end = SkipClass(text, word, kWord);
  if (word_end > word) return word_end - start;
  const std::size_t sign = text[start] == ' ' ? start + 1 : start;
  const std::size_t sign_end = SkipClass(text, sign, kSign);
  if (sign_end > sign) return SkipLineEnds(text, sign_end) - start;
  return MatchSpace(text, start);
}

constexpr struct {
  SplitPattern pattern;
  std::string_view regex;
  Matcher match;
} kPatterns[] = {
    {SplitPattern::kDigitGroups, R"(\p{N}{1,3})", MatchDigits<3>},
    {SplitPattern::kSingleDigits, R"(\p{N})", MatchDigits<1>},
    {SplitPattern::kIdeographs, "[一-龥぀-ゟ゠-ヿ]+", MatchIdeographs},
    {SplitPattern::kWords,
     R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)"
     "\r\n"
     R"(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)"
     "\r\n"
     R"(]*|\s*[)"
     "\r\n"
     R"(]+|\s+(?!\S)|\s+)",
     MatchWords},
};

void Split(std::string_view text, std::span<const SplitPattern> stages, const std::function<void(std::string_view)>& piece) {
  if (text.empty()) return;
  if (stages.empty()) return piece(text);
  const Matcher match = kPatterns[static_cast<std::size_t>(stages[0])].match;
  std::size_t between = 0;  // where the text since the last match begins
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = match(text, at);
    if (length == 0) {
      at += Read(text, at).bytes;
      continue;
    }
    Split(text.substr(between, at - between), stages.subspan(1), piece);
    Split(text.substr(at, length), stages.subspan(1), piece);
    between = at += length;
  }
  Split(text.substr(between), stages.subspan(1), piece);
}

}  // namespace

const SplitPattern* FindSplitPattern(std::string_view regex) noexcept {
  for (const auto& known : kPatterns) {
    if (known.regex == regex) return &known.pattern;
  }
  return nullptr;
}

void SplitIntoPieces(std::string_view text, const std::vector<SplitPattern>& stages, const std::function<void(std::string_view)>& piece) {
  Split(text, stages, piece);
}

}  // namespace baleen::text

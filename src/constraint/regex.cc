#include "constraint/regex.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

#include "text/utf8.h"

namespace baleen::constraint {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Unsupported;

constexpr std::size_t kLongestPattern = 20000;
constexpr int kDeepestGroup = 64;
constexpr std::int64_t kLargestCount = 1'000'000'000;

// One of the parts between the bars of an alternation.
struct Alternative {
  Expression expression;
  bool from_start = false, to_end = false;  // ^ and $ stand at its ends
};

struct Element {
  Expression expression;
  bool character = false;                 // matches exactly one character
  std::vector<Alternative> alternatives;  // of a group with anchors inside
};

CodePoints Digits() { return CodePoints::Range('0', '9'); }
CodePoints WordCharacters() { return CodePoints::Of("_").Or(Digits()).Or(CodePoints::Range('a', 'z')).Or(CodePoints::Range('A', 'Z')); }
CodePoints LineEnds() { return CodePoints::Of("\n\r").Or(CodePoints::Range(0x2028, 0x2029)); }
CodePoints Spaces() {
  return CodePoints::Range(0x9, 0xD).Or(CodePoints::Of(" ")).Or(CodePoints::Range(0xA0, 0xA0)).Or(CodePoints::Range(0x1680, 0x1680))
      .Or(CodePoints::Range(0x2000, 0x200A)).Or(CodePoints::Range(0x2028, 0x2029)).Or(CodePoints::Range(0x202F, 0x202F))
      .Or(CodePoints::Range(0x205F, 0x205F)).Or(CodePoints::Range(0x3000, 0x3000)).Or(CodePoints::Range(0xFEFF, 0xFEFF));
}

class RegexReader {
 public:
  RegexReader(std::u32string pattern, const StringForm& form, RuleBook& book) : pattern_(std::move(pattern)), form_(form), book_(book) {}

  Result<std::vector<Alternative>> Read() {
    TRY_ASSIGN(std::vector<Alternative> alternatives, ReadAlternatives(0));
    if (at_ != pattern_.size()) return Wrong("no \")\" without its \"(\"");
    return alternatives;
  }

 private:
  bool AtEnd() const noexcept { return at_ == pattern_.size(); }
  bool Next(char32_t c) const noexcept { return !AtEnd() && pattern_[at_] == c; }
  bool Take(char32_t c) noexcept { return Next(c) && ++at_ > 0; }
  bool Take(std::u32string_view word) noexcept {
    if (!std::u32string_view(pattern_).substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::string Place() const { return "at position " + std::to_string(at_ + 1) + " of the pattern"; }
  diagnostics::Error Wrong(const std::string& expected) const { return InvalidInput(Place() + ": expected " + expected); }
  diagnostics::Error NotServed(const std::string& what) const {
    return Unsupported(Place() + ": " + what + " cannot be enforced while text is written; write the pattern without it");
  }

  Result<std::vector<Alternative>> ReadAlternatives(int depth) {
    if (depth > kDeepestGroup) return Wrong("at most " + std::to_string(kDeepestGroup) + " groups inside each other");
    std::vector<Alternative> all;
    do {
      TRY_ASSIGN(std::vector<Alternative> some, ReadAlternative(depth));
      for (Alternative& one : some) all.push_back(std::move(one));
    } while (Take(U'|'));
    return all;
  }

  // Several, if it is nothing but a group with anchors inside.
  Result<std::vector<Alternative>> ReadAlternative(int depth) {
    Alternative alternative;
    while (Take(U'^')) alternative.from_start = true;
    std::vector<Element> elements;
    while (!AtEnd() && !Next(U'|') && !Next(U')')) {
      if (Take(U'$')) {
        while (Take(U'$')) {}
        if (!AtEnd() && !Next(U'|') && !Next(U')')) return NotServed("\"$\" before more text");
        alternative.to_end = true;
        break;
      }
      TRY_ASSIGN(Element element, ReadElement(depth));
      elements.push_back(std::move(element));
    }
    std::vector<Expression> parts;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      Element& element = elements[i];
      if (element.alternatives.empty()) {
        parts.push_back(std::move(element.expression));
        continue;
      }
      if (elements.size() == 1 && !alternative.from_start && !alternative.to_end) return std::move(element.alternatives);
      const auto all = [&](bool Alternative::* anchor) { return std::ranges::all_of(element.alternatives, anchor); };
      const auto any = [&](bool Alternative::* anchor) { return std::ranges::any_of(element.alternatives, anchor); };
      const bool first = i == 0, last = i + 1 == elements.size();
      if ((any(&Alternative::from_start) && !(first && (alternative.from_start || all(&Alternative::from_start)))) ||
          (any(&Alternative::to_end) && !(last && (alternative.to_end || all(&Alternative::to_end))))) {
        return NotServed("\"^\" or \"$\" inside a group");
      }
      alternative.from_start |= any(&Alternative::from_start);
      alternative.to_end |= any(&Alternative::to_end);
      std::vector<Expression> choices;
      for (Alternative& one : element.alternatives) choices.push_back(std::move(one.expression));
      parts.push_back(Choice(std::move(choices)));
    }
    alternative.expression = Sequence(std::move(parts));
    std::vector<Alternative> one;
    one.push_back(std::move(alternative));
    return one;
  }

  Result<Element> ReadElement(int depth) {
    if (Next(U'^')) return NotServed("\"^\" behind other text");
    if (Next(U'*') || Next(U'+') || Next(U'?') || Next(U'{')) return Wrong("something to repeat before a count");
    Element element;
    if (Take(U'(')) {
      TRY_ASSIGN(element, ReadGroup(depth));
    } else {
      TRY_ASSIGN(const CodePoints points, ReadCharacter());
      element.expression = form_.Character(points);
      element.character = true;
    }
    return ReadCount(std::move(element));
  }

  Result<Element> ReadGroup(int depth) {
    if (Take(U"?=") || Take(U"?!") || Take(U"?<=") || Take(U"?<!")) return NotServed("look-around");
    if (Take(U"?<")) {
      while (!AtEnd() && !Next(U'>')) ++at_;
      if (!Take(U'>')) return Wrong("\">\" behind the name of a group");
    } else if (!Take(U"?:") && Next(U'?')) {
      return Wrong("\"?:\", \"?<name>\" or no \"?\" behind \"(\"");
    }
    TRY_ASSIGN(std::vector<Alternative> alternatives, ReadAlternatives(depth + 1));
    if (!Take(U')')) return Wrong("\")\" at the end of a group");
    Element element;
    if (std::ranges::any_of(alternatives, [](const Alternative& one) { return one.from_start || one.to_end; })) {
      element.alternatives = std::move(alternatives);
      return element;
    }
    std::vector<Expression> choices;
    for (Alternative& one : alternatives) choices.push_back(std::move(one.expression));
    element.expression = Choice(std::move(choices));
    return element;
  }

  Result<Element> ReadCount(Element element) {
    std::int64_t least = 0, most = Expression::kUnbounded;
    if (Take(U'+')) {
      least = 1;
    } else if (Take(U'?')) {
      most = 1;
    } else if (Take(U'{')) {
      const std::optional<std::int64_t> first = ReadNumber();
      std::optional<std::int64_t> second = first;
      if (first && Take(U',')) second = Next(U'}') ? Expression::kUnbounded : ReadNumber();
      if (!first || !second || !Take(U'}')) return Wrong("a count like {2}, {2,} or {2,5}");
      if (*second != Expression::kUnbounded && *first > *second) return Wrong("a count whose least is not above its most");
      least = *first;
      most = *second;
    } else if (!Take(U'*')) {
      return element;
    }
    Take(U'?');  // how eager it is does not matter to what matches
    if (Next(U'*') || Next(U'+') || Next(U'?') || Next(U'{')) return Wrong("no count behind a count");
    if (!element.alternatives.empty()) return NotServed("\"^\" or \"$\" inside a repeated group");
    Element repeated;
    repeated.expression = element.character ? book_.Characters(element.expression, least, most) : Repeat(std::move(element.expression), least, most);
    return repeated;
  }

  std::optional<std::int64_t> ReadNumber() {
    if (AtEnd() || !Digits().Contains(pattern_[at_])) return std::nullopt;
    std::int64_t number = 0;
    for (; !AtEnd() && Digits().Contains(pattern_[at_]); ++at_) number = std::min(number * 10 + (pattern_[at_] - U'0'), kLargestCount);
    return number;
  }

  Result<CodePoints> ReadCharacter() {
    if (Take(U'[')) return ReadClass();
    if (Take(U'.')) return CodePoints::All().Without(LineEnds());
    if (Take(U'\\')) return ReadEscape(/*in_class=*/false);
    if (Next(U']') || Next(U'}')) return Wrong("\"\\\" before a bracket that stands for itself");
    const char32_t c = pattern_[at_++];
    return CodePoints::Range(c, c);
  }

  Result<CodePoints> ReadClass() {
    const bool negated = Take(U'^');
    CodePoints points;
    while (!Next(U']')) {
      if (AtEnd()) return Wrong("\"]\" at the end of a class");
      TRY_ASSIGN(CodePoints first, ReadClassAtom());
      if (Next(U'-') && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != U']') {
        ++at_;
        TRY_ASSIGN(const CodePoints last, ReadClassAtom());
        const auto one = [](const CodePoints& set) { return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].second; };
        if (!one(first) || !one(last) || first.ranges()[0].first > last.ranges()[0].first) return Wrong("a range from a lower character to a higher one");
        first = CodePoints::Range(first.ranges()[0].first, last.ranges()[0].first);
      }
      points = points.Or(first);
    }
    Take(U']');
    return negated ? CodePoints::All().Without(points) : points;
  }

  Result<CodePoints> ReadClassAtom() {
    if (AtEnd()) return Wrong("\"]\" at the end of a class");
    if (Take(U'\\')) return ReadEscape(/*in_class=*/true);
    const char32_t c = pattern_[at_++];
    return CodePoints::Range(c, c);
  }

  // Behind the backslash.
  Result<CodePoints> ReadEscape(bool in_class) {
    if (AtEnd()) return Wrong("a character behind \"\\\"");
    const char32_t c = pattern_[at_++];
    switch (c) {
      case U'd': return Digits();
      case U'D': return CodePoints::All().Without(Digits());
      case U'w': return WordCharacters();
      case U'W': return CodePoints::All().Without(WordCharacters());
      case U's': return Spaces();
      case U'S': return CodePoints::All().Without(Spaces());
      case U'n': return CodePoints::Of("\n");
      case U'r': return CodePoints::Of("\r");
      case U't': return CodePoints::Of("\t");
      case U'v': return CodePoints::Of("\v");
      case U'f': return CodePoints::Of("\f");
      case U'0': return CodePoints::Range(0, 0);
      case U'x': return ReadHex(2);
      case U'u': return ReadUnicode();
      case U'p':
      case U'P': return NotServed("a class of Unicode");
      case U'c':
        if (AtEnd() || pattern_[at_] >= 0x80 || !std::isalpha(static_cast<int>(pattern_[at_]))) return Wrong("a letter behind \"\\c\"");
        ++at_;
        return CodePoints::Range(pattern_[at_ - 1] % 32, pattern_[at_ - 1] % 32);
      case U'b':
        if (in_class) return CodePoints::Of("\b");
        return NotServed("a word boundary");
      case U'B': return NotServed("a word boundary");
      case U'k': return NotServed("a back reference");
      default: break;
    }
    if (c >= U'1' && c <= U'9') return NotServed("a back reference");
    if (WordCharacters().Contains(c)) {
      --at_;
      return Wrong("a known letter behind \"\\\"");
    }
    return CodePoints::Range(c, c);
  }

  std::optional<char32_t> TakeHex(std::size_t digits) {
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      if (AtEnd() || pattern_[at_] >= 0x80 || !std::isxdigit(static_cast<int>(pattern_[at_]))) return std::nullopt;
      const char32_t c = pattern_[at_] | 0x20;
      value = value * 16 + (c >= U'a' ? c - U'a' + 10 : (pattern_[at_] - U'0'));
    }
    return value;
  }

  Result<CodePoints> ReadHex(std::size_t digits) {
    const std::optional<char32_t> value = TakeHex(digits);
    if (!value) return Wrong(std::to_string(digits) + " hexadecimal digits");
    return CodePoints::Range(*value, *value);
  }

  Result<CodePoints> ReadUnicode() {
    if (Take(U'{')) {
      std::size_t digits = 0;
      while (at_ + digits < pattern_.size() && pattern_[at_ + digits] != U'}') ++digits;
      const std::optional<char32_t> value = digits > 0 && digits <= 6 ? TakeHex(digits) : std::nullopt;
      if (!value || *value > 0x10FFFF || !Take(U'}')) return Wrong("a code point like \\u{1F600}");
      return CodePoints::Range(*value, *value);
    }
    const std::optional<char32_t> value = TakeHex(4);
    if (!value) return Wrong("four hexadecimal digits");
    if (*value < 0xD800 || *value > 0xDFFF) return CodePoints::Range(*value, *value);
    const std::optional<char32_t> low = *value < 0xDC00 && Take(U"\\u") ? TakeHex(4) : std::nullopt;
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return Wrong("both halves of a surrogate pair");
    const char32_t whole = 0x10000 + ((*value - 0xD800) << 10) + (*low - 0xDC00);
    return CodePoints::Range(whole, whole);
  }

  std::u32string pattern_;
  const StringForm& form_;
  RuleBook& book_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Expression> ReadRegex(std::string_view pattern, PatternScope scope, const StringForm& form, RuleBook& book) {
  if (pattern.size() > kLongestPattern) {
    return InvalidInput("expected a pattern of at most " + std::to_string(kLongestPattern) + " bytes, found " + std::to_string(pattern.size()));
  }
  TRY(text::CheckUtf8(pattern, "the pattern"));
  std::u32string points;
  for (std::string_view rest = pattern; !rest.empty();) {
    const text::Utf8Step step = text::ReadUtf8(rest);
    points += step.code_point;
    rest.remove_prefix(step.bytes);
  }
  TRY_ASSIGN(std::vector<Alternative> alternatives, RegexReader(std::move(points), form, book).Read());
  std::vector<Expression> choices;
  const auto anything = [&] { return Repeat(form.AnyCharacter(), 0, Expression::kUnbounded); };
  for (Alternative& one : alternatives) {
    std::vector<Expression> parts;
    if (scope == PatternScope::kPart && !one.from_start) parts.push_back(anything());
    parts.push_back(std::move(one.expression));
    if (scope == PatternScope::kPart && !one.to_end) parts.push_back(anything());
    choices.push_back(Sequence(std::move(parts)));
  }
  return Choice(std::move(choices));
}

}  // namespace baleen::constraint

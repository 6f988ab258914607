#include "constraint/string_form.h"

#include <string>
#include <vector>

#include "text/utf8.h"

namespace baleen::constraint {

namespace {

constexpr char32_t kDsmlBar = 0xFF5C;

std::string EscapeInJson(char32_t c) {
  constexpr std::string_view kLetters = "\"\\bfnrt", kMeanings = "\"\\\b\f\n\r\t";
  if (c < 0x80) {
    const std::size_t which = kMeanings.find(static_cast<char>(c));
    if (which != std::string_view::npos) return {'\\', kLetters[which]};
  }
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(c >> shift) & 0xF];
  return out;
}

}  // namespace

CodePoints StringForm::Raw() const {
  CodePoints raw = CodePoints::All();
  if (kind_ == Kind::kJson) raw = raw.Without(CodePoints::Range(0, 0x1F).Or(CodePoints::Of("\"\\")));
  if (kind_ == Kind::kDsml || inside_dsml_) raw = raw.Without(CodePoints::Range(kDsmlBar, kDsmlBar));
  return raw;
}

Expression StringForm::Character(const CodePoints& points) const {
  const CodePoints raw = Raw(), escaped = points.Without(raw);
  std::vector<Expression> forms{OneOf(points.Without(CodePoints::All().Without(raw)))};
  if (kind_ == Kind::kJson) {
    for (const auto& [first, last] : escaped.ranges()) {
      for (char32_t c = first; c <= last; ++c) forms.push_back(Text(EscapeInJson(c)));
    }
  }
  return Choice(std::move(forms));
}

Expression StringForm::AnyCharacter() const {
  if (kind_ != Kind::kJson) return OneOf(Raw());
  const CodePoints digit = CodePoints::Of("0123456789ABCDEFabcdef");
  const auto hex = [&](std::int64_t digits) { return Repeat(OneOf(digit), digits, digits); };
  // Surrogates stay unwritten: a pair has a raw form, a lone one no meaning.
  Expression unit = Choice({Sequence({OneOf(digit.Without(CodePoints::Of("Dd"))), hex(3)}),
                            Sequence({OneOf(CodePoints::Of("Dd")), OneOf(CodePoints::Of("01234567")), hex(2)})});
  return Choice({OneOf(Raw()), Sequence({Text("\\"), Choice({OneOf(CodePoints::Of("\"\\/bfnrt")), Sequence({Text("u"), std::move(unit)})})})});
}

Expression StringForm::Literal(std::string_view text) const {
  const CodePoints raw = Raw();
  std::string out;
  while (!text.empty()) {
    const text::Utf8Step step = text::ReadUtf8(text);
    if (raw.Contains(step.code_point)) {
      out += text.substr(0, step.bytes);
    } else if (kind_ == Kind::kJson) {
      out += EscapeInJson(step.code_point);
    } else {
      return Nothing();
    }
    text.remove_prefix(step.bytes);
  }
  return Text(out);
}

}  // namespace baleen::constraint

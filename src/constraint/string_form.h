#pragma once

#include <string_view>

#include "constraint/expression.h"

namespace baleen::constraint {

/// How the characters of a text are written down.
///
/// kPlain is as they are; kJson is inside the quotes of a JSON string; kDsml is the value of a DSML parameter with string="true". In kJson
/// inside DSML and in kDsml nothing may look like a tag of DSML (§11.5 knows no escape): U+FF5C is written \uFF5C there, or not at all.
class StringForm {
 public:
  enum class Kind { kPlain, kJson, kDsml };
  StringForm(Kind kind, bool inside_dsml) : kind_(kind), inside_dsml_(inside_dsml) {}

  Kind kind() const noexcept { return kind_; }
  /// One of the characters. Of the ways to escape one in JSON, the shortest.
  Expression Character(const CodePoints& points) const;
  /// Any character, in JSON with every escape that is strict JSON for one code point.
  Expression AnyCharacter() const;
  /// The text itself, UTF-8; Nothing() if it cannot be written.
  Expression Literal(std::string_view text) const;

 private:
  CodePoints Raw() const;

  Kind kind_;
  bool inside_dsml_;
};

}  // namespace baleen::constraint

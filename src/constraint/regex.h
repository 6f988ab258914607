#pragma once

#include <string_view>

#include "constraint/expression.h"
#include "constraint/string_form.h"
#include "diagnostics/result.h"

namespace baleen::constraint {

/// What a pattern says of a text: all of it, or that some part of it matches (JSON schema's `pattern`).
enum class PatternScope { kWhole, kPart };

/// The texts that a regular expression of ECMA-262 (with the flag u) describes, as `form` writes them. Rules it needs go into `book`.
///
/// Errors, without a field: InvalidInput with the position of what is not a regular expression; Unsupported for look-around, back
/// references, word boundaries, \p{…} and for ^ and $ that are not at an end of the pattern or of one of its alternatives.
Result<Expression> ReadRegex(std::string_view pattern, PatternScope scope, const StringForm& form, RuleBook& book);

}  // namespace baleen::constraint

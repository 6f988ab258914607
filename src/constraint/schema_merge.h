#pragma once

#include "diagnostics/result.h"
#include "text/json_python.h"

namespace baleen::constraint {

/// The schema without a keyword.
text::JsonValue Without(const text::JsonValue& schema, std::string_view keyword);

/// True if the schema has a keyword that makes anything invalid.
bool HasAssertions(const text::JsonValue& schema);

/// One schema for what both allow. Errors, without a field: keywords that cannot be joined (Unsupported).
Result<text::JsonValue> Merge(const text::JsonValue& a, const text::JsonValue& b);

/// True if no value can be valid under two of the schemas, as far as their types and the constants of one shared required property show.
bool AreDisjoint(const text::JsonArray& schemas, const text::JsonValue& root);

}  // namespace baleen::constraint

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "constraint/number_form.h"
#include "diagnostics/error.h"
#include "diagnostics/result.h"
#include "text/json_python.h"

namespace baleen::constraint {

struct SchemaSettings {
  std::string field;         // what errors call the schema, as in "response_format.json_schema.schema"
  bool strict = false;       // every keyword must be enforced or an annotation
  bool inside_dsml = false;  // the documents stand in a tool call of §11.5
};

/// What the grammar makes of a keyword.
enum class KeywordUse {
  kAnnotation,  // says nothing of what is valid
  kServed,
  kRefused,     // known, but nothing is done about it
  kUnknown,
};
KeywordUse UseOf(std::string_view keyword);

/// "FIELD at POINTER: MESSAGE" for the place in the schema that a JSON pointer names; empty: the schema itself.
diagnostics::Error SchemaError(const SchemaSettings& settings, std::string_view pointer, const std::string& message,
                               diagnostics::ErrorKind kind = diagnostics::ErrorKind::kInvalidInput);
/// The pointer of a member or item of what `pointer` names.
std::string Below(std::string_view pointer, std::string_view key);

/// What a $ref names: "#", "#/…". Errors, without a field: another form; nothing is there.
Result<const text::JsonValue*> Resolve(const text::JsonValue& root, std::string_view reference);

/// A count: an integer from 0 on, 3.0 too. nothing: it is none; large ones are cut to 2^53.
std::optional<std::int64_t> ReadCount(const text::JsonValue& value);
/// The decimal text of a finite number.
std::optional<std::string> NumberText(const text::JsonValue& value);

/// minimum, maximum and their exclusive forms. Errors, without a field: bounds with more digits than can be served.
Result<Interval> ReadInterval(const text::JsonValue& schema);

/// Reads a schema and checks all of it, the parts that are not used too: nesting of at most 64, known types, local and existing
/// references, patterns that can be served, least values not above the most ones, no empty enum, and that every keyword is served or an
/// annotation; in schemas that are not strict, unknown keywords are annotations.
/// Errors: start with the field and the place.
Result<text::JsonValue> ReadSchema(std::string_view json, const SchemaSettings& settings);

}  // namespace baleen::constraint

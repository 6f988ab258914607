#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "constraint/expression.h"
#include "constraint/schema_check.h"
#include "constraint/string_form.h"
#include "text/json_python.h"

namespace baleen::constraint {

/// Turns a schema that ReadSchema accepted into expressions. Every text they match is a valid document; not every valid document is
/// matched: properties come in the order of the schema, what the schema does not mention is left out unless additionalProperties asks for
/// it, white space is one blank behind "," and ":" or none, numbers have a bounded number of digits.
class SchemaGrammar {
 public:
  /// The root must outlive it.
  SchemaGrammar(const text::JsonValue& root, SchemaSettings settings, RuleBook& book);

  /// A document in JSON. Errors: keywords that cannot be served where they stand; start with field and place.
  Result<Expression> Document();
  /// The lines of the parameters of a DSML call (§11.5), or its empty line; each ends with a line end. Errors: also a schema whose
  /// values are not objects with named properties, and names that cannot stand in a tag.
  Result<Expression> DsmlParameters();

  /// A parameter of any value, string or JSON.
  Expression AnyDsmlParameter(std::string_view name);
  /// Any JSON object.
  Expression AnyObject();

 private:
  // Which of a schema's values, and in which form.
  enum class Part { kJson, kJsonButStrings, kDsmlString };
  struct Item {
    Expression expression;
    bool required = false;
  };
  struct Property {
    std::string name;
    text::JsonValue schema;
    bool required = false;
  };
  struct Source {
    const text::JsonValue* schema;
    std::string pointer;
  };

  diagnostics::Error At(std::string_view pointer, const std::string& message, diagnostics::ErrorKind kind = diagnostics::ErrorKind::kUnsupported) const;
  Status WriteWaitingRules();
  Result<Expression> Value(const text::JsonValue& schema, const std::string& pointer, Part part, int depth);
  Result<Expression> Reference(const std::string& reference, Part part);
  Result<Expression> Combined(const text::JsonValue& schema, const std::string& pointer, Part part, int depth);
  Result<Expression> Constants(const text::JsonValue& schema, const std::string& pointer, Part part);
  Result<Expression> OfType(std::string_view type, const text::JsonValue& schema, const std::string& pointer, Part part, int depth);
  Result<Expression> Strings(const text::JsonValue& schema, const std::string& pointer, Part part);
  Result<Expression> StringBody(const text::JsonValue& schema, const std::string& pointer, const StringForm& form);
  Result<Expression> Numbers(const text::JsonValue& schema, const std::string& pointer, bool integers);
  Result<Expression> Arrays(const text::JsonValue& schema, const std::string& pointer, int depth);
  Result<Expression> Objects(const text::JsonValue& schema, const std::string& pointer, int depth);
  Result<std::vector<Property>> Properties(const text::JsonValue& schema, const std::string& pointer) const;
  Result<text::JsonValue> Flattened(const text::JsonValue& schema, const std::string& pointer);
  // Some of the items in their order, with separators between them; `none` stands where there are none.
  Expression Listing(std::vector<Item> items, const Expression& separator, const Expression& none);
  Expression Literal(const text::JsonValue& value) const;
  Expression AnyValue(Part part);
  Expression AnyString();
  Expression KeyExcept(const std::vector<std::string>& names);
  Expression DsmlText();
  // The rule of that name, made once.
  Expression Shared(std::string_view name, const std::function<Expression()>& make);

  const text::JsonValue& root_;
  SchemaSettings settings_;
  RuleBook& book_;
  StringForm json_;
  std::map<std::pair<const text::JsonValue*, Part>, std::size_t> references_;
  std::deque<std::pair<Source, std::pair<Part, std::size_t>>> waiting_;  // rules that references name and that are not written yet
  std::map<std::string, std::size_t, std::less<>> shared_;
  int merges_ = 0;
  std::chrono::steady_clock::time_point until_;
};

}  // namespace baleen::constraint

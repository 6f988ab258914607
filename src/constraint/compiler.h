#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "diagnostics/result.h"
#include "engine/constraint.h"
#include "text/tokenizer.h"

namespace baleen::constraint {

class CompiledGrammar;

/// A compiled grammar. Cheap to copy, immutable; any number of requests may start from it. It must not outlive its Compiler.
class Grammar {
 public:
  explicit Grammar(std::shared_ptr<const CompiledGrammar> compiled) : compiled_(std::move(compiled)) {}
  const CompiledGrammar& compiled() const noexcept { return *compiled_; }

 private:
  friend class Compiler;
  std::shared_ptr<const CompiledGrammar> compiled_;
};

/// One tool of a request, as the grammar sees it.
struct ToolGrammar {
  std::string name;        // as it stands in name="…"
  std::string parameters;  // its JSON schema as text, of type object; empty: no parameters are described
  bool strict = false;     // the parameters follow the schema; otherwise each is any text or any JSON value
};

/// What tool_choice and parallel_tool_calls ask for. `none` is no grammar: the caller asks for none.
struct ToolChoice {
  enum class Kind {
    kAuto,      // text, then a block or the end
    kRequired,  // a block at once
    kNamed,     // a block at once, with calls of the tool `name` only
  };
  Kind kind = Kind::kAuto;
  std::string name;      // kNamed
  bool parallel = true;  // false: one call in a block
};

/// Makes grammars over the tokens of one model: one for a model, may be used from any thread.
///
/// JSON is written with one space behind "," and ":" or none, and with nothing between its other parts, so no answer can be padded without
/// end. Errors of all Result functions: InvalidInput starts with the field of the request and names the place in it, as in
/// "response_format.json_schema.schema at /properties/a: …"; Unsupported where a keyword is understood but not served, or where this
/// build has no xgrammar; ResourceError where the grammar would take more than the time and memory that one request may have
/// (5 s, 2 GiB).
/// Source    serving.md §4.8, §5.3 (33)
class Compiler {
 public:
  /// `vocab_size` is the row length of the logits, at least the tokenizer's; ids without a token are never allowed. `end_ids` end an answer
  /// and are allowed exactly where the grammar is complete. The tokenizer is read here only.
  /// Errors: an end id outside the vocabulary, no end id.
  static Result<std::unique_ptr<Compiler>> Create(const text::Tokenizer& tokenizer, std::int64_t vocab_size, std::span<const std::int32_t> end_ids);
  ~Compiler();

  /// response_format {"type": "json_object"}: any JSON object.
  Result<Grammar> JsonObject();
  /// response_format {"type": "json_schema"}. `field`: what messages call the schema. strict: a keyword that the grammar does not enforce is
  /// an error that names it; otherwise only annotations and formats are let pass, and what would make an invalid document pass is refused
  /// in both.
  Result<Grammar> JsonSchema(std::string_view schema_json, bool strict, std::string_view field = "response_format.json_schema.schema");
  /// The whole answer matches the regular expression (ECMA-262 without look-around, back references and boundaries).
  Result<Grammar> Regex(std::string_view pattern, std::string_view field = "response_format.regex");
  /// A grammar in xgrammar's EBNF (GBNF of llama.cpp), starting at `root`.
  Result<Grammar> Ebnf(std::string_view grammar, std::string_view field = "response_format.grammar");
  /// The DSML block of §11.5. Errors name "tools[2].function.parameters …" or "tool_choice".
  Result<Grammar> ToolCalls(std::span<const ToolGrammar> tools, const ToolChoice& choice);
  /// For kAuto beside a response_format: the block, or a document of the schema (without one any JSON object) instead of free text.
  Result<Grammar> ToolCallsOrJson(std::span<const ToolGrammar> tools, const ToolChoice& choice, std::optional<std::string_view> schema_json, bool strict);

  /// The state of one answer. Everything but the end ids is allowed until `after_token` (</think>) was accepted; without one the grammar
  /// holds from the first token. Where the grammar holds, special tokens (all added ones) are allowed only where the DSML form has them.
  std::unique_ptr<engine::Constraint> Start(const Grammar& grammar, std::optional<std::int32_t> after_token);

 private:
  struct Parts;
  explicit Compiler(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace baleen::constraint

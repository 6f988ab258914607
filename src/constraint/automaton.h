#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::constraint {

/// How far one text has come in an Automaton.
class Walk {
 public:
  virtual ~Walk() = default;
  /// Sets the bits of the tokens that may come next and clears the others, as engine::Constraint::Allowed.
  virtual void Allowed(std::span<std::uint32_t> allowed) = 0;
  /// false, and no change: the token may not come here. End ids are accepted where the text is complete.
  virtual bool Accept(std::int32_t token) = 0;
  /// The same for text.
  virtual bool AcceptText(const std::string& text) = 0;
};

/// A grammar turned into tables over the tokens. Immutable.
class Automaton {
 public:
  virtual ~Automaton() = default;
  virtual std::unique_ptr<Walk> Start() const = 0;
  /// Memory it holds.
  virtual std::size_t Bytes() const = 0;
};

/// Makes automata for one vocabulary: xgrammar, or a twin that says that it is absent.
class AutomatonMaker {
 public:
  virtual ~AutomatonMaker() = default;
  /// Errors: InvalidInput with what is wrong in the grammar, without a field; Unsupported if this build cannot.
  virtual Result<std::shared_ptr<const Automaton>> Make(const std::string& ebnf) = 0;
};

/// token_bytes: [vocabulary] what each id stands for; empty: never allowed. end_ids: allowed where the text is complete.
std::unique_ptr<AutomatonMaker> OpenAutomatonMaker(std::vector<std::string> token_bytes, std::vector<std::int32_t> end_ids);

}  // namespace baleen::constraint

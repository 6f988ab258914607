#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baleen::constraint {

/// Code points as ascending ranges that do not touch. Surrogates are never in one: no UTF-8 text can hold them.
class CodePoints {
 public:
  CodePoints() = default;
  static CodePoints Of(std::string_view utf8);
  static CodePoints Range(char32_t first, char32_t last);
  static CodePoints All() { return Range(0, 0x10FFFF); }

  CodePoints Or(const CodePoints& other) const;
  CodePoints Without(const CodePoints& other) const;
  bool Contains(char32_t c) const noexcept;
  bool IsEmpty() const noexcept { return ranges_.empty(); }
  const std::vector<std::pair<char32_t, char32_t>>& ranges() const noexcept { return ranges_; }

 private:
  std::vector<std::pair<char32_t, char32_t>> ranges_;  // both ends included
};

/// A set of texts.
struct Expression {
  enum class Kind { kNothing, kText, kClass, kSequence, kChoice, kRepeat, kRule };
  static constexpr std::int64_t kUnbounded = -1;

  Kind kind = Kind::kNothing;     // kNothing: no text at all
  std::string text;               // kText, UTF-8
  CodePoints points;              // kClass: one of them
  std::vector<Expression> parts;  // kSequence, kChoice; kRepeat: one
  std::int64_t least = 0, most = 0;
  std::size_t rule = 0;           // kRule: a number of RuleBook
};

Expression Nothing();
Expression Text(std::string_view text);
/// One of the code points; Nothing() if there is none.
Expression OneOf(CodePoints points);
Expression Sequence(std::vector<Expression> parts);
/// Nothing() if no part matches a text.
Expression Choice(std::vector<Expression> parts);
/// Repetitions of what may be empty are written as one: (x?){3} is x{0,3}.
Expression Repeat(Expression part, std::int64_t least, std::int64_t most);
Expression Optional(Expression part);

/// The rules of a grammar, by number; a rule may name any other, itself too.
class RuleBook {
 public:
  static constexpr std::int64_t kTooLarge = std::int64_t{1} << 40;

  /// A rule that matches nothing until it is set.
  std::size_t Reserve();
  void Set(std::size_t rule, Expression expression) { rules_[rule].expression = std::move(expression); }
  Expression Refer(std::size_t rule) const;
  std::size_t Add(Expression expression);
  /// part{least,most} for a part of one character, however it is written, without a state for each number of them. What counts against
  /// `most` is the written form: an escape counts for all its characters, so fewer may come than could.
  Expression Characters(const Expression& part, std::int64_t least, std::int64_t most);

  /// Removes every part that no finite text matches, so that no answer is led into one. false: nothing matches `root`.
  bool Prune(std::size_t root);
  /// How many states an automaton of all rules has at most, repetitions written out; saturates at kTooLarge.
  std::int64_t States() const;
  /// How many of the states let a large part of the vocabulary pass; each takes time in proportion to it.
  std::int64_t WideStates() const;
  /// The grammar in xgrammar's EBNF; `root` is the rule of that name. After Prune.
  std::string WriteEbnf(std::size_t root) const;

 private:
  struct Rule {
    Expression expression;
    std::int64_t most_characters = Expression::kUnbounded;  // of what it matches
  };
  Expression Exactly(const Expression& part, std::int64_t times);

  std::vector<Rule> rules_;
};

}  // namespace baleen::constraint

#include "constraint/expression.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "text/utf8.h"

namespace baleen::constraint {

namespace {

constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

using Kind = Expression::Kind;
using Ranges = std::vector<std::pair<char32_t, char32_t>>;

void AppendEscaped(char32_t c, std::string& out) {
  const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '_';
  if (plain) {
    out += static_cast<char>(c);
    return;
  }
  constexpr char kHex[] = "0123456789ABCDEF";
  out += "\\U";
  for (int shift = 28; shift >= 0; shift -= 4) out += kHex[(c >> shift) & 0xF];
}

bool MatchesSomething(const Expression& expression, const std::vector<bool>& productive) {
  const auto matches = [&](const Expression& part) { return MatchesSomething(part, productive); };
  switch (expression.kind) {
    case Kind::kNothing: return false;
    case Kind::kText: return true;
    case Kind::kClass: return !expression.points.IsEmpty();
    case Kind::kSequence: return std::ranges::all_of(expression.parts, matches);
    case Kind::kChoice: return std::ranges::any_of(expression.parts, matches);
    case Kind::kRepeat: return expression.least == 0 || matches(expression.parts[0]);
    case Kind::kRule: return productive[expression.rule];
  }
  return false;
}

void CollectRules(const Expression& expression, const std::function<void(std::size_t)>& collect) {
  if (expression.kind == Kind::kRule) collect(expression.rule);
  for (const Expression& part : expression.parts) CollectRules(part, collect);
}

Expression WithoutDeadParts(Expression expression, const std::vector<bool>& productive) {
  if (!MatchesSomething(expression, productive)) return Nothing();
  if (expression.kind == Kind::kRepeat && !MatchesSomething(expression.parts[0], productive)) return Text("");
  std::vector<Expression> kept;
  for (Expression& part : expression.parts) {
    Expression pruned = WithoutDeadParts(std::move(part), productive);
    if (pruned.kind != Kind::kNothing) kept.push_back(std::move(pruned));
  }
  expression.parts = std::move(kept);
  return expression;
}

std::int64_t Saturated(std::int64_t value) { return std::min(value, RuleBook::kTooLarge); }

std::int64_t StatesOf(const Expression& expression) {
  std::int64_t states = 1;
  switch (expression.kind) {
    case Kind::kText: return Saturated(1 + static_cast<std::int64_t>(expression.text.size()));
    case Kind::kClass: return 1 + static_cast<std::int64_t>(expression.points.ranges().size());
    case Kind::kRepeat: {
      const std::int64_t times = std::max<std::int64_t>({1, expression.least, expression.most});
      const std::int64_t part = StatesOf(expression.parts[0]);
      return part > RuleBook::kTooLarge / times ? RuleBook::kTooLarge : part * times;
    }
    default:
      for (const Expression& part : expression.parts) states = Saturated(states + StatesOf(part));
      return states;
  }
}

// A class is wide from about here: tokens of many scripts begin with its characters.
constexpr std::int64_t kWideClass = 1000;

std::int64_t WideStatesOf(const Expression& expression) {
  if (expression.kind == Kind::kClass) {
    std::int64_t points = 0;
    for (const auto& [first, last] : expression.points.ranges()) points += last - first + 1;
    return points >= kWideClass ? 1 : 0;
  }
  std::int64_t states = 0;
  for (const Expression& part : expression.parts) states = Saturated(states + WideStatesOf(part));
  if (expression.kind != Kind::kRepeat) return states;
  const std::int64_t times = std::max<std::int64_t>({1, expression.least, expression.most});
  return states > RuleBook::kTooLarge / times ? RuleBook::kTooLarge : states * times;
}

std::string RuleName(std::size_t rule, std::size_t root) { return rule == root ? "root" : "r" + std::to_string(rule); }

void WriteText(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const text::Utf8Step step = text::ReadUtf8(text);
    AppendEscaped(step.code_point, out);
    text.remove_prefix(step.bytes);
  }
  out += '"';
}

void WriteExpression(const Expression& expression, std::size_t root, std::string& out) {
  switch (expression.kind) {
    case Kind::kNothing: break;  // pruned before
    case Kind::kText: WriteText(expression.text, out); break;
    case Kind::kClass:
      out += '[';
      for (const auto& [first, last] : expression.points.ranges()) {
        AppendEscaped(first, out);
        if (first == last) continue;
        out += '-';
        AppendEscaped(last, out);
      }
      out += ']';
      break;
    case Kind::kRule: out += RuleName(expression.rule, root); break;
    case Kind::kRepeat:
      out += '(';
      WriteExpression(expression.parts[0], root, out);
      out += ')';
      if (expression.most == Expression::kUnbounded && expression.least <= 1) {
        out += expression.least == 0 ? '*' : '+';
      } else {
        out += '{' + std::to_string(expression.least) + ',';
        if (expression.most != Expression::kUnbounded) out += std::to_string(expression.most);
        out += '}';
      }
      break;
    case Kind::kSequence:
    case Kind::kChoice:
      out += '(';
      for (std::size_t i = 0; i < expression.parts.size(); ++i) {
        if (i > 0) out += expression.kind == Kind::kChoice ? " | " : " ";
        WriteExpression(expression.parts[i], root, out);
      }
      out += ')';
      break;
  }
}

}  // namespace

CodePoints CodePoints::Range(char32_t first, char32_t last) {
  CodePoints points;
  const auto add = [&](char32_t from, char32_t to) {
    if (from <= to) points.ranges_.emplace_back(from, to);
  };
  add(first, std::min<char32_t>(last, kFirstSurrogate - 1));
  add(std::max<char32_t>(first, kLastSurrogate + 1), std::min<char32_t>(last, 0x10FFFF));
  return points;
}

CodePoints CodePoints::Of(std::string_view utf8) {
  CodePoints points;
  while (!utf8.empty()) {
    const text::Utf8Step step = text::ReadUtf8(utf8);
    points = points.Or(Range(step.code_point, step.code_point));
    utf8.remove_prefix(step.bytes);
  }
  return points;
}

CodePoints CodePoints::Or(const CodePoints& other) const {
  Ranges all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  std::ranges::sort(all);
  CodePoints joined;
  for (const auto& [first, last] : all) {
    if (!joined.ranges_.empty() && first <= joined.ranges_.back().second + 1) {
      joined.ranges_.back().second = std::max(joined.ranges_.back().second, last);
    } else {
      joined.ranges_.emplace_back(first, last);
    }
  }
  return joined;
}

CodePoints CodePoints::Without(const CodePoints& other) const {
  CodePoints rest;
  for (auto [first, last] : ranges_) {
    bool gone = false;
    for (const auto& [from, to] : other.ranges_) {
      if (to < first || from > last) continue;
      if (from > first) rest.ranges_.emplace_back(first, from - 1);
      if (to >= last) {
        gone = true;
        break;
      }
      first = to + 1;
    }
    if (!gone) rest.ranges_.emplace_back(first, last);
  }
  return rest;
}

bool CodePoints::Contains(char32_t c) const noexcept {
  return std::ranges::any_of(ranges_, [&](const auto& range) { return range.first <= c && c <= range.second; });
}

Expression Nothing() { return {}; }

Expression Text(std::string_view text) { return {.kind = Kind::kText, .text = std::string(text)}; }

Expression OneOf(CodePoints points) {
  if (points.IsEmpty()) return Nothing();
  return {.kind = Kind::kClass, .points = std::move(points)};
}

Expression Sequence(std::vector<Expression> parts) {
  std::vector<Expression> joined;
  for (Expression& part : parts) {
    if (part.kind == Kind::kText && !joined.empty() && joined.back().kind == Kind::kText) {
      joined.back().text += part.text;
    } else {
      joined.push_back(std::move(part));
    }
  }
  parts = std::move(joined);
  if (parts.empty()) return Text("");
  if (parts.size() == 1) return std::move(parts[0]);
  return {.kind = Kind::kSequence, .parts = std::move(parts)};
}

Expression Choice(std::vector<Expression> parts) {
  std::erase_if(parts, [](const Expression& part) { return part.kind == Kind::kNothing; });
  if (parts.empty()) return Nothing();
  if (parts.size() == 1) return std::move(parts[0]);
  return {.kind = Kind::kChoice, .parts = std::move(parts)};
}

Expression Repeat(Expression part, std::int64_t least, std::int64_t most) {
  if (most == 0) return Text("");
  if (part.kind == Kind::kRepeat && part.least == 0 && (part.most == 1 || part.most == Expression::kUnbounded)) {
    const std::int64_t times = part.most == 1 ? most : Expression::kUnbounded;
    return Repeat(std::move(part.parts[0]), 0, times);
  }
  if (least == 1 && most == 1) return part;
  Expression repeat{.kind = Kind::kRepeat, .least = least, .most = most};
  repeat.parts.push_back(std::move(part));
  return repeat;
}

Expression Optional(Expression part) { return Repeat(std::move(part), 0, 1); }

std::size_t RuleBook::Reserve() {
  rules_.emplace_back();
  return rules_.size() - 1;
}

Expression RuleBook::Refer(std::size_t rule) const { return {.kind = Kind::kRule, .rule = rule}; }

std::size_t RuleBook::Add(Expression expression) {
  const std::size_t rule = Reserve();
  Set(rule, std::move(expression));
  return rule;
}

// A long run is made of runs of this length, which share their states.
constexpr std::int64_t kRun = 50;

Expression RuleBook::Exactly(const Expression& part, std::int64_t times) {
  if (times <= kRun) return times == 0 ? Text("") : Repeat(part, times, times);
  const std::size_t run = Add(Repeat(part, kRun, kRun));
  std::vector<Expression> parts{Repeat(Refer(run), times / kRun, times / kRun)};
  if (times % kRun != 0) parts.push_back(Repeat(part, times % kRun, times % kRun));
  return Sequence(std::move(parts));
}

Expression RuleBook::Characters(const Expression& part, std::int64_t least, std::int64_t most) {
  // Few repetitions of little are cheaper written out.
  constexpr std::int64_t kFew = 8;
  if (part.kind == Kind::kNothing) return least == 0 ? Text("") : Nothing();
  if (most != Expression::kUnbounded && (most <= kFew && WideStatesOf(part) == 0)) return Repeat(part, least, most);
  if (most == least) return Exactly(part, least);
  std::vector<Expression> parts;
  if (least > 0) parts.push_back(Exactly(part, least));
  Expression rest = Repeat(part, 0, Expression::kUnbounded);
  if (most == Expression::kUnbounded) {
    parts.push_back(std::move(rest));
  } else {
    const std::size_t rule = Add(std::move(rest));
    rules_[rule].most_characters = std::min<std::int64_t>(most - least, std::numeric_limits<std::int32_t>::max());
    parts.push_back(Refer(rule));
  }
  return Sequence(std::move(parts));
}

bool RuleBook::Prune(std::size_t root) {
  std::vector<bool> productive(rules_.size(), false);
  std::vector<std::vector<std::size_t>> users(rules_.size());  // the rules that name a rule
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    CollectRules(rules_[i].expression, [&](std::size_t named) { users[named].push_back(i); });
    waiting.push_back(i);
  }
  while (!waiting.empty()) {
    const std::size_t rule = waiting.back();
    waiting.pop_back();
    if (productive[rule] || !MatchesSomething(rules_[rule].expression, productive)) continue;
    productive[rule] = true;
    waiting.insert(waiting.end(), users[rule].begin(), users[rule].end());
  }
  for (Rule& rule : rules_) rule.expression = WithoutDeadParts(std::move(rule.expression), productive);
  return productive[root];
}

std::int64_t RuleBook::States() const {
  std::int64_t states = 0;
  for (const Rule& rule : rules_) states = Saturated(states + StatesOf(rule.expression));
  return states;
}

std::int64_t RuleBook::WideStates() const {
  std::int64_t states = 0;
  for (const Rule& rule : rules_) states = Saturated(states + WideStatesOf(rule.expression));
  return states;
}

std::string RuleBook::WriteEbnf(std::size_t root) const {
  std::string out;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    if (rule.expression.kind == Kind::kNothing) continue;
    out += RuleName(i, root);
    if (rule.most_characters != Expression::kUnbounded) out += "[max_chars=" + std::to_string(rule.most_characters) + "]";
    out += " ::= ";
    WriteExpression(rule.expression, root, out);
    out += '\n';
  }
  return out;
}

}  // namespace baleen::constraint

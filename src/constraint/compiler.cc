#include "constraint/compiler.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "constraint/automaton.h"
#include "constraint/free_text.h"
#include "constraint/regex.h"
#include "constraint/schema_grammar.h"
#include "constraint/tool_block.h"
#include "constraint/trial.h"
#include "text/special_tokens.h"

namespace baleen::constraint {

namespace {

using diagnostics::Error;
using diagnostics::InvalidInput;

// What one grammar may be: in states and in bytes of its text. A trial bounds its time and memory; these keep the trial short.
constexpr std::int64_t kMostStates = 400'000;
constexpr std::size_t kMostText = std::size_t{8} << 20;
// Grammars of schemas below these sizes compile in milliseconds for a small vocabulary and a fraction of a second for a large one.
constexpr std::int64_t kFewStates = 20'000, kFewWideStates = 16;
// Compiling happens twice, in the trial and here; with the probing they stay below 5 s.
constexpr std::chrono::milliseconds kProbing{800}, kSlowStep{400}, kTrial{1900};
constexpr std::chrono::milliseconds kSlowMean{10};  // of the steps of a probe, but for a few: the first ones may fill tables
constexpr std::int64_t kFewSteps = 4;
constexpr std::size_t kTrialMemory = std::size_t{1536} << 20;
constexpr std::size_t kCacheBytes = std::size_t{256} << 20, kCacheEntries = 1024;

}  // namespace

class CompiledGrammar {
 public:
  std::shared_ptr<const Automaton> automaton;
  bool free_text_first = false;  // the automaton begins with the start of a tool block, which free text leads to
  bool dsml = false;             // the token of DSML may be used
};

namespace {

// Grammars by their text, the least recently used ones dropped. Not thread-safe.
class GrammarCache {
 public:
  std::shared_ptr<const CompiledGrammar> Find(const std::string& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->grammar;
  }

  void Add(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar) {
    const std::size_t bytes = grammar->automaton->Bytes() + 2 * key.size();
    if (bytes > kCacheBytes / 4 || places_.contains(key)) return;
    entries_.push_front({key, std::move(grammar), bytes});
    places_[key] = entries_.begin();
    bytes_ += bytes;
    while (bytes_ > kCacheBytes || entries_.size() > kCacheEntries) {
      bytes_ -= entries_.back().bytes;
      places_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CompiledGrammar> grammar;
    std::size_t bytes;
  };
  std::list<Entry> entries_;
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
  std::size_t bytes_ = 0;
};

bool IsSet(std::span<const std::uint32_t> mask, std::size_t id) { return (mask[id / 32] >> (id % 32) & 1) != 0; }

// What this thread has computed: unlike the time of day it is the same on a machine that is busy otherwise.
std::chrono::nanoseconds ComputedTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// Follows the grammar along one text and says what makes it unfit for use: steps so slow that other requests would wait.
std::string Probe(const Automaton& automaton, std::size_t vocab_size) {
  using Clock = std::chrono::steady_clock;
  constexpr std::string_view kTooSlow = "it can be read in so many ways that each token would take too long; make it less ambiguous";
  std::vector<std::uint32_t> mask((vocab_size + 31) / 32);
  const std::unique_ptr<Walk> walk = automaton.Start();
  std::uint64_t random = 1;
  std::int64_t steps = 0;
  const Clock::time_point until = Clock::now() + kProbing;
  const std::chrono::nanoseconds before = ComputedTime();
  while (Clock::now() < until) {
    const std::chrono::nanoseconds begin = ComputedTime();
    walk->Allowed(mask);
    random = random * 6364136223846793005U + 1442695040888963407U;
    std::size_t id = (random >> 33) % vocab_size, tried = 0;
    for (; tried < vocab_size && !IsSet(mask, id); ++tried) id = (id + 1) % vocab_size;
    if (tried == vocab_size || !walk->Accept(static_cast<std::int32_t>(id))) break;
    if (ComputedTime() - begin > kSlowStep) return std::string(kTooSlow);
    ++steps;
  }
  const bool slow = ComputedTime() - before > (steps < kFewSteps ? kProbing / 2 : steps * kSlowMean);
  return slow ? std::string(kTooSlow) : "";
}

class Session final : public engine::Constraint {
 public:
  Session(std::shared_ptr<const CompiledGrammar> grammar, const FreeText& free_text, const std::vector<std::string>& token_bytes,
          const std::vector<std::int32_t>& end_ids, std::optional<std::int32_t> dsml, std::optional<std::int32_t> after_token)
      : grammar_(std::move(grammar)), free_text_(free_text), token_bytes_(token_bytes), end_ids_(end_ids), dsml_(dsml), after_token_(after_token) {
    if (!grammar_->free_text_first) walk_ = grammar_->automaton->Start();
  }

  bool Allowed(std::span<std::uint32_t> allowed) override {
    if (after_token_) return false;
    if (ended_) {
      std::ranges::fill(allowed, 0U);
      for (const std::int32_t id : end_ids_) allowed[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<std::uint32_t>(id) % 32);
    } else if (!walk_) {
      free_text_.Allowed(state_, allowed);
    } else {
      walk_->Allowed(allowed);
      if (dsml_ && !grammar_->dsml) allowed[static_cast<std::size_t>(*dsml_) / 32] &= ~(1U << (static_cast<std::uint32_t>(*dsml_) % 32));
    }
    return true;
  }

  bool Accept(std::int32_t token) override {
    if (token < 0 || static_cast<std::size_t>(token) >= token_bytes_.size()) return false;
    if (after_token_) {
      if (token == *after_token_) after_token_.reset();
      return true;
    }
    const bool is_end = std::ranges::find(end_ids_, token) != end_ids_.end();
    if (ended_) return is_end;
    if (walk_) {
      if (token == dsml_ && !grammar_->dsml) return false;
      if (!walk_->Accept(token)) return false;
      ended_ = is_end;
      return true;
    }
    if (is_end) return ended_ = free_text_.MayEnd(state_);
    const std::string& bytes = token_bytes_[static_cast<std::size_t>(token)];
    const FreeText::State next = bytes.empty() ? FreeText::kDead : free_text_.Advance(state_, bytes);
    if (next == FreeText::kDead) return false;
    state_ = next;
    if (!free_text_.IsBlock(state_)) return true;
    walk_ = grammar_->automaton->Start();
    return walk_->AcceptText(std::string(text::kToolBlockStart));
  }

 private:
  std::shared_ptr<const CompiledGrammar> grammar_;
  const FreeText& free_text_;
  const std::vector<std::string>& token_bytes_;
  const std::vector<std::int32_t>& end_ids_;
  std::optional<std::int32_t> dsml_, after_token_;
  std::unique_ptr<Walk> walk_;  // null: still in free text
  FreeText::State state_ = FreeText::kStart;
  bool ended_ = false;
};

Error InField(std::string_view field, const Error& error) { return {error.kind, std::string(field) + ": " + error.message}; }

// The bytes of the tokens that a grammar may use: added tokens have none, but for that of DSML.
std::vector<std::string> TokenBytes(const text::Tokenizer& tokenizer, std::size_t vocab_size) {
  std::vector<std::string> all(vocab_size);
  const std::optional<std::int32_t> dsml = tokenizer.Find(text::kDsml);
  for (std::size_t i = 0; i < std::min(vocab_size, tokenizer.VocabularySize()); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    const std::string_view bytes = tokenizer.TokenBytes(id);
    // An added token is found in a text with it only where added tokens are looked for.
    const bool added = tokenizer.Encode(bytes) == std::vector{id} && tokenizer.EncodePlain(bytes) != std::vector{id};
    if (!added || id == dsml) all[i] = bytes;
  }
  return all;
}

}  // namespace

struct Compiler::Parts {
  Parts(std::vector<std::string> bytes, std::span<const std::int32_t> ends, std::optional<std::int32_t> dsml_id)
      : token_bytes(std::move(bytes)), end_ids(ends.begin(), ends.end()), dsml(dsml_id), free_text(token_bytes, end_ids),
        maker(OpenAutomatonMaker(token_bytes, end_ids)) {}

  // Makes the automaton of an EBNF text, or finds it among those made before. small: it needs no trial.
  Result<Grammar> Make(const std::string& ebnf, bool small, bool free_text_first, bool is_dsml, std::string_view field) {
    if (ebnf.size() > kMostText) {
      return InvalidInput(std::string(field) + ": expected a grammar of at most " + std::to_string(kMostText >> 20) + " MiB, found one of " +
                          std::to_string(ebnf.size() >> 20) + "; make it smaller");
    }
    const std::string key = (free_text_first ? "t" : is_dsml ? "d" : "j") + ebnf;
    const std::scoped_lock lock(mutex);
    if (std::shared_ptr<const CompiledGrammar> known = cache.Find(key)) return Grammar(std::move(known));
    if (!small) {
      const auto work = [&]() -> std::string {
        const Result<std::shared_ptr<const Automaton>> made = maker->Make(ebnf);
        return made ? Probe(**made, token_bytes.size()) : made.error().message;
      };
      const Status tried = TryApart(work, kTrial, kTrialMemory);
      if (!tried) return InField(field, tried.error());
    }
    Result<std::shared_ptr<const Automaton>> made = maker->Make(ebnf);
    if (!made) return InField(field, made.error());
    auto compiled = std::make_shared<CompiledGrammar>();
    compiled->automaton = *std::move(made);
    compiled->free_text_first = free_text_first;
    compiled->dsml = is_dsml;
    cache.Add(key, compiled);
    return Grammar(std::move(compiled));
  }

  Result<Grammar> MakeFrom(RuleBook& book, Expression root_expression, bool plain, bool free_text_first, bool is_dsml, std::string_view field) {
    const std::size_t root = book.Add(std::move(root_expression));
    if (!book.Prune(root)) return InvalidInput(std::string(field) + ": expected something that some finite text meets, found what none meets");
    if (book.States() > kMostStates) {
      return InvalidInput(std::string(field) + ": expected a grammar of at most " + std::to_string(kMostStates) +
                          " states, found a larger one; use fewer and shorter values and smaller counts");
    }
    const bool small = plain && book.States() <= kFewStates && book.WideStates() <= kFewWideStates;
    return Make(book.WriteEbnf(root), small, free_text_first, is_dsml, field);
  }

  const std::vector<std::string> token_bytes;
  const std::vector<std::int32_t> end_ids;
  const std::optional<std::int32_t> dsml;
  const FreeText free_text;
  std::mutex mutex;  // of what follows: one grammar is made at a time
  std::unique_ptr<AutomatonMaker> maker;
  GrammarCache cache;
};

Compiler::Compiler(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Compiler::~Compiler() = default;

Result<std::unique_ptr<Compiler>> Compiler::Create(const text::Tokenizer& tokenizer, std::int64_t vocab_size, std::span<const std::int32_t> end_ids) {
  const auto tokens = static_cast<std::int64_t>(tokenizer.VocabularySize());
  if (vocab_size < tokens || vocab_size > (std::int64_t{1} << 24)) {
    return InvalidInput("expected a vocabulary of at least the tokenizer's " + std::to_string(tokens) + " ids, found " + std::to_string(vocab_size));
  }
  if (end_ids.empty()) return InvalidInput("expected at least one end id, found none; an answer could not end");
  for (const std::int32_t id : end_ids) {
    if (id < 0 || id >= vocab_size) return InvalidInput("expected end ids below " + std::to_string(vocab_size) + ", found " + std::to_string(id));
  }
  auto parts = std::make_unique<Parts>(TokenBytes(tokenizer, static_cast<std::size_t>(vocab_size)), end_ids, tokenizer.Find(text::kDsml));
  return std::unique_ptr<Compiler>(new Compiler(std::move(parts)));
}

Result<Grammar> Compiler::JsonObject() {
  RuleBook book;
  const text::JsonValue any;
  Expression object = SchemaGrammar(any, {.field = "response_format"}, book).AnyObject();
  return parts_->MakeFrom(book, std::move(object), /*plain=*/true, false, false, "response_format");
}

Result<Grammar> Compiler::JsonSchema(std::string_view schema_json, bool strict, std::string_view field) {
  const SchemaSettings settings{.field = std::string(field), .strict = strict};
  TRY_ASSIGN(const text::JsonValue schema, ReadSchema(schema_json, settings));
  RuleBook book;
  TRY_ASSIGN(Expression document, SchemaGrammar(schema, settings, book).Document());
  return parts_->MakeFrom(book, std::move(document), schema_json.find("\"pattern\"") == std::string_view::npos, false, false, field);
}

Result<Grammar> Compiler::Regex(std::string_view pattern, std::string_view field) {
  RuleBook book;
  Result<Expression> whole = ReadRegex(pattern, PatternScope::kWhole, StringForm(StringForm::Kind::kPlain, false), book);
  if (!whole) return InField(field, whole.error());
  return parts_->MakeFrom(book, *std::move(whole), /*plain=*/false, false, false, field);
}

Result<Grammar> Compiler::Ebnf(std::string_view grammar, std::string_view field) {
  return parts_->Make(std::string(grammar), /*small=*/false, false, false, field);
}

Result<Grammar> Compiler::ToolCalls(std::span<const ToolGrammar> tools, const ToolChoice& choice) {
  RuleBook book;
  TRY_ASSIGN(Expression block, ToolBlock(tools, choice, book));
  return parts_->MakeFrom(book, std::move(block), /*plain=*/true, choice.kind == ToolChoice::Kind::kAuto, /*is_dsml=*/true, "tools");
}

Result<Grammar> Compiler::ToolCallsOrJson(std::span<const ToolGrammar> tools, const ToolChoice& choice, std::optional<std::string_view> schema_json, bool strict) {
  RuleBook book;
  TRY_ASSIGN(Expression block, ToolBlock(tools, choice, book));
  const SchemaSettings settings{.field = "response_format.json_schema.schema", .strict = strict};
  text::JsonValue schema;
  if (schema_json) {
    TRY_ASSIGN(schema, ReadSchema(*schema_json, settings));
  }
  SchemaGrammar grammar(schema, settings, book);
  Result<Expression> document = schema_json ? grammar.Document() : Result<Expression>(grammar.AnyObject());
  if (!document) return document.error();
  const bool plain = !schema_json || schema_json->find("\"pattern\"") == std::string_view::npos;
  return parts_->MakeFrom(book, Choice({*std::move(document), std::move(block)}), plain, /*free_text_first=*/false, /*is_dsml=*/true, "response_format");
}

std::unique_ptr<engine::Constraint> Compiler::Start(const Grammar& grammar, std::optional<std::int32_t> after_token) {
  return std::make_unique<Session>(grammar.compiled_, parts_->free_text, parts_->token_bytes, parts_->end_ids, parts_->dsml, after_token);
}

}  // namespace baleen::constraint

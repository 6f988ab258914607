#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "completion/answer_text.h"
#include "engine/request.h"

namespace baleen::completion {

/// A sampled token and what else might have been.
struct SampledToken {
  engine::ScoredToken token;
  std::vector<engine::ScoredToken> likeliest;  // falling
  bool reasoning = false;
};

/// One answer of a completion while it grows and when it has ended.
class Answer {
 public:
  /// keep_tokens: with log-probabilities. tokenizer must outlive it.
  Answer(const text::Tokenizer& tokenizer, AnswerForm form, std::vector<std::string> stops, bool keep_tokens);

  /// The engine's on_token: false once a stop text is complete.
  bool Push(const engine::TokenEvent& event);
  /// The same for a token that counts but is no text: an end token that ends nothing.
  bool Skip(const engine::TokenEvent& event);
  /// The engine's on_end.
  void End(const engine::Ending& ending);

  bool ended() const noexcept { return ending_.has_value(); }
  const engine::Ending& ending() const noexcept { return *ending_; }
  const text::ParsedReply& reply() const noexcept { return text_.reply(); }
  const std::vector<SampledToken>& tokens() const noexcept { return tokens_; }  // without the end token
  std::int64_t reasoning_tokens() const noexcept { return reasoning_tokens_; }  // </think> included
  bool thinks() const noexcept { return form_ == AnswerForm::kThinking; }

  /// stop, length or tool_calls; only for an answer that ended well.
  std::string_view FinishReason() const noexcept;
  /// Did it end as answers should?
  bool good() const noexcept;

 private:
  bool IsReasoning(std::int32_t id);
  void Count(const engine::TokenEvent& event, bool reasoning);

  const text::Tokenizer* tokenizer_;
  AnswerForm form_;
  AnswerText text_;
  bool keep_tokens_, reasoning_;
  std::string seen_;  // the end of the reasoning so far: </think> may come in pieces
  std::vector<SampledToken> tokens_;
  std::int64_t reasoning_tokens_ = 0;
  std::optional<engine::Ending> ending_;
};

}  // namespace baleen::completion

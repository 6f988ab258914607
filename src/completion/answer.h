#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "completion/answer_text.h"
#include "completion/delta.h"
#include "engine/request.h"

namespace baleen::completion {

/// One answer of a completion while it grows and when it has ended. It is the engine's thread's until its last Delta was handed out, and does
/// not change afterwards.
class Answer {
 public:
  /// keep_tokens: with log-probabilities. tokenizer must outlive it.
  Answer(const text::Tokenizer& tokenizer, AnswerForm form, std::vector<std::string> stops, text::ToolNames tools, bool keep_tokens);

  /// The engine's on_token: false once a stop text is complete. What the token adds is put into `delta`.
  bool Push(const engine::TokenEvent& event, Delta& delta);
  /// The same for a token that counts but is no text: an end token that ends nothing.
  bool Skip(const engine::TokenEvent& event, Delta& delta);
  /// The engine's on_end.
  void End(const engine::Ending& ending, Delta& delta);

  bool ended() const noexcept { return ending_.has_value(); }
  const engine::Ending& ending() const noexcept { return *ending_; }
  const text::ParsedReply& reply() const noexcept { return text_.reply(); }
  const std::vector<SampledToken>& tokens() const noexcept { return tokens_; }  // without the end token
  /// Every id in the order of sampling, an end token too: what stands in the model's cache behind the prompt.
  const std::vector<std::int32_t>& sampled() const noexcept { return sampled_; }
  std::int64_t reasoning_tokens() const noexcept { return reasoning_tokens_; }  // </think> included
  bool thinks() const noexcept { return form_ == AnswerForm::kThinking; }

  /// The stop text that ended it; empty = none did.
  const std::string& stop_text() const noexcept { return text_.stop_text(); }
  /// stop, length or tool_calls; only for an answer that ended well.
  std::string_view FinishReason() const noexcept;
  /// Did it end as answers should?
  bool good() const noexcept;

 private:
  bool IsReasoning(std::int32_t id);
  void Count(const engine::TokenEvent& event, bool reasoning, Delta& delta);

  const text::Tokenizer* tokenizer_;
  AnswerForm form_;
  AnswerText text_;
  bool keep_tokens_, reasoning_;
  std::string seen_;  // the end of the reasoning so far: </think> may come in pieces
  std::vector<SampledToken> tokens_;
  std::vector<std::int32_t> sampled_;
  std::int64_t reasoning_tokens_ = 0;
  std::optional<engine::Ending> ending_;
};

}  // namespace baleen::completion

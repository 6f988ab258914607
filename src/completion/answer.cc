#include "completion/answer.h"

#include "text/special_tokens.h"

namespace baleen::completion {

Answer::Answer(const text::Tokenizer& tokenizer, AnswerForm form, std::vector<std::string> stops, text::ToolNames tools, bool keep_tokens)
    : tokenizer_(&tokenizer), form_(form), text_(&tokenizer, form, std::move(stops), std::move(tools)), keep_tokens_(keep_tokens), reasoning_(form == AnswerForm::kThinking) {}

// The token that completes </think> still belongs to the reasoning.
bool Answer::IsReasoning(std::int32_t id) {
  if (!reasoning_) return false;
  seen_ += tokenizer_->TokenBytes(id);
  if (seen_.find(text::kThinkingEnd) != std::string::npos) {
    reasoning_ = false;
  } else if (seen_.size() > text::kThinkingEnd.size()) {
    seen_.erase(0, seen_.size() - text::kThinkingEnd.size());
  }
  return true;
}

void Answer::Count(const engine::TokenEvent& event, bool reasoning, Delta& delta) {
  sampled_.push_back(event.token.id);
  reasoning_tokens_ += reasoning;
  if (!keep_tokens_ || event.ends) return;
  tokens_.push_back({event.token, {event.likeliest.begin(), event.likeliest.end()}, reasoning});
  delta.tokens.push_back(tokens_.back());
}

bool Answer::Push(const engine::TokenEvent& event, Delta& delta) {
  if (event.ends) return Skip(event, delta);
  Count(event, IsReasoning(event.token.id), delta);
  delta.events = text_.Push(event.token.id);
  return !text_.stopped();
}

bool Answer::Skip(const engine::TokenEvent& event, Delta& delta) {
  Count(event, reasoning_, delta);
  return true;
}

void Answer::End(const engine::Ending& ending, Delta& delta) {
  delta.events = text_.Finish(/*cut=*/ending.finish != engine::Finish::kEndToken);
  delta.ended = true;
  ending_ = ending;
}

bool Answer::good() const noexcept {
  using engine::Finish;
  return ended() && (ending_->finish == Finish::kEndToken || ending_->finish == Finish::kLength || ending_->finish == Finish::kStopped);
}

std::string_view Answer::FinishReason() const noexcept {
  if (text_.stopped()) return "stop";
  if (ending_->finish == engine::Finish::kLength) return "length";
  return reply().tool_calls.empty() ? "stop" : "tool_calls";
}

}  // namespace baleen::completion

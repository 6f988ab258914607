#include "engine/generation.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "diagnostics/check.h"

namespace baleen::engine {

using diagnostics::InvalidInput;

Result<Generation> Generation::Create(model::Transformer& model) {
  TRY_ASSIGN(kvcache::Sequence sequence, kvcache::Sequence::Create(model.cache_layout(), model.limits().context));
  return Generation(model, std::move(sequence));
}

Generation::Generation(model::Transformer& model, kvcache::Sequence sequence) : model_(&model), sequence_(std::move(sequence)) {
  held_.reserve(static_cast<std::size_t>(sequence_.capacity()));
}

void Generation::Reset() noexcept {
  sequence_.Reset();
  held_.clear();
}

Status Generation::CheckPrompt(std::span<const std::int32_t> prompt) const {
  if (prompt.empty()) return InvalidInput("prompt: expected at least one token, found none; there is nothing to go on from");
  if (static_cast<std::int64_t>(prompt.size()) > context()) {
    return InvalidInput("prompt: expected at most " + std::to_string(context()) + " tokens (the context), found " + std::to_string(prompt.size()) +
                        "; shorten the prompt or raise --context");
  }
  const std::int64_t vocab = model_->config().vocab_size;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] < 0 || prompt[i] >= vocab) {
      return InvalidInput("prompt, token " + std::to_string(i) + ": expected an id from 0 to " + std::to_string(vocab - 1) + ", found " +
                          std::to_string(prompt[i]) + "; tokenizer and model do not belong together");
    }
  }
  return {};
}

void Generation::Feed(std::span<const std::int32_t> tokens, bool with_logits) noexcept {
  const auto rows = static_cast<std::int64_t>(tokens.size());
  const model::Segment segment{&sequence_, rows};
  const std::array<std::int32_t, 1> last = {static_cast<std::int32_t>(rows - 1)};
  model_->Forward({tokens, {&segment, 1}, std::span(last).first(with_logits ? 1 : 0), {}});
  held_.insert(held_.end(), tokens.begin(), tokens.end());
}

Result<Prefilled> Generation::Prefill(std::span<const std::int32_t> prompt, const std::function<bool()>& go_on) {
  TRY(CheckPrompt(prompt));
  // The logits of the last token are needed, so at least one token must be left to compute.
  const bool extends = held_.size() < prompt.size() && std::equal(held_.begin(), held_.end(), prompt.begin());
  if (!extends) Reset();
  Prefilled done{.reused = length()};
  while (held_.size() < prompt.size()) {
    if (go_on && !go_on()) {
      done.whole = false;
      break;
    }
    const auto rest = prompt.subspan(held_.size());
    const auto piece = rest.first(std::min(rest.size(), static_cast<std::size_t>(model_->limits().rows)));
    Feed(piece, piece.size() == rest.size());
  }
  done.computed = length() - done.reused;
  return done;
}

Result<Finish> Generation::Decode(Sampler& sampler, std::span<const std::int32_t> end_ids, std::int64_t most_tokens,
                                  const std::function<bool(std::int32_t)>& on_token) {
  CHECK(length() > 0);
  sampler.BeginAnswer();
  for (std::int64_t count = 0; count < most_tokens && length() < context();) {
    TRY_ASSIGN(const std::int32_t token, sampler.Choose(model_->Logits(0), static_cast<std::uint64_t>(length())));
    ++count;
    const bool go_on = on_token(token);
    if (std::find(end_ids.begin(), end_ids.end(), token) != end_ids.end()) return Finish::kEndToken;
    if (!go_on) return Finish::kStopped;
    if (count == most_tokens || length() + 1 == context()) break;
    Feed({&token, 1}, true);
  }
  return Finish::kLength;
}

}  // namespace baleen::engine

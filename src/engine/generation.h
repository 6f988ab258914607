#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "diagnostics/result.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "kvcache/sequence.h"
#include "model/transformer.h"

namespace baleen::engine {

/// What a prefill did, in tokens.
struct Prefilled {
  std::int64_t reused = 0;  // already held
  std::int64_t computed = 0;
  bool whole = true;  // false: go_on ended it early; there is nothing to decode from
};

/// One conversation: a sequence of a model, filled with prompts and continued token by token. The model must outlive it, and no other
/// step may run between Prefill and Decode.
class Generation {
 public:
  /// A sequence of the model's context limit. Errors: memory.
  static Result<Generation> Create(model::Transformer& model);

  /// Makes the sequence hold exactly `prompt`, in steps of Limits.rows. What it holds already is kept if the prompt goes on from there,
  /// else everything is computed anew. go_on is asked before every step.
  /// Errors: an empty prompt, one longer than the context, an id outside the vocabulary; the sequence is unchanged then.
  Result<Prefilled> Prefill(std::span<const std::int32_t> prompt, const std::function<bool()>& go_on = {});

  /// Continues the prompt of the last whole Prefill. on_token sees each token, the end token included, and says whether to go on. The last
  /// token is not fed: the sequence then holds one token less than was seen. Prompt and new tokens together fit the context. Takes no
  /// memory.
  /// Errors: those of Sampler::Choose.
  Result<Finish> Decode(Sampler& sampler, std::span<const std::int32_t> end_ids, std::int64_t most_tokens, const std::function<bool(std::int32_t)>& on_token);

  /// Forgets everything.
  void Reset() noexcept;

  std::int64_t length() const noexcept { return sequence_.length(); }
  std::int64_t context() const noexcept { return sequence_.capacity(); }

 private:
  Generation(model::Transformer& model, kvcache::Sequence sequence);
  Status CheckPrompt(std::span<const std::int32_t> prompt) const;
  void Feed(std::span<const std::int32_t> tokens, bool with_logits) noexcept;

  model::Transformer* model_;
  kvcache::Sequence sequence_;
  std::vector<std::int32_t> held_;  // the tokens of the sequence
};

}  // namespace baleen::engine

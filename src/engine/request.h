#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "diagnostics/error.h"
#include "engine/constraint.h"
#include "engine/sampler.h"

namespace baleen::engine {

using RequestId = std::uint64_t;
using Clock = std::chrono::steady_clock;

/// How long a request may take from its submission; a missing one is no limit.
struct Deadlines {
  std::optional<Clock::duration> queue;        // until its first step
  std::optional<Clock::duration> first_token;
  std::optional<Clock::duration> total;
};

/// A token with the natural logarithm of its probability under the model: the softmax of the logits as they come from it, before
/// temperature, penalties, bias, cuts and constraint.
struct ScoredToken {
  std::int32_t id = 0;
  double log_probability = 0;
};

/// One token of an answer, as it is chosen. The end token is reported too.
struct TokenEvent {
  ScoredToken token;                        // log_probability only if the request asked for it
  std::span<const ScoredToken> likeliest;   // falling, ties by the lower id; as many as asked for
  bool ends = false;                        // one of the request's end_ids
};

/// Why a request ended.
enum class Finish {
  kEndToken,   // the model wrote one of the end ids
  kLength,     // max_tokens, or the context is full
  kStopped,    // on_token's wish
  kCancelled,  // Cancel
  kExpired,    // a deadline
  kFailed,     // `error` says why; other requests are not touched
};

/// What a request cost, in tokens.
struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;      // of the prompt, taken from the prefix cache
  std::int64_t completion_tokens = 0;  // the end token included
  std::int64_t drafted_tokens = 0, accepted_tokens = 0;
  double queue_seconds = 0, first_token_seconds = 0, total_seconds = 0;  // from the submission
};

struct Ending {
  Finish finish = Finish::kFailed;
  Usage usage;
  std::optional<diagnostics::Error> error;  // kFailed and kExpired
};

/// One answer to one prompt.
struct Request {
  std::vector<std::int32_t> prompt;
  Sampling sampling;
  std::vector<std::uint8_t> allowed;        // [vocab] 0 = never chosen; empty = every id
  std::vector<std::int32_t> end_ids;        // none: only max_tokens ends the answer
  std::int64_t max_tokens = 0;              // 0 = what the context leaves
  std::optional<std::int64_t> likeliest;    // log-probabilities, with so many alternatives (0 … 20)
  std::unique_ptr<Constraint> constraint;   // may be null
  bool drafts = true;                       // false: no tokens are guessed ahead for it; the answer is the same
  int priority = 0;                         // higher ones go first and may pre-empt lower ones
  Deadlines deadlines;
  std::string tenant;                       // whose prefix cache it uses; tenants share nothing

  /// Both are called from Step, one at a time; they must not call the engine. on_token says whether to go on. on_end is called exactly
  /// once for every accepted request.
  std::function<bool(const TokenEvent&)> on_token;
  std::function<void(const Ending&)> on_end;
};

}  // namespace baleen::engine

#pragma once

#include <cstdint>
#include <vector>

#include "engine/request.h"
#include "text/reply_stream.h"

namespace baleen::completion {

/// A sampled token and what else might have been.
struct SampledToken {
  engine::ScoredToken token;
  std::vector<engine::ScoredToken> likeliest;  // falling
  bool reasoning = false;
};

/// What one token, or the end, added to one choice, in order. A token that adds nothing that can be shown yet gives no Delta.
struct Delta {
  std::int64_t choice = 0;
  std::vector<text::ReplyEvent> events;
  std::vector<SampledToken> tokens;  // log-probabilities, if asked for
  bool ended = false;                // the choice's last; completion.answers()[choice] may be read from now on
};

}  // namespace baleen::completion

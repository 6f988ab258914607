#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/penalties.h"
#include "kvcache/sequence.h"

namespace baleen::engine {

/// A request from its submission to its end. It waits (no sequence) or runs (a sequence that holds its first length() tokens); pre-emption
/// leads back to waiting, and nothing is lost but what the sequence held.
struct Engine::Active {
  RequestId id = 0;
  Rank rank;
  Request request;
  Clock::time_point submitted;
  std::vector<std::int32_t> tokens;  // the prompt, then the answer; the last one is not fed yet
  TokenCounts counts;                // of the answer, if it is penalised
  std::optional<kvcache::Sequence> sequence;
  kvcache::Lease snapshot;           // what the sequence began from; while `fetching` it is read from disk and the sequence is empty
  bool fetching = false;
  RequestId leader = 0;              // reads a beginning that this one shares; 0 = it waits for nobody
  std::int64_t shared = 0;           // the length at which the leader will leave a snapshot of it
  bool started = false;              // it ran before
  std::vector<std::int32_t> drafts;  // what the drafter thinks comes next
  double accepted_share = 1;         // of first drafts, the last ones counting most
  std::int64_t first_logit_row = 0;  // of this step
  Usage usage;
  std::optional<Finish> finish;      // it has ended and leaves after the step
  std::optional<diagnostics::Error> error;

  std::int64_t PromptLength() const noexcept { return static_cast<std::int64_t>(request.prompt.size()); }
  std::int64_t Length() const noexcept { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t Fed() const noexcept { return sequence ? sequence->length() : 0; }
  std::int64_t Left() const noexcept { return Length() - Fed(); }  // known tokens not yet fed
  bool Reads() const noexcept { return !fetching && leader == 0 && !finish; }
};

}  // namespace baleen::engine

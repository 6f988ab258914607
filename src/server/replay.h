#pragma once

#include <cstdint>
#include <string>

#include "completion/answer.h"
#include "completion/completion_request.h"
#include "server/replay_memory.h"

namespace baleen::server {

/// What the memory gave to a request.
struct Replayed {
  std::int64_t turns = 0;       // rendered from the very tokens that were sampled
  std::int64_t reasonings = 0;  // put back where the client left them out
};

/// Looks for each of the assistant's turns that a client sent back. Turns with calls are known by the ids of their calls, all of them in
/// their order; turns without by the conversation up to them. The sampled tokens are used only if content, calls (arguments as JSON
/// values) and, if the client sent one, the reasoning are what it was given, but for white space around them.
Replayed Replay(completion::CompletionRequest& request, ReplayMemory& memory);

/// Keeps an answer that the model itself ended, for Replay to find. call_ids: as the client got them.
void KeepForReplay(const completion::CompletionRequest& request, const completion::Answer& answer, const std::vector<std::string>& call_ids, ReplayMemory& memory);

}  // namespace baleen::server

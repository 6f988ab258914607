#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "diagnostics/result.h"
#include "engine/request.h"

namespace baleen::engine {

/// How much may wait before a submission is refused.
struct InboxLimits {
  std::int64_t requests = 1024;
  std::int64_t tokens = std::int64_t{1} << 32;  // of their prompts
};

/// A request that was accepted and not yet seen by the engine's thread.
struct Submission {
  RequestId id = 0;
  Clock::time_point at;
  Request request;
};

/// The door between any thread and the engine's: submissions and cancellations go in, nothing waits for a step.
class Inbox {
 public:
  explicit Inbox(const InboxLimits& limits) : limits_(limits) {}

  /// Errors (ResourceError): too many requests or prompt tokens wait, or the door is closed.
  Result<RequestId> Submit(Request request, Clock::time_point now);
  void Cancel(RequestId id);

  /// Moves out what came since the last call.
  void Take(std::vector<Submission>& submissions, std::vector<RequestId>& cancelled);

  /// A request that waited has begun or ended: its place is free. Prompt tokens as at its submission.
  void Leave(std::int64_t prompt_tokens);

  /// Returns when something came in, or after so long.
  void Wait(Clock::duration at_most);

  void Close();

 private:
  const InboxLimits limits_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<Submission> submissions_;
  std::vector<RequestId> cancelled_;
  RequestId last_id_ = 0;
  std::int64_t waiting_requests_ = 0, waiting_tokens_ = 0;
  bool closed_ = false;
};

}  // namespace baleen::engine

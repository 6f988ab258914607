#include "engine/inbox.h"

#include <string>
#include <utility>

namespace baleen::engine {

Result<RequestId> Inbox::Submit(Request request, Clock::time_point now) {
  const auto tokens = static_cast<std::int64_t>(request.prompt.size());
  const std::lock_guard lock(mutex_);
  if (closed_) return diagnostics::ResourceError("the engine is shutting down and takes no new requests; try again when it has started anew");
  if (waiting_requests_ >= limits_.requests || tokens > limits_.tokens - waiting_tokens_) {
    return diagnostics::ResourceError("too much is waiting: " + std::to_string(waiting_requests_) + " requests (at most " +
                                      std::to_string(limits_.requests) + ") with " + std::to_string(waiting_tokens_) + " prompt tokens (at most " +
                                      std::to_string(limits_.tokens) + "); try again later");
  }
  submissions_.push_back({++last_id_, now, std::move(request)});
  ++waiting_requests_;
  waiting_tokens_ += tokens;
  came_.notify_all();
  return last_id_;
}

void Inbox::Cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  cancelled_.push_back(id);
  came_.notify_all();
}

void Inbox::Take(std::vector<Submission>& submissions, std::vector<RequestId>& cancelled) {
  submissions.clear();
  cancelled.clear();
  const std::lock_guard lock(mutex_);
  submissions.swap(submissions_);
  cancelled.swap(cancelled_);
}

void Inbox::Leave(std::int64_t prompt_tokens) {
  const std::lock_guard lock(mutex_);
  --waiting_requests_;
  waiting_tokens_ -= prompt_tokens;
}

void Inbox::Wait(Clock::duration at_most) {
  std::unique_lock lock(mutex_);
  came_.wait_for(lock, at_most, [this] { return !submissions_.empty() || !cancelled_.empty() || closed_; });
}

void Inbox::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  came_.notify_all();
}

}  // namespace baleen::engine

#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "completion/delta.h"

namespace baleen::server {

/// The way of an answer's Deltas from the engine's thread to the I/O thread.
class DeltaQueue {
 public:
  /// notify: may be called by any thread; it is called when there is something after there was nothing.
  explicit DeltaQueue(std::function<void()> notify) : notify_(std::move(notify)) {}

  void Push(completion::Delta delta) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = deltas_.empty();
      deltas_.push_back(std::move(delta));
    }
    if (first) notify_();
  }

  std::vector<completion::Delta> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(deltas_, {});
  }

 private:
  std::function<void()> notify_;
  std::mutex mutex_;
  std::vector<completion::Delta> deltas_;
};

}  // namespace baleen::server

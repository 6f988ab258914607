#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace baleen::server {

/// The thread that steps an engine, and what can be said of it from outside.
class EngineThread {
 public:
  using Clock = std::chrono::steady_clock;

  /// What the thread calls, it alone but for `wake`. step: false = there was nothing to do. wait: until there may be something, or so long.
  /// wake ends a wait.
  struct Calls {
    std::function<bool()> step;
    std::function<void(Clock::duration)> wait;
    std::function<void()> wake;
  };

  explicit EngineThread(Calls calls);
  ~EngineThread();  // ends after the step that runs
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// How long it had nothing to do, altogether.
  Clock::duration Idle() const noexcept { return Clock::duration(idle_.load(std::memory_order_relaxed)); }
  /// How long the current step, or the wait between two, has been running.
  Clock::duration SinceLastSign() const noexcept;
  /// Why it is not well: a step takes longer than `most`, or the thread has ended; empty = it is well.
  std::string Trouble(Clock::duration most) const;

 private:
  void Run() noexcept;
  void Sign() noexcept { last_sign_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed); }

  Calls calls_;
  std::atomic<bool> stop_ = false, ended_ = false;
  std::atomic<Clock::rep> last_sign_ = 0, idle_ = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace baleen::server

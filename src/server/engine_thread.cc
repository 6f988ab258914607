#include "server/engine_thread.h"

#include <exception>
#include <utility>

#include "diagnostics/log.h"

namespace baleen::server {
namespace {

// A wait is cut so short that a sign of life is never much older.
constexpr std::chrono::milliseconds kMostWait{200};

}  // namespace

EngineThread::EngineThread(Calls calls) : calls_(std::move(calls)) {
  Sign();
  thread_ = std::thread([this] { Run(); });
}

EngineThread::~EngineThread() {
  stop_ = true;
  calls_.wake();
  thread_.join();
}

void EngineThread::Run() noexcept {
  try {
    while (!stop_) {
      Sign();
      const bool worked = calls_.step();
      Sign();
      if (worked || stop_) continue;
      const Clock::time_point began = Clock::now();
      calls_.wait(kMostWait);
      idle_.fetch_add((Clock::now() - began).count(), std::memory_order_relaxed);
    }
  } catch (const std::exception& thrown) {
    diagnostics::Warn(std::string("the engine's thread ended: ") + thrown.what());
  }
  ended_ = true;
}

EngineThread::Clock::duration EngineThread::SinceLastSign() const noexcept {
  return Clock::now().time_since_epoch() - Clock::duration(last_sign_.load(std::memory_order_relaxed));
}

std::string EngineThread::Trouble(Clock::duration most) const {
  if (ended_) return "the engine has ended";
  const Clock::duration since = SinceLastSign();
  if (since <= most) return {};
  return "the engine has given no sign for " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(since).count()) + " s";
}

}  // namespace baleen::server

#include "server/engine_thread.h"

#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include <gtest/gtest.h>

namespace baleen::server {
namespace {

using namespace std::chrono_literals;

// A step that stands still while `held`.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false, inside = false;

  void Pass() {
    std::unique_lock lock(mutex);
    inside = held;
    changed.notify_all();
    changed.wait(lock, [this] { return !held; });
    inside = false;
  }
  void Hold(bool on) {
    const std::lock_guard lock(mutex);
    held = on;
    changed.notify_all();
  }
  void WaitUntilInside() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return inside; });
  }
};

TEST(EngineThread, SaysThatAStepStandsStillAndThatItGoesOn) {
  Gate gate;
  EngineThread thread({.step = [&] { return gate.Pass(), true; }, .wait = [](auto) {}, .wake = [] {}});
  EXPECT_EQ(thread.Trouble(10s), "");
  gate.Hold(true);
  gate.WaitUntilInside();
  std::this_thread::sleep_for(60ms);
  EXPECT_NE(thread.Trouble(50ms), "");
  EXPECT_EQ(thread.Trouble(10s), "");
  gate.Hold(false);
  for (int i = 0; i < 1000 && !thread.Trouble(50ms).empty(); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(thread.Trouble(50ms), "");
}

TEST(EngineThread, AnIdleOneIsWell) {
  std::mutex mutex;
  std::condition_variable woken;
  bool wake = false;
  EngineThread thread({.step = [] { return false; },
                       .wait = [&](EngineThread::Clock::duration at_most) {
                         std::unique_lock lock(mutex);
                         woken.wait_for(lock, at_most, [&] { return wake; });
                       },
                       .wake = [&] {
                         const std::lock_guard lock(mutex);
                         wake = true;
                         woken.notify_all();
                       }});
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(thread.Trouble(2s), "");
}

TEST(EngineThread, SaysThatItEnded) {
  EngineThread thread({.step = []() -> bool { throw std::runtime_error("broken"); }, .wait = [](auto) {}, .wake = [] {}});
  for (int i = 0; i < 1000 && thread.Trouble(10s).empty(); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(thread.Trouble(10s), "the engine has ended");
}

}  // namespace
}  // namespace baleen::server

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace baleen::server {

/// Lets a coroutine of the I/O thread sleep until another part, on any thread, has something for it. One waits at a time.
class Wake {
 public:
  explicit Wake(const boost::asio::any_io_executor& executor);
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  /// On the I/O thread: true once Notify was called since the last true answer, false at the deadline.
  boost::asio::awaitable<bool> WaitUntil(std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<bool> WaitFor(std::chrono::milliseconds time);
  /// On the I/O thread. Costs little when nobody waits.
  void Notify();
  /// A function that calls Notify from any thread, also after this object is gone.
  std::function<void()> Notifier() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace baleen::server

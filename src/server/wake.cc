#include "server/wake.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <tuple>

namespace baleen::server {
namespace asio = boost::asio;

struct Wake::State {
  explicit State(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool notified = false;
  bool waiting = false;
};

namespace {
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
}  // namespace

Wake::Wake(const asio::any_io_executor& executor) : state_(std::make_shared<State>(executor)) {}
Wake::~Wake() { state_->timer.cancel(); }

asio::awaitable<bool> Wake::WaitUntil(std::chrono::steady_clock::time_point deadline) {
  const std::shared_ptr<State> state = state_;
  while (!state->notified && std::chrono::steady_clock::now() < deadline) {
    state->timer.expires_at(deadline);
    state->waiting = true;
    co_await state->timer.async_wait(kTuple);
    state->waiting = false;
  }
  const bool notified = state->notified;
  state->notified = false;
  co_return notified;
}

asio::awaitable<bool> Wake::WaitFor(std::chrono::milliseconds time) {
  const bool notified = co_await WaitUntil(std::chrono::steady_clock::now() + time);
  co_return notified;
}

void Wake::Notify() {
  state_->notified = true;
  if (state_->waiting) state_->timer.cancel();
}

std::function<void()> Wake::Notifier() const {
  return [weak = std::weak_ptr<State>(state_), executor = state_->timer.get_executor()] {
    asio::post(executor, [weak] {
      const std::shared_ptr<State> state = weak.lock();
      if (!state) return;
      state->notified = true;
      if (state->waiting) state->timer.cancel();
    });
  };
}

}  // namespace baleen::server

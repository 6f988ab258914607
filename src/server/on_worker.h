#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <optional>
#include <type_traits>
#include <utility>

#include "server/wake.h"

namespace baleen::server {

/// Does `work`, which must not throw, on a thread of the pool, and comes back to the I/O thread with what it gave. The pool must be joined before
/// the I/O thread's coroutines are destroyed.
template <typename Work>
boost::asio::awaitable<std::invoke_result_t<Work&>> OnWorker(boost::asio::thread_pool& pool, Work work) {
  Wake wake(co_await boost::asio::this_coro::executor);
  std::optional<std::invoke_result_t<Work&>> result;
  boost::asio::post(pool, [&work, &result, done = wake.Notifier()] {
    result.emplace(work());
    done();
  });
  while (!co_await wake.WaitFor(std::chrono::hours(1))) {
  }
  co_return std::move(*result);
}

}  // namespace baleen::server

#include "server/inbox.h"

#include <algorithm>
#include <utility>

namespace baleen::server {
namespace asio = boost::asio;

asio::awaitable<void> Inbox::Run() {
  std::vector<char> chunk(kReadBytes);
  for (;;) {
    while (full() && !stopped_) co_await room_.WaitFor(std::chrono::hours(1));
    const std::size_t count = co_await transport_->Read(chunk.data(), std::clamp<std::size_t>(cap_ - bytes_.size(), 1, chunk.size()));
    if (count == 0) break;
    bytes_.append(chunk.data(), count);
    received_ += count;
    arrived_.Notify();
  }
  ended_ = true;
  arrived_.Notify();
  if (const std::function<void()> told = std::exchange(told_, nullptr)) told();
}

void Inbox::Stop() {
  stopped_ = true;
  room_.Notify();
}

void Inbox::Drop(std::size_t count) {
  bytes_.erase(0, count);
  if (bytes_.empty() && bytes_.capacity() > kReadBytes) bytes_.shrink_to_fit();
  room_.Notify();
}

asio::awaitable<bool> Inbox::More(std::chrono::steady_clock::time_point deadline) {
  if (ended_) co_return true;
  const bool more = co_await arrived_.WaitUntil(deadline);
  co_return more;
}

void Inbox::OnEnd(std::function<void()> told) {
  told_ = std::move(told);
  if (!ended_ || !told_) return;
  const std::function<void()> now = std::exchange(told_, nullptr);
  now();
}

}  // namespace baleen::server

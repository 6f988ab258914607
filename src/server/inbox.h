#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/transport.h"
#include "server/wake.h"

namespace baleen::server {

/// What a peer has sent and nobody has read yet. It is read ahead, up to a cap, also while an answer is computed: so the end of the
/// connection is noticed at once.
class Inbox {
 public:
  Inbox(const boost::asio::any_io_executor& executor, Transport& transport, std::size_t cap_bytes)
      : transport_(&transport), cap_(cap_bytes), arrived_(executor), room_(executor) {}

  /// Reads until the end; runs beside everything else of the connection.
  boost::asio::awaitable<void> Run();
  /// Lets Run end once the transport is closed, also where the cap is reached.
  void Stop();

  std::string_view bytes() const { return bytes_; }
  /// Forgets the first `count` bytes.
  void Drop(std::size_t count);
  /// Waits for more bytes or the end. False at the deadline. May be true once too often.
  boost::asio::awaitable<bool> More(std::chrono::steady_clock::time_point deadline);

  bool full() const { return bytes_.size() >= cap_; }
  bool ended() const { return ended_; }
  std::uint64_t received() const { return received_; }
  /// Called once when the connection ends; now, if it has. Empty: nobody is told.
  void OnEnd(std::function<void()> told);

 private:
  static constexpr std::size_t kReadBytes = 8 << 10;

  Transport* transport_;
  std::size_t cap_;
  Wake arrived_;
  Wake room_;
  std::string bytes_;
  bool stopped_ = false;
  bool ended_ = false;
  std::uint64_t received_ = 0;
  std::function<void()> told_;
};

}  // namespace baleen::server

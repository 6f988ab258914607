#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace baleen::server {

/// What one client may cost. The defaults are those of `baleen serve`.
struct ServerLimits {
  std::size_t header_bytes = 16 << 10;           // request line and fields; more: 431, or 414 for the target alone
  std::size_t target_bytes = 8192;               // more: 414
  std::size_t body_bytes = 48 << 20;             // more: 413
  std::size_t all_bodies_bytes = 512 << 20;      // of bodies being received; more: 503
  std::int64_t connections = 4096;               // more: 503 and closed
  std::size_t send_buffer_bytes = 256 << 10;     // in the kernel, per connection
  std::chrono::milliseconds header_time{10'000};    // from the first byte of a request to the end of its fields; also the TLS handshake
  std::chrono::milliseconds body_time{120'000};     // for the whole body
  std::chrono::milliseconds body_window{10'000};    // in each of these …
  std::size_t body_window_bytes = 10 << 10;         // … so many bytes must come
  std::chrono::milliseconds write_time{30'000};     // for one Write, and a second more for every 64 KiB
  std::chrono::milliseconds idle_time{60'000};      // between requests
  std::chrono::milliseconds linger_time{5'000};     // what a client still sends is read and dropped before the connection is closed
};

}  // namespace baleen::server

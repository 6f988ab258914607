#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "server/http.h"

namespace baleen::server {

/// One request and its answer. Everything here happens on the I/O thread.
///
/// An endpoint calls exactly one of: Respond, or BeginStream, Write … and EndStream. What it leaves out is answered with 500,
/// or, in a stream that has begun, by closing the connection, so that the client sees that something is missing.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual HttpRequest& request() = 0;

  virtual boost::asio::awaitable<void> Respond(HttpResponse response) = 0;

  /// Sends the head of an answer whose length is not known: chunked, or until close for HTTP/1.0. False: the peer is gone.
  virtual boost::asio::awaitable<bool> BeginStream(int status, std::string content_type, Headers headers) = 0;
  /// Waits until the bytes have left for the kernel, which keeps at most ServerLimits::send_buffer_bytes of them.
  /// False: the peer is gone or too slow, nothing more will arrive. Nothing is sent for empty bytes.
  virtual boost::asio::awaitable<bool> Write(std::string bytes) = 0;
  virtual boost::asio::awaitable<void> EndStream() = 0;

  /// True once the peer has closed, was reset, or was too slow to take what was written.
  virtual bool gone() const = 0;
  /// `told` is called once, at once when the peer goes (now, if it is gone already), also before the first byte of the answer.
  /// It is forgotten when the endpoint returns.
  virtual void OnGone(std::function<void()> told) = 0;
};

/// Answers one kind of request. What it captures must outlive the server.
using Endpoint = std::function<boost::asio::awaitable<void>(Exchange&)>;

}  // namespace baleen::server

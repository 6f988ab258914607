#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "diagnostics/result.h"
#include "server/binding.h"
#include "server/http.h"
#include "server/limits.h"
#include "server/router.h"

namespace baleen::server {

/// What the core asks of its owner, on the I/O thread. Both may be empty.
struct ServerHooks {
  /// Called with the head of every request that no open route matches, before its body is read: nothing to let it pass, or the answer
  /// that refuses it. May set request.identity. Empty: all may pass.
  std::function<std::optional<HttpResponse>(HttpRequest& request)> authorize;
  /// The body of an answer that the core gives by itself, in the dialect of the path ("" where no path was read).
  /// The status is the error's whatever the response says. Empty: {"error": {"message": …}}.
  std::function<HttpResponse(const HttpError& error, std::string_view path)> error_body;
};

/// Since the start.
struct ServerCounts {
  std::int64_t connections = 0;  // open now
  std::int64_t exchanges = 0;    // endpoints running now
  std::int64_t accepted = 0;     // connections, also those refused
  std::int64_t refused = 0;      // over the cap
  std::int64_t requests = 0;     // that reached an endpoint
};

/// HTTP/1.1 (and 1.0) on one thread: sockets, limits and routing. Knows no dialect and no engine. All calls on the thread of `io`.
class HttpServer {
 public:
  /// Listens from now on; serves while `io` runs. Raises the process's limit of open files to what is allowed.
  /// Errors: the address is unknown or taken, a TLS file cannot be used.
  static Result<std::unique_ptr<HttpServer>> Start(boost::asio::io_context& io, Binding binding, ServerLimits limits, Router router, ServerHooks hooks);
  /// Start's errors, without a server: for a program that has long work to do before it can start one.
  static Status TryAddress(const Binding& binding);
  /// Closes everything. `io` must not run any more, or have nothing left to do for this server (after Drain).
  ~HttpServer();

  std::uint16_t port() const;
  /// "http://127.0.0.1:8080", for people.
  std::string address() const;
  const Router& router() const;
  ServerCounts counts() const;

  /// Takes no new connections and no new requests, closes idle connections, and waits until the running exchanges have ended or `limit` has passed;
  /// then closes all. True if none was cut off. Afterwards `io` has no work of this server left.
  boost::asio::awaitable<bool> Drain(std::chrono::milliseconds limit);
  /// Closes everything at once; a waiting Drain returns.
  void Stop();

 private:
  class Core;
  explicit HttpServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace baleen::server

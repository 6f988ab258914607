#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http_server.h"
#include "server/inbox.h"
#include "server/request_reader.h"
#include "server/transport.h"

namespace baleen::server {

/// What all connections of a server share.
struct Shared {
  Binding binding;
  ServerLimits limits;
  Router router;
  ServerHooks hooks;
  ServerCounts counts;
  BodyMemory bodies;
  bool draining = false;

  /// The core's own answer to a failure.
  HttpResponse ErrorResponse(const HttpError& error, std::string_view path) const;
};

/// One connection: its requests, one after another, until one side has enough.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(const boost::asio::any_io_executor& executor, std::shared_ptr<Shared> shared, std::unique_ptr<Transport> transport, std::string peer);

  /// Serves until the end and closes.
  boost::asio::awaitable<void> Run();
  /// Closes at once: what runs is told that the peer is gone.
  void Close();
  /// No request has begun, and none runs.
  bool idle() const { return idle_; }

  // For the exchange of this connection.
  /// Within the write time. False: the connection is closed.
  boost::asio::awaitable<bool> Write(std::string_view bytes);
  bool closed() const { return closed_; }
  Inbox& inbox() { return inbox_; }

 private:
  boost::asio::awaitable<void> ServeAll();
  boost::asio::awaitable<bool> ServeOne();
  boost::asio::awaitable<bool> Serve(RequestReader& reader);
  boost::asio::awaitable<bool> RunEndpoint(RequestReader& reader, const Endpoint& endpoint);
  boost::asio::awaitable<bool> Refuse(RequestReader& reader, HttpResponse response, bool may_go_on);
  std::optional<HttpResponse> AnswerOfHead(RequestReader& reader, const Router::Match& match);
  boost::asio::awaitable<void> Linger();
  void CloseAfter(std::chrono::milliseconds time);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Shared> shared_;
  std::unique_ptr<Transport> transport_;
  Inbox inbox_;
  std::string peer_;
  boost::asio::steady_timer guard_;
  std::uint64_t guarded_ = 0;  // the number of the write or handshake that guard_ watches
  bool idle_ = true;
  bool closed_ = false;
};

}  // namespace baleen::server

#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "server/http.h"
#include "server/inbox.h"
#include "server/limits.h"

namespace baleen::server {

/// The memory of all bodies that are being received.
struct BodyMemory {
  std::size_t used_bytes = 0;
};

/// How reading a part of a request ended.
struct ReadOutcome {
  enum class Kind { kRead, kClosed, kRefused };
  Kind kind = Kind::kRead;
  HttpError error;  // of kRefused
};

/// Reads one request: its head, checked against smuggling, and then, if wanted, its body.
class RequestReader {
 public:
  RequestReader(Inbox& inbox, const ServerLimits& limits, BodyMemory& memory);
  ~RequestReader();

  /// Waits for a request at most the idle time, for its head at most the header time. `begun` is set at its first byte.
  boost::asio::awaitable<ReadOutcome> ReadHead(bool& begun);
  /// Into request().body.
  boost::asio::awaitable<ReadOutcome> ReadBody();

  // After ReadHead:
  HttpRequest& request() { return request_; }
  std::string_view host() const { return host_; }  // of the Host field or the absolute target; empty for HTTP/1.0 without
  bool is_http_1_0() const { return is_http_1_0_; }
  bool keep_alive() const { return keep_alive_; }
  bool wants_continue() const { return wants_continue_; }
  bool has_unread_body() const;

 private:
  struct Parser;

  std::optional<HttpError> TakeHead(std::string_view head);
  std::optional<HttpError> CheckFields();
  std::optional<HttpError> CheckBodyFields();
  std::optional<HttpError> FeedBody(bool& moved);
  std::optional<std::size_t> Scan(std::string_view bytes, std::optional<HttpError>& error);

  Inbox* inbox_;
  const ServerLimits* limits_;
  BodyMemory* memory_;
  std::unique_ptr<Parser> parser_;
  std::size_t scanned_ = 0;
  std::size_t held_ = 0;  // of BodyMemory
  HttpRequest request_;
  std::string host_;
  bool is_http_1_0_ = false;
  bool keep_alive_ = false;
  bool wants_continue_ = false;
};

}  // namespace baleen::server

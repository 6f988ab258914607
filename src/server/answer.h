#pragma once

#include <string>

#include "server/connection.h"
#include "server/exchange.h"

namespace baleen::server {

/// The exchange of a connection: writes one answer to it.
class Answer : public Exchange {
 public:
  Answer(Connection& connection, RequestReader& reader, const Shared& shared);
  ~Answer() override;

  HttpRequest& request() override { return reader_->request(); }
  boost::asio::awaitable<void> Respond(HttpResponse response) override;
  boost::asio::awaitable<bool> BeginStream(int status, std::string content_type, Headers headers) override;
  boost::asio::awaitable<bool> Write(std::string bytes) override;
  boost::asio::awaitable<void> EndStream() override;
  bool gone() const override;
  void OnGone(std::function<void()> told) override;

  bool begun() const { return state_ != State::kNothing; }
  /// The answer is complete and another request may follow it.
  bool may_go_on() const { return state_ == State::kDone && keep_alive_ && !connection_->closed(); }
  /// This answer is the connection's last.
  void ForbidKeepAlive() { keep_alive_ = false; }

 private:
  enum class State { kNothing, kStream, kDone };

  Connection* connection_;
  RequestReader* reader_;
  const Shared* shared_;
  bool head_only_;
  bool keep_alive_;
  bool chunked_ = false;
  State state_ = State::kNothing;
};

}  // namespace baleen::server

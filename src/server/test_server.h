#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "server/http_server.h"

namespace baleen::server {

/// A server on a port of its own, with its I/O thread.
class TestServer {
 public:
  explicit TestServer(Router router, ServerLimits limits = {}, ServerHooks hooks = {}, Binding binding = {}) : work_(boost::asio::make_work_guard(io_)) {
    binding.port = 0;
    Result<std::unique_ptr<HttpServer>> server = HttpServer::Start(io_, std::move(binding), limits, std::move(router), std::move(hooks));
    EXPECT_TRUE(server.has_value()) << server.error().message;
    server_ = *std::move(server);
    thread_ = std::thread([this] { io_.run(); });
  }
  template <typename Function>
  std::invoke_result_t<Function> OnThread(Function function) {
    std::promise<decltype(function())> result;
    boost::asio::post(io_, [&] { result.set_value(function()); });
    return result.get_future().get();
  }
  ~TestServer() {
    OnThread([this] {
      server_->Stop();
      return 0;
    });
    work_.reset();
    thread_.join();  // ends only if nothing of the server is left
  }


  int port() const { return server_->port(); }
  HttpServer& server() { return *server_; }
  ServerCounts counts() { return OnThread([this] { return server_->counts(); }); }
  std::future<bool> Drain(std::chrono::milliseconds limit) {
    auto done = std::make_shared<std::promise<bool>>();
    std::future<bool> future = done->get_future();
    boost::asio::co_spawn(io_, [this, limit] { return server_->Drain(limit); }, [done](std::exception_ptr, bool whole) { done->set_value(whole); });
    return future;
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

/// A client as raw as it gets.
class RawClient {
 public:
  explicit RawClient(int port, int receive_buffer_bytes = 0) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes > 0) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False once the server has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void EndSending() { ::shutdown(socket_, SHUT_WR); }
  void Close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  /// Closes with a reset instead of an end.
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }

  /// What arrives until `end` is in it (empty: until the server closes), or until the time is over.
  std::string Receive(std::string_view end = "", int milliseconds = 5000) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    std::string out;
    while (end.empty() || out.find(end) == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      pollfd one{.fd = socket_, .events = POLLIN, .revents = 0};
      if (left <= 0 || ::poll(&one, 1, static_cast<int>(left)) <= 0) return out + "[still open]";
      char buffer[65536];
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
      if (count == 0) return out;
      if (count < 0) return out + "[reset]";
      out.append(buffer, static_cast<std::size_t>(count));
    }
    return out;
  }

 private:
  int socket_;
};

/// What the server answers to these bytes before it closes.
inline std::string Ask(int port, std::string_view bytes) {
  RawClient client(port);
  client.Send(bytes);
  return client.Receive();
}

inline int StatusOf(std::string_view answer) { return answer.starts_with("HTTP/1.1 ") && answer.size() > 12 ? std::stoi(std::string(answer.substr(9, 3))) : 0; }

/// How many responses stand in these bytes.
inline int CountAnswers(std::string_view bytes) {
  int count = 0;
  for (std::size_t at = bytes.find("HTTP/1.1 "); at != std::string_view::npos; at = bytes.find("HTTP/1.1 ", at + 1)) {
    const std::string_view rest = bytes.substr(at);
    if (rest.size() > 12 && rest[9] >= '1' && rest[9] <= '5' && rest[12] == ' ') ++count;
  }
  return count;
}

}  // namespace baleen::server

#include "server/answer.h"

#include <cstdio>
#include <utility>

#include "diagnostics/check.h"
#include "server/response_head.h"

namespace baleen::server {
namespace asio = boost::asio;

Answer::Answer(Connection& connection, RequestReader& reader, const Shared& shared)
    : connection_(&connection), reader_(&reader), shared_(&shared), head_only_(reader.request().method == "HEAD"), keep_alive_(reader.keep_alive()) {}

Answer::~Answer() { connection_->inbox().OnEnd(nullptr); }

asio::awaitable<void> Answer::Respond(HttpResponse response) {
  CHECK(state_ == State::kNothing);
  keep_alive_ = keep_alive_ && !shared_->draining;
  state_ = State::kDone;
  const ResponseFrame frame{.length = response.body.size(), .keep_alive = keep_alive_, .is_http_1_0 = reader_->is_http_1_0()};
  std::string bytes = WriteResponseHead(response.status, response.content_type, response.headers, frame);
  if (!head_only_ && response.status != 204 && response.status != 304) bytes += response.body;
  response.body = std::string();
  co_await connection_->Write(bytes);
}

asio::awaitable<bool> Answer::BeginStream(int status, std::string content_type, Headers headers) {
  CHECK(state_ == State::kNothing);
  chunked_ = !reader_->is_http_1_0();
  keep_alive_ = keep_alive_ && chunked_ && !shared_->draining;
  state_ = State::kStream;
  if (gone()) co_return false;
  const ResponseFrame frame{.length = std::nullopt, .chunked = chunked_, .keep_alive = keep_alive_, .is_http_1_0 = reader_->is_http_1_0()};
  const std::string bytes = WriteResponseHead(status, content_type, headers, frame);
  const bool sent = co_await connection_->Write(bytes);
  co_return sent;
}

asio::awaitable<bool> Answer::Write(std::string bytes) {
  CHECK(state_ == State::kStream);
  if (gone()) co_return false;
  if (bytes.empty() || head_only_) co_return true;
  if (chunked_) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    bytes.insert(0, size);
    bytes += "\r\n";
  }
  const bool sent = co_await connection_->Write(bytes);
  co_return sent;
}

asio::awaitable<void> Answer::EndStream() {
  CHECK(state_ == State::kStream);
  state_ = State::kDone;
  if (connection_->closed() || !chunked_ || head_only_) co_return;
  const std::string_view last = "0\r\n\r\n";
  co_await connection_->Write(last);
}

bool Answer::gone() const { return connection_->closed() || connection_->inbox().ended(); }

void Answer::OnGone(std::function<void()> told) { connection_->inbox().OnEnd(std::move(told)); }

}  // namespace baleen::server

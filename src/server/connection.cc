#include "server/connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "diagnostics/log.h"
#include "server/answer.h"
#include "server/binding.h"
#include "server/response_head.h"
#include "text/json_python.h"

namespace baleen::server {
namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

HttpResponse Shared::ErrorResponse(const HttpError& error, std::string_view path) const {
  HttpResponse response;
  if (hooks.error_body) {
    response = hooks.error_body(error, path);
  } else {
    response.body = "{\"error\": {\"message\": " + text::QuoteJson(error.message) + "}}";
  }
  response.status = error.status;
  if (error.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Connection::Connection(const asio::any_io_executor& executor, std::shared_ptr<Shared> shared, std::unique_ptr<Transport> transport, std::string peer)
    : executor_(executor),
      shared_(std::move(shared)),
      transport_(std::move(transport)),
      inbox_(executor, *transport_, shared_->limits.header_bytes + (8 << 10)),
      peer_(std::move(peer)),
      guard_(executor) {}

void Connection::Close() {
  if (std::exchange(closed_, true)) return;
  guard_.cancel();
  transport_->Close();
  inbox_.Stop();
}

// Closes the connection after that time unless guarded_ has changed by then.
void Connection::CloseAfter(milliseconds time) {
  const std::uint64_t number = ++guarded_;
  guard_.expires_after(time);
  guard_.async_wait([weak = weak_from_this(), number](const boost::system::error_code& fault) {
    const std::shared_ptr<Connection> self = weak.lock();
    if (!fault && self && self->guarded_ == number) self->Close();
  });
}

asio::awaitable<bool> Connection::Write(std::string_view bytes) {
  if (closed_) co_return false;
  CloseAfter(shared_->limits.write_time + milliseconds(1000 * (bytes.size() >> 16)));
  const bool sent = co_await transport_->Write(bytes);
  ++guarded_;
  guard_.cancel();
  if (!sent) Close();
  co_return sent && !closed_;
}

asio::awaitable<void> Connection::Run() {
  const std::shared_ptr<Connection> self = shared_from_this();
  CloseAfter(shared_->limits.header_time);
  const bool open = co_await transport_->Open();
  ++guarded_;
  guard_.cancel();
  if (open && !closed_) {
    asio::co_spawn(executor_, [self]() -> asio::awaitable<void> { return self->inbox_.Run(); }, [self](std::exception_ptr) {});
    co_await ServeAll();
  }
  Close();
}

asio::awaitable<void> Connection::ServeAll() {
  bool go_on = true;
  while (go_on && !closed_) go_on = co_await ServeOne();
  idle_ = true;
  if (!closed_ && !inbox_.ended()) co_await Linger();
}

// True if another request may follow.
asio::awaitable<bool> Connection::ServeOne() {
  idle_ = true;
  if (shared_->draining && inbox_.bytes().empty()) co_return false;
  RequestReader reader(inbox_, shared_->limits, shared_->bodies);
  bool begun = false;
  const ReadOutcome head = co_await reader.ReadHead(begun);
  idle_ = false;
  if (head.kind == ReadOutcome::Kind::kClosed) co_return false;
  if (head.kind == ReadOutcome::Kind::kRefused) {
    HttpResponse response = shared_->ErrorResponse(head.error, reader.request().path);
    co_return co_await Refuse(reader, std::move(response), false);
  }
  reader.request().peer = peer_;
  co_return co_await Serve(reader);
}

// Answers without an endpoint. Behind a head that is broken or a body that nobody reads there is no next request.
asio::awaitable<bool> Connection::Refuse(RequestReader& reader, HttpResponse response, bool may_go_on) {
  Answer answer(*this, reader, *shared_);
  if (!may_go_on || reader.has_unread_body()) answer.ForbidKeepAlive();
  co_await answer.Respond(std::move(response));
  co_return answer.may_go_on();
}

// What the head of a request alone already decides; nothing if an endpoint is to answer.
std::optional<HttpResponse> Connection::AnswerOfHead(RequestReader& reader, const Router::Match& match) {
  HttpRequest& request = reader.request();
  if (shared_->draining) return shared_->ErrorResponse({503, "the server is being stopped; try again later, or another server"}, request.path);
  if (!reader.host().empty() && !IsHostAllowed(shared_->binding.host, reader.host())) {
    const std::string found = diagnostics::Quoted(reader.host());
    return shared_->ErrorResponse({403, "the Host: expected localhost, 127.0.0.1 or [::1] on a loopback address, found '" + found + "'; use the address that was printed"},
                                  request.path);
  }
  const bool open = match.route != nullptr ? match.route->access == Access::kOpen : match.open;
  if (!open && shared_->hooks.authorize) {
    if (std::optional<HttpResponse> refusal = shared_->hooks.authorize(request)) return refusal;
  }
  if (match.route != nullptr) return std::nullopt;
  const bool whole_server = request.path == "*";
  if (match.allow.empty() && !whole_server) {
    return shared_->ErrorResponse({404, "the path: expected one that is served, found '" + diagnostics::Quoted(request.path) + "'; see /openapi.json"}, request.path);
  }
  const std::string allow = whole_server ? "GET, HEAD, POST, DELETE, OPTIONS" : match.allow;
  HttpResponse response;
  if (request.method == "OPTIONS") {
    response = HttpResponse(204, "", "");
  } else {
    const std::string found = diagnostics::Quoted(request.method);
    response = shared_->ErrorResponse({405, "the method: expected one of " + allow + " for this path, found " + found + "; correct the request"}, request.path);
  }
  response.headers.emplace_back("Allow", allow);
  return response;
}

// True if another request may follow.
asio::awaitable<bool> Connection::Serve(RequestReader& reader) {
  const Router::Match match = shared_->router.Find(reader.request().method, reader.request().path);
  std::optional<HttpResponse> response = AnswerOfHead(reader, match);
  if (response) co_return co_await Refuse(reader, *std::move(response), true);
  if (reader.wants_continue() && reader.has_unread_body() && inbox_.bytes().empty()) {
    const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await Write(go_on);
  }
  const ReadOutcome body = co_await reader.ReadBody();
  if (body.kind == ReadOutcome::Kind::kClosed) co_return false;
  if (body.kind == ReadOutcome::Kind::kRefused) {
    HttpResponse refusal = shared_->ErrorResponse(body.error, reader.request().path);
    co_return co_await Refuse(reader, std::move(refusal), false);
  }
  co_return co_await RunEndpoint(reader, match.route->endpoint);
}

asio::awaitable<bool> Connection::RunEndpoint(RequestReader& reader, const Endpoint& endpoint) {
  Answer answer(*this, reader, *shared_);
  ++shared_->counts.requests;
  ++shared_->counts.exchanges;
  try {
    co_await endpoint(answer);
  } catch (const std::exception& fault) {
    diagnostics::Warn("an endpoint failed: " + diagnostics::Quoted(fault.what()));
  }
  --shared_->counts.exchanges;
  if (!answer.begun()) {
    HttpResponse failure = shared_->ErrorResponse({500, "the server failed to answer; this is a fault of the server"}, reader.request().path);
    co_await answer.Respond(std::move(failure));
  }
  co_return answer.may_go_on();
}

// What the client is still sending is dropped for a while: closing with unread bytes would reset the connection, and the answer with it.
asio::awaitable<void> Connection::Linger() {
  co_await transport_->Finish();
  const auto deadline = Clock::now() + shared_->limits.linger_time;
  const std::uint64_t most = inbox_.received() + 4 * static_cast<std::uint64_t>(shared_->limits.body_bytes);
  while (!closed_ && !inbox_.ended() && !shared_->draining && Clock::now() < deadline && inbox_.received() < most) {
    inbox_.Drop(inbox_.bytes().size());
    co_await inbox_.More(deadline);
  }
}

}  // namespace baleen::server

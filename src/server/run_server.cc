#include "server/run_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <utility>

#include "diagnostics/log.h"
#include "server/access.h"
#include "server/binding.h"
#include "server/completion_endpoints.h"
#include "server/dialect.h"
#include "server/http_server.h"
#include "server/plain_endpoints.h"

namespace baleen::server {
namespace {

ServerHooks HooksOf(Service& service) {
  return {.authorize = [&service](HttpRequest& request) { return Authorize(service, request); },
          .error_body = [](const HttpError& error, std::string_view path) {
            const bool messages = IsMessagesPath(path);
            return ErrorResponse(completion::Refuse(error.status, "", error.message, ErrorCode(error.status)), messages, messages ? "req_" + DrawName() : std::string());
          }};
}

/// The first signal drains, the second stops.
class SignalWatch {
 public:
  SignalWatch(boost::asio::io_context& io, HttpServer& server, std::chrono::milliseconds drain_time)
      : io_(io), server_(server), drain_time_(drain_time), signals_(io, SIGTERM, SIGINT) {
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (!error) Drain();
    });
  }

 private:
  void Drain() {
    diagnostics::Note("stopping: what runs may finish within " + std::to_string(drain_time_.count() / 1000) + " s; another signal stops at once");
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (!error) server_.Stop();
    });
    boost::asio::co_spawn(io_, server_.Drain(drain_time_), [this](std::exception_ptr, bool whole) {
      if (!whole) diagnostics::Warn("stopped before every request had its whole answer");
      signals_.cancel();
      io_.stop();
    });
  }

  boost::asio::io_context& io_;
  HttpServer& server_;
  std::chrono::milliseconds drain_time_;
  boost::asio::signal_set signals_;
};

}  // namespace

Router MakeRouter(Service& service) {
  Router router;
  AddPlainRoutes(service, router);
  AddCompletionRoutes(service, router);
  return router;
}

Status RunServer(boost::asio::io_context& io, Service& service, const ServerSettings& settings, const std::function<void(const std::string& address)>& ready) {
  TRY(CheckBinding(settings.host, NeedsKey(service)));
  TRY_ASSIGN(const std::unique_ptr<HttpServer> server, HttpServer::Start(io, settings.ToBinding(), settings.limits, MakeRouter(service), HooksOf(service)));
  service.connections = [&server] { return server->counts().connections; };
  const SignalWatch watch(io, *server, settings.drain_time);
  ready(server->address());
  io.run();
  service.connections = nullptr;
  service.workers.join();
  service.large_worker.join();
  return {};
}

}  // namespace baleen::server

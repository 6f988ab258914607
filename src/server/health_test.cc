// Promise 16: what /health says is true of the engine's thread.

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "server/plain_endpoints.h"
#include "server/test_server.h"

namespace baleen::server {
namespace {

using namespace std::chrono_literals;

// A service whose engine does nothing but what `step` does, behind a server.
class Served {
 public:
  explicit Served(std::function<bool()> step)
      : thread_({.step = std::move(step), .wait = [](EngineThread::Clock::duration) { std::this_thread::sleep_for(1ms); }, .wake = [] {}}), service_(io_.get_executor()) {
    service_.engine_thread = &thread_;
    service_.limits.stall = 100ms;
    Router router;
    AddPlainRoutes(service_, router);
    server_ = std::make_unique<TestServer>(std::move(router));
  }

  std::string Ask(const std::string& path) { return server::Ask(server_->port(), "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); }
  bool ComesTo(const std::string& path, int status) {
    for (int i = 0; i < 100; ++i) {
      if (StatusOf(Ask(path)) == status) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }

 private:
  boost::asio::io_context io_;
  EngineThread thread_;
  Service service_;
  std::unique_ptr<TestServer> server_;
};

TEST(Health, SaysThatTheEngineStandsStillAndThatItGoesOn) {
  std::atomic<bool> held = false;
  Served served([&held] {
    while (held) std::this_thread::sleep_for(1ms);
    return false;
  });
  EXPECT_TRUE(served.ComesTo("/health", 200));
  EXPECT_TRUE(served.ComesTo("/ready", 200));
  held = true;
  EXPECT_TRUE(served.ComesTo("/health", 503));
  EXPECT_TRUE(served.ComesTo("/ready", 503));
  EXPECT_NE(served.Ask("/health").find("the engine has given no sign"), std::string::npos);
  held = false;
  EXPECT_TRUE(served.ComesTo("/health", 200));
}

TEST(Health, SaysThatTheEngineHasEnded) {
  Served served([]() -> bool { throw std::runtime_error("broken"); });
  EXPECT_TRUE(served.ComesTo("/health", 503));
  EXPECT_NE(served.Ask("/health").find("the engine has ended"), std::string::npos);
}

}  // namespace
}  // namespace baleen::server

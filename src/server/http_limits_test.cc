// What one client may cost the others: sizes, times, connections, and how the server ends.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <vector>

#include "server/http_server.h"
#include "server/test_server.h"
#include "server/wake.h"

namespace baleen::server {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Resident memory of this process; the address sanitizer keeps what is freed, so there it says nothing.
std::size_t ResidentBytes() {
#ifdef __SANITIZE_ADDRESS__
  return 0;
#endif
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::atomic<int> streams_cut = 0;

Router TestRouter() {
  Router router;
  router.Add("GET", "/health", Access::kOpen, [](Exchange& exchange) -> asio::awaitable<void> {
    HttpResponse response(200, "fine", "text/plain");
    co_await exchange.Respond(std::move(response));
  });
  router.Add("POST", "/size", Access::kOpen, [](Exchange& exchange) -> asio::awaitable<void> {
    HttpResponse response(200, std::to_string(exchange.request().body.size()), "text/plain");
    co_await exchange.Respond(std::move(response));
  });
  router.Add("GET", "/endless", Access::kOpen, [](Exchange& exchange) -> asio::awaitable<void> {
    bool sent = co_await exchange.BeginStream(200, "text/event-stream", {});
    while (sent) {
      std::string bytes(64 << 10, 'x');
      sent = co_await exchange.Write(std::move(bytes));
    }
    ++streams_cut;
  });
  router.Add("GET", "/slow", Access::kOpen, [](Exchange& exchange) -> asio::awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    Wake wake(executor);
    exchange.OnGone([&wake] { wake.Notify(); });
    if (co_await wake.WaitFor(milliseconds(1500))) co_return;
    HttpResponse response(200, "late", "text/plain");
    co_await exchange.Respond(std::move(response));
  });
  return router;
}

ServerLimits Quick() {
  ServerLimits limits;
  limits.header_time = milliseconds(300);
  limits.body_time = milliseconds(2500);
  limits.body_window = milliseconds(300);
  limits.body_window_bytes = 100;
  limits.write_time = milliseconds(500);
  limits.idle_time = milliseconds(700);
  limits.linger_time = milliseconds(300);
  return limits;
}

const std::string kGet = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
std::string PostSize(std::size_t announced) { return "POST /size HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " + std::to_string(announced) + "\r\n\r\n"; }

TEST(HttpLimits, HeaderAndTarget) {
  TestServer server(TestRouter());
  const std::string start = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  EXPECT_EQ(StatusOf(Ask(server.port(), start + "A: " + std::string(8000, 'a') + "\r\n\r\n")), 200);
  const std::size_t rest = start.size() + 3 + 4;
  EXPECT_EQ(StatusOf(Ask(server.port(), start + "A: " + std::string(16384 - rest, 'a') + "\r\n\r\n")), 200);
  EXPECT_EQ(StatusOf(Ask(server.port(), start + "A: " + std::string(16385 - rest, 'a') + "\r\n\r\n")), 431);
  EXPECT_EQ(StatusOf(Ask(server.port(), start + "A: " + std::string(1 << 20, 'a') + "\r\n\r\n")), 431);
  const auto target = [](std::size_t size) { return "GET /health?" + std::string(size - 8, 'a') + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"; };
  EXPECT_EQ(StatusOf(Ask(server.port(), target(8192))), 200);
  EXPECT_EQ(StatusOf(Ask(server.port(), target(8193))), 414);
  EXPECT_EQ(StatusOf(Ask(server.port(), target(100'000))), 414);
}

TEST(HttpLimits, Body) {
  ServerLimits limits;
  limits.body_bytes = 1 << 20;
  TestServer server(TestRouter(), limits);
  const std::string body(limits.body_bytes, 'x');
  EXPECT_TRUE(Ask(server.port(), PostSize(body.size()) + body).ends_with("\r\n\r\n1048576"));
  EXPECT_EQ(StatusOf(Ask(server.port(), PostSize(body.size() + 1))), 413);              // by its announcement
  EXPECT_EQ(StatusOf(Ask(server.port(), PostSize(body.size() + 1) + body + "x")), 413);  // a client that sends on still reads the answer
  EXPECT_EQ(StatusOf(Ask(server.port(), PostSize(3 * body.size()) + body + body + body)), 413);
  const std::string chunked = "POST /size HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n80000\r\n" + body.substr(0, 0x80000) + "\r\n";
  EXPECT_TRUE(Ask(server.port(), chunked + "80000\r\n" + body.substr(0, 0x80000) + "\r\n0\r\n\r\n").ends_with("\r\n\r\n1048576"));
  EXPECT_EQ(StatusOf(Ask(server.port(), chunked + "80001\r\n" + body.substr(0, 0x80001) + "\r\n0\r\n\r\n")), 413);
}

TEST(HttpLimits, AnnouncedBodiesCostNothingAndAllTogetherAreBounded) {
  ServerLimits limits;
  limits.all_bodies_bytes = 4 << 20;
  TestServer server(TestRouter(), limits);
  const std::size_t before = ResidentBytes();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(std::make_unique<RawClient>(server.port()));
    idle.back()->Send(PostSize(48 << 20));
  }
  EXPECT_EQ(StatusOf(Ask(server.port(), kGet)), 200);
  EXPECT_LT(ResidentBytes() - before, std::size_t{16} << 20);
  const std::string part(3 << 20, 'x');
  std::string answers;
  for (int i = 0; i < 2; ++i) idle[static_cast<std::size_t>(i)]->Send(part);
  for (int i = 0; i < 2; ++i) answers += idle[static_cast<std::size_t>(i)]->Receive("\r\n\r\n", 3000);
  EXPECT_THAT(answers, HasSubstr("HTTP/1.1 503"));
  EXPECT_THAT(answers, HasSubstr("Retry-After: "));
  idle.clear();
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_TRUE(Ask(server.port(), PostSize(part.size()) + part).ends_with(std::to_string(part.size())));  // all given back
}

// Promise 5 of the server, one test for each way to be slow.
TEST(HttpLimits, SlowHeader) {
  TestServer server(TestRouter(), Quick());
  RawClient client(server.port());
  const auto start = Clock::now();
  bool open = true;
  for (int i = 0; i < 400 && open && SecondsSince(start) < 8; ++i) {
    open = client.Send(i == 0 ? "GET /health HTTP/1.1\r\n" : "A: b\r\n");
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_LT(SecondsSince(start), 6);
  RawClient silent(server.port());
  silent.Send("GET /health HT");
  EXPECT_EQ(StatusOf(silent.Receive()), 408);
}

TEST(HttpLimits, SlowBody) {
  TestServer server(TestRouter(), Quick());
  RawClient stalled(server.port());
  auto start = Clock::now();
  stalled.Send(PostSize(1000) + "x");
  EXPECT_EQ(StatusOf(stalled.Receive()), 408);  // by its rate
  EXPECT_LT(SecondsSince(start), 2.4);
  RawClient steady(server.port());
  start = Clock::now();
  steady.Send(PostSize(1'000'000));
  std::string answer;
  while (answer.empty() && SecondsSince(start) < 12) {
    steady.Send(std::string(1000, 'x'));
    answer = steady.Receive("\r\n\r\n", 50);
    if (answer == "[still open]") answer.clear();
  }
  EXPECT_EQ(StatusOf(answer), 408);  // by the total
  EXPECT_GT(SecondsSince(start), 2.3);
  EXPECT_LT(SecondsSince(start), 10);
}

TEST(HttpLimits, SlowReader) {
  TestServer server(TestRouter(), Quick());
  streams_cut = 0;
  const std::size_t before = ResidentBytes();
  RawClient client(server.port(), 4096);
  client.Send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto start = Clock::now();
  while (streams_cut == 0 && SecondsSince(start) < 15) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(streams_cut, 1);
  EXPECT_GT(SecondsSince(start), 0.4);
  EXPECT_LT(ResidentBytes() - before, std::size_t{8} << 20);
  for (int i = 0; i < 400 && server.counts().connections > 0; ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(server.counts().connections, 0);
}

TEST(HttpLimits, HalfOpenAndIdle) {
  TestServer server(TestRouter(), Quick());
  RawClient mute(server.port());
  RawClient kept(server.port());
  kept.Send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
  kept.Receive("fine");
  const auto start = Clock::now();
  EXPECT_EQ(mute.Receive(), "");  // closed without a word
  EXPECT_EQ(kept.Receive(), "");
  EXPECT_LT(SecondsSince(start), 6);
}

// Promise 6 of the server, the cap of connections.
TEST(HttpLimits, Connections) {
  ServerLimits limits;
  limits.connections = 3;
  TestServer server(TestRouter(), limits);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->Send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(StatusOf(clients.back()->Receive("fine")), 200);
  }
  const std::string refused = Ask(server.port(), kGet);
  EXPECT_EQ(StatusOf(refused), 503);
  EXPECT_THAT(refused, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(refused, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(refused, Not(HasSubstr("[")));
  clients.pop_back();
  for (int i = 0; i < 400 && server.counts().connections == 3; ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(StatusOf(Ask(server.port(), kGet)), 200);
  EXPECT_EQ(server.counts().refused, 1);
}

TEST(HttpLimits, AThousandConnectionsAreCheapAndDoNotDelayAHealthyOne) {
  ServerLimits limits;
  TestServer server(TestRouter(), limits);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2500) GTEST_SKIP() << "only " << files.rlim_cur << " open files are allowed";
  const std::size_t before = ResidentBytes();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->Send(i % 3 == 0 ? "GET /health HTTP/1.1\r\nHo" : i % 3 == 1 ? PostSize(1'000'000) + "x" : "");
  }
  std::vector<double> seconds;
  for (int i = 0; i < 200; ++i) {
    const auto start = Clock::now();
    EXPECT_EQ(StatusOf(Ask(server.port(), kGet)), 200);
    seconds.push_back(SecondsSince(start));
  }
  std::ranges::sort(seconds);
  EXPECT_LT(seconds[197], 1.0);
  EXPECT_EQ(server.counts().connections >= 1000, true);
  EXPECT_LT(ResidentBytes() - before, std::size_t{64} << 20);
}

// Promise 15 of the server: what runs may finish, nothing more begins.
TEST(HttpLimits, DrainFinishesWhatRuns) {
  TestServer server(TestRouter());
  RawClient idle(server.port());
  RawClient running(server.port());
  running.Send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + kGet);
  for (int i = 0; i < 1000 && server.counts().exchanges == 0; ++i) std::this_thread::sleep_for(milliseconds(5));
  const auto start = Clock::now();
  std::future<bool> drained = server.Drain(std::chrono::seconds(10));
  EXPECT_EQ(idle.Receive(), "");
  EXPECT_LT(SecondsSince(start), 1.2);
  const std::string answer = running.Receive();
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_TRUE(answer.ends_with("late"));
  EXPECT_EQ(CountAnswers(answer), 1);
  EXPECT_TRUE(drained.get());
  EXPECT_LT(SecondsSince(start), 8);
  const int after = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(static_cast<std::uint16_t>(server.port())), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  EXPECT_NE(::connect(after, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(after);
}

TEST(HttpLimits, DrainEndsAtItsLimitAndAtStop) {
  for (const bool stop : {false, true}) {
    TestServer server(TestRouter());
    RawClient client(server.port());
    client.Send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.Receive("\r\n\r\n");
    const auto start = Clock::now();
    std::future<bool> drained = server.Drain(stop ? milliseconds(20'000) : milliseconds(300));
    if (stop) {
      server.OnThread([&] {
        server.server().Stop();
        return 0;
      });
    }
    EXPECT_FALSE(drained.get());
    EXPECT_LT(SecondsSince(start), 6);
  }
}

TEST(HttpServer, SaysWhatIsWrongWithItsAddress) {
  TestServer server(TestRouter());
  asio::io_context io;
  const auto taken = HttpServer::Start(io, {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(server.port()), .tls_certificate = "", .tls_key = ""}, {}, {}, {});
  ASSERT_FALSE(taken.has_value());
  EXPECT_THAT(taken.error().message, HasSubstr("--port " + std::to_string(server.port())));
  const auto foreign = HttpServer::Start(io, {.host = "192.0.2.1", .port = 0, .tls_certificate = "", .tls_key = ""}, {}, {}, {});
  EXPECT_FALSE(foreign.has_value());
  const auto tls = HttpServer::Start(io, {.host = "127.0.0.1", .port = 0, .tls_certificate = "/nonexistent.pem", .tls_key = "/nonexistent.pem"}, {}, {}, {});
  ASSERT_FALSE(tls.has_value());
  EXPECT_THAT(tls.error().message, HasSubstr("/nonexistent.pem"));
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  EXPECT_EQ(files.rlim_cur, files.rlim_max);
}

}  // namespace
}  // namespace baleen::server

// What the core reads and refuses, over real sockets.
#include "server/http_server.h"

#include <gmock/gmock.h>

#include <atomic>

#include "server/test_server.h"
#include "server/wake.h"

namespace baleen::server {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;
using testing::Not;

// "METHOD path|query|body" back.
asio::awaitable<void> Echo(Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  HttpResponse response(200, request.method + " " + request.path + "|" + request.query + "|" + request.body, "text/plain");
  co_await exchange.Respond(std::move(response));
}

asio::awaitable<void> Count(Exchange& exchange) {
  co_await exchange.BeginStream(200, "text/event-stream", {});
  for (int i = 0; i < 3; ++i) {
    std::string line = "data: " + std::to_string(i) + "\n\n";
    if (!co_await exchange.Write(std::move(line))) co_return;
  }
  co_await exchange.EndStream();
}

Router TestRouter() {
  Router router;
  router.Add("GET", "/health", Access::kOpen, Echo);
  router.Add("POST", "/echo", Access::kKey, Echo);
  router.Add("GET", "/echo", Access::kKey, Echo);
  router.Add("GET", "/count", Access::kKey, Count);
  router.Add("GET", "/files/*", Access::kOpen, Echo);
  router.Add("GET", "/forgets", Access::kKey, [](Exchange&) -> asio::awaitable<void> { co_return; });
  router.Add("GET", "/throws", Access::kKey, [](Exchange&) -> asio::awaitable<void> {
    throw std::runtime_error("broken");
    co_return;
  });
  return router;
}

std::string Get(const std::string& path, const std::string& fields = "Connection: close\r\n") { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n"; }
std::string Post(const std::string& fields, const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + fields + "\r\n" + body;
}

TEST(HttpServer, AnswersAndCloses) {
  TestServer server(TestRouter());
  const std::string answer = Ask(server.port(), Get("/echo?a=1&b=%20"));
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_THAT(answer, HasSubstr("\r\nServer: baleen\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /echo|a=1&b=%20|"));
  EXPECT_THAT(answer, Not(HasSubstr("Access-Control")));
}

TEST(HttpServer, ReadsBodiesOfBothKinds) {
  TestServer server(TestRouter());
  EXPECT_TRUE(Ask(server.port(), Post("Content-Length: 5\r\n", "hello")).ends_with("POST /echo||hello"));
  EXPECT_TRUE(Ask(server.port(), Post("Transfer-Encoding: chunked\r\n", "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n")).ends_with("POST /echo||hello"));
  EXPECT_TRUE(Ask(server.port(), Post("Content-Length: 0\r\n", "")).ends_with("POST /echo||"));
  const std::string large(3 << 20, 'x');
  EXPECT_TRUE(Ask(server.port(), Post("Content-Length: " + std::to_string(large.size()) + "\r\n", large)).ends_with(large));
}

TEST(HttpServer, ReadsEverySplitAlike) {
  TestServer server(TestRouter());
  const std::string bytes = Post("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  for (std::size_t split = 1; split < bytes.size(); split += 3) {
    RawClient client(server.port());
    client.Send(std::string_view(bytes).substr(0, split));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    client.Send(std::string_view(bytes).substr(split));
    EXPECT_TRUE(client.Receive().ends_with("POST /echo||hello")) << split;
  }
}

TEST(HttpServer, KeepsAliveAndTakesPipelinedRequestsInOrder) {
  TestServer server(TestRouter());
  const std::string answer = Ask(server.port(), Get("/echo?1", "") + Get("/count", "") + Get("/echo?2", "") + Get("/echo?3"));
  EXPECT_EQ(CountAnswers(answer), 4);
  EXPECT_LT(answer.find("/echo|1|"), answer.find("data: 0"));
  EXPECT_LT(answer.find("data: 2"), answer.find("/echo|2|"));
  EXPECT_TRUE(answer.ends_with("/echo|3|"));
  EXPECT_EQ(server.counts().accepted, 1);
}

TEST(HttpServer, SpeaksHttp10) {
  TestServer server(TestRouter());
  const std::string plain = Ask(server.port(), "GET /echo HTTP/1.0\r\n\r\n");
  EXPECT_EQ(StatusOf(plain), 200);
  EXPECT_THAT(plain, HasSubstr("Connection: close"));
  const std::string stream = Ask(server.port(), "GET /count HTTP/1.0\r\n\r\n");
  EXPECT_THAT(stream, Not(HasSubstr("chunked")));
  EXPECT_TRUE(stream.ends_with("\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"));
  RawClient kept(server.port());
  kept.Send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(kept.Receive("GET /echo||"), HasSubstr("Connection: keep-alive"));
}

TEST(HttpServer, StreamsInChunks) {
  TestServer server(TestRouter());
  const std::string answer = Ask(server.port(), Get("/count"));
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_TRUE(answer.ends_with("9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
}

TEST(HttpServer, AnswersHeadAndOptions) {
  TestServer server(TestRouter());
  const std::string head = Ask(server.port(), "HEAD /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 12\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_TRUE(Ask(server.port(), "HEAD /count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ends_with("chunked\r\nConnection: close\r\n\r\n"));
  const std::string options = Ask(server.port(), "OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(StatusOf(options), 204);
  EXPECT_THAT(options, HasSubstr("Allow: POST, GET, HEAD, OPTIONS\r\n"));
  EXPECT_EQ(StatusOf(Ask(server.port(), "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")), 204);
}

TEST(HttpServer, RefusesUnknownPathsAndMethods) {
  ServerHooks hooks;
  hooks.error_body = [](const HttpError& error, std::string_view path) { return HttpResponse(0, std::string(path) + " says " + error.message, "text/plain"); };
  TestServer server(TestRouter(), {}, hooks);
  const std::string unknown = Ask(server.port(), Get("/nothing"));
  EXPECT_EQ(StatusOf(unknown), 404);
  EXPECT_THAT(unknown, HasSubstr("\r\n\r\n/nothing says the path"));
  const std::string wrong = Ask(server.port(), "DELETE /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(StatusOf(wrong), 405);
  EXPECT_THAT(wrong, HasSubstr("Allow: POST, GET, HEAD, OPTIONS\r\n"));
  EXPECT_EQ(StatusOf(Ask(server.port(), "get /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")), 405);
  EXPECT_EQ(StatusOf(Ask(server.port(), Get("/forgets"))), 500);
  EXPECT_EQ(StatusOf(Ask(server.port(), Get("/throws"))), 500);
}

// Promise 2 of the server: everything but open routes asks first, also paths that are not there.
TEST(HttpServer, AuthorizesEveryRouteThatIsNotOpenBeforeItsBody) {
  ServerHooks hooks;
  hooks.authorize = [](HttpRequest& request) -> std::optional<HttpResponse> {
    const std::string* key = request.Find("authorization");
    if (key != nullptr && *key == "Bearer right") return std::nullopt;
    return HttpResponse(401, "{}");
  };
  TestServer server(TestRouter(), {}, hooks);
  for (const Route& route : server.server().router().routes()) {
    const std::string path = route.path.ends_with("/*") ? route.path.substr(0, route.path.size() - 1) + "x" : route.path;
    const std::string request = route.method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 9\r\n\r\n123456789";
    EXPECT_EQ(StatusOf(Ask(server.port(), request)) == 401, route.access == Access::kKey) << path;
  }
  EXPECT_EQ(StatusOf(Ask(server.port(), Get("/nothing"))), 401);
  EXPECT_EQ(StatusOf(Ask(server.port(), Post("Content-Length: 40000000\r\n", "only a little"))), 401);
  EXPECT_EQ(StatusOf(Ask(server.port(), Post("Authorization: Bearer right\r\nContent-Length: 0\r\n", ""))), 200);
}

TEST(HttpServer, RefusesForeignHostsOnLoopback) {
  TestServer server(TestRouter());
  for (const std::string host : {"localhost", "localhost:1", "LOCALHOST:8080", "127.0.0.1:80", "[::1]", "[::1]:443"}) {
    EXPECT_EQ(StatusOf(Ask(server.port(), "GET /health HTTP/1.1\r\nConnection: close\r\nHost: " + host + "\r\n\r\n")), 200) << host;
  }
  for (const std::string host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:80:80", "localhost:x", "[::1].x", "10.0.0.1", "@localhost"}) {
    EXPECT_EQ(StatusOf(Ask(server.port(), "GET /health HTTP/1.1\r\nConnection: close\r\nHost: " + host + "\r\n\r\n")), 403) << host;
  }
  EXPECT_EQ(StatusOf(Ask(server.port(), "GET http://evil.example/health HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n")), 403);
  EXPECT_EQ(StatusOf(Ask(server.port(), "GET http://localhost:5/health HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n")), 200);
}

struct Malformed {
  std::string bytes;
  int status;
};

const std::string kPostLine = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";

const std::vector<Malformed> kBadFieldsAndBodies = {
    {kPostLine + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
    {kPostLine + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
    {kPostLine + "Content-Length: 5, 5\r\n\r\nhello", 400},
    {kPostLine + "Content-Length: +5\r\n\r\nhello", 400},
    {kPostLine + "Content-Length: -1\r\n\r\n", 400},
    {kPostLine + "Content-Length: 18446744073709551617\r\n\r\n", 400},
    {kPostLine + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {kPostLine + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
    {kPostLine + "Transfer-Encoding: identity\r\n\r\n", 501},
    {kPostLine + "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\n", 413},
    {kPostLine + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", 400},
    {kPostLine + "Transfer-Encoding: chunked\r\n\r\n3;" + std::string(30000, 'x'), 400},
    {kPostLine + "\r\n", 411},
    {kPostLine + "Content-Length : 5\r\n\r\nhello", 400},
    {kPostLine + " folded: yes\r\n\r\n", 400},
    {kPostLine + "A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n", 400},
    {kPostLine + std::string("A: b\0c\r\nContent-Length: 0\r\n\r\n", 29), 400},
    {kPostLine + "A: b\rContent-Length: 5\r\n\r\n", 400},
    {kPostLine + "A: b\nContent-Length: 5\r\n\r\n", 400},
    {kPostLine + "no colon\r\n\r\n", 400},
    {kPostLine + ": empty name\r\n\r\n", 400},
    {kPostLine + "Expect: miracles\r\nContent-Length: 0\r\n\r\n", 417},
};

const std::vector<Malformed> kBadRequestLines = {
    {"GET /echo HTTP/1.1\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400},
    {"GET /echo HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"GET /echo\r\n\r\n", 400},
    {"GET  /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 505},  // "b" stands where the version should
    {"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /files/../health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /files/%2e%2E/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /files%2f..%2fhealth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /files/a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /files/%4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"\x16\x03\x01\x02\x01", 400},
    {std::string("\0\0\0\0", 4), 400},
    {" GET / HTTP/1.1\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\nHost: localhost\n\n", 400},
};

TEST(HttpServer, RefusesWhatIsNoCleanRequest) {
  TestServer server(TestRouter());
  std::vector<Malformed> cases = kBadFieldsAndBodies;
  cases.insert(cases.end(), kBadRequestLines.begin(), kBadRequestLines.end());
  for (const Malformed& one : cases) {
    const std::string answer = Ask(server.port(), one.bytes + "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(StatusOf(answer), one.status) << one.bytes << "\n" << answer;
    EXPECT_EQ(CountAnswers(answer), 1) << one.bytes << "\n" << answer;  // what follows is not taken for a request
    EXPECT_THAT(answer, HasSubstr("Connection: close")) << one.bytes;
    EXPECT_THAT(answer, Not(HasSubstr("[still open]"))) << one.bytes;
  }
  EXPECT_EQ(StatusOf(Ask(server.port(), Get("/health"))), 200);
}

TEST(HttpServer, SurvivesRandomBytes) {
  TestServer server(TestRouter());
  std::uint64_t state = 1;
  const auto random = [&] { return (state = state * 6364136223846793005ULL + 1442695040888963407ULL) >> 33; };
  const std::string valid = Post("Transfer-Encoding: chunked\r\nAccept: */*\r\n", "3\r\nhel\r\n0\r\n\r\n");
  for (int round = 0; round < 500; ++round) {
    std::string bytes = valid;
    for (std::uint64_t i = random() % 4; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    RawClient client(server.port());
    client.Send(bytes);
    client.EndSending();
    EXPECT_THAT(client.Receive(), Not(HasSubstr("[still open]")));
  }
  EXPECT_EQ(StatusOf(Ask(server.port(), Get("/health"))), 200);
}

TEST(HttpServer, DecodesPathsAndSkipsBlankLines) {
  TestServer server(TestRouter());
  EXPECT_TRUE(Ask(server.port(), "\r\n\r\n" + Get("/%65cho")).ends_with("GET /echo||"));
  EXPECT_TRUE(Ask(server.port(), Get("/files/a%20b/%E9%AF%A8?x=%zz")).ends_with("GET /files/a b/鯨|x=%zz|"));
}

TEST(HttpServer, AsksForTheBodyOnlyIfItIsWanted) {
  TestServer server(TestRouter());
  RawClient client(server.port());
  client.Send(Post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""));
  EXPECT_EQ(client.Receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hello");
  EXPECT_TRUE(client.Receive().ends_with("hello"));
  const std::string refused = Ask(server.port(), Post("Expect: 100-continue\r\nContent-Length: 50331649\r\n", ""));
  EXPECT_EQ(StatusOf(refused), 413);
  EXPECT_EQ(CountAnswers(refused), 1);
}

TEST(HttpServer, DoesNotLetAFieldForgeAnother) {
  Router router;
  router.Add("GET", "/", Access::kOpen, [](Exchange& exchange) -> asio::awaitable<void> {
    HttpResponse response(200, "", "text/plain");
    response.headers.emplace_back("X-Id", "a\r\nSet-Cookie: b");
    co_await exchange.Respond(std::move(response));
  });
  TestServer server(std::move(router));
  EXPECT_THAT(Ask(server.port(), Get("/")), HasSubstr("X-Id: a  Set-Cookie: b\r\n"));
}

// Waits for its peer to go; says so.
struct Watching {
  std::atomic<int> begun = 0;
  std::atomic<int> gone = 0;

  Endpoint endpoint(bool streams) {
    return [this, streams](Exchange& exchange) -> asio::awaitable<void> {
      const auto executor = co_await asio::this_coro::executor;
      Wake wake(executor);
      exchange.OnGone([&wake] { wake.Notify(); });
      if (streams) co_await exchange.BeginStream(200, "text/event-stream", {});
      ++begun;
      if (co_await wake.WaitFor(std::chrono::seconds(20)) && exchange.gone()) ++gone;
    };
  }
  void WaitUntil(const std::atomic<int>& count, int value) {
    for (int i = 0; i < 1000 && count != value; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(count, value);
  }
};

TEST(HttpServer, NoticesAPeerThatGoesWhileItsAnswerIsComputed) {
  Watching watching;
  Router router;
  router.Add("GET", "/wait", Access::kOpen, watching.endpoint(false));
  router.Add("GET", "/stream", Access::kOpen, watching.endpoint(true));
  TestServer server(std::move(router));
  int expected = 0;
  for (const std::string path : {"/wait", "/stream"}) {
    for (const bool reset : {false, true}) {
      RawClient client(server.port());
      client.Send(Get(path, "") + (reset ? Get(path, "") : ""));  // also with a pipelined request behind
      watching.WaitUntil(watching.begun, ++expected);
      const auto before = std::chrono::steady_clock::now();
      reset ? client.Reset() : client.Close();
      watching.WaitUntil(watching.gone, expected);
      EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
    }
  }
  for (int i = 0; i < 400 && server.counts().connections > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(server.counts().connections, 0);
}

}  // namespace
}  // namespace baleen::server

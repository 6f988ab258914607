#include "server/http_server.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <tuple>
#include <unordered_set>
#include <vector>
#include <utility>

#include "server/connection.h"
#include "server/response_head.h"
#include "server/transport.h"
#include "server/wake.h"

namespace baleen::server {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr int kBacklog = 4096;
constexpr std::int64_t kOtherFiles = 128;   // open files that are no connections
constexpr std::int64_t kMostRefusals = 256;  // answered at the same time

// Every connection is a file; the usual soft limit of 1,024 is too low.
std::int64_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
}

Result<tcp::endpoint> Resolve(asio::io_context& io, const Binding& binding) {
  std::string host = binding.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  error_code fault;
  const asio::ip::address address = asio::ip::make_address(host, fault);
  if (!fault) return tcp::endpoint(address, binding.port);
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(host, std::to_string(binding.port), tcp::resolver::passive, fault);
  if (fault || found.empty()) {
    return diagnostics::InvalidInput("--host " + diagnostics::Quoted(binding.host) + ": expected an address or the name of one, found: " + fault.message() +
                                     "; give 127.0.0.1 or an address of this machine");
  }
  return found.begin()->endpoint();
}

Status Bind(asio::io_context& io, const Binding& binding, tcp::acceptor& acceptor) {
  TRY_ASSIGN(const tcp::endpoint endpoint, Resolve(io, binding));
  error_code fault;
  acceptor.open(endpoint.protocol(), fault);
  if (!fault) acceptor.set_option(tcp::acceptor::reuse_address(true), fault);
  if (!fault) acceptor.bind(endpoint, fault);
  if (!fault) return {};
  return diagnostics::ResourceError("--host " + diagnostics::Quoted(binding.host) + " --port " + std::to_string(binding.port) +
                                    ": expected a free address of this machine, found: " + fault.message() +
                                    "; give another port (--port 0 picks one) or end the program that has it");
}

}  // namespace

class HttpServer::Core : public std::enable_shared_from_this<HttpServer::Core> {
 public:
  explicit Core(asio::io_context& io) : io_(&io), acceptor_(io), pause_(io), changed_(io.get_executor()), shared_(std::make_shared<Shared>()) {}

  Status Listen(Binding binding, ServerLimits limits, Router router, ServerHooks hooks);
  void Begin();
  asio::awaitable<bool> Drain(milliseconds limit);
  void Stop();

  tcp::endpoint local() const { return local_; }
  const Shared& shared() const { return *shared_; }
  bool is_tls() const { return tls_ != nullptr; }

 private:
  asio::awaitable<void> Accept();
  void Take(tcp::socket socket);
  asio::awaitable<void> Refuse(std::shared_ptr<tcp::socket> socket);
  void StopAccepting();
  template <typename Coroutine>
  void Spawn(Coroutine coroutine);

  asio::io_context* io_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  Wake changed_;  // a connection has ended, or Stop was called
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<TlsSetup> tls_;
  tcp::endpoint local_;
  std::unordered_set<Connection*> connections_;  // each is kept alive by its own coroutine
  std::int64_t refusing_ = 0;
  bool stopped_ = false;
  bool cut_off_ = false;  // Stop found connections
};

Status HttpServer::Core::Listen(Binding binding, ServerLimits limits, Router router, ServerHooks hooks) {
  const std::int64_t files = RaiseFileLimit();
  limits.connections = std::clamp<std::int64_t>(files - kOtherFiles, 1, limits.connections);
  if (!binding.tls_certificate.empty() || !binding.tls_key.empty()) {
    TRY_ASSIGN(tls_, TlsSetup::Read(binding.tls_certificate, binding.tls_key));
  }
  TRY(Bind(*io_, binding, acceptor_));
  error_code fault;
  acceptor_.listen(kBacklog, fault);
  if (!fault) local_ = acceptor_.local_endpoint(fault);
  if (fault) return diagnostics::ResourceError("--host " + diagnostics::Quoted(binding.host) + ": cannot listen: " + fault.message());
  *shared_ = {.binding = std::move(binding), .limits = limits, .router = std::move(router), .hooks = std::move(hooks)};
  return {};
}

template <typename Coroutine>
void HttpServer::Core::Spawn(Coroutine coroutine) {
  asio::co_spawn(*io_, std::move(coroutine), [](std::exception_ptr) {});
}

void HttpServer::Core::Begin() {
  Spawn([self = shared_from_this()] { return self->Accept(); });
}

asio::awaitable<void> HttpServer::Core::Accept() {
  while (acceptor_.is_open()) {
    auto [fault, socket] = co_await acceptor_.async_accept(kTuple);
    if (!acceptor_.is_open()) co_return;
    if (fault) {  // out of files, or a client that left at once: others may come
      pause_.expires_after(milliseconds(50));
      co_await pause_.async_wait(kTuple);
      continue;
    }
    ++shared_->counts.accepted;
    Take(std::move(socket));
  }
}

void HttpServer::Core::Take(tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(asio::socket_base::send_buffer_size(static_cast<int>(shared_->limits.send_buffer_bytes)), ignored);
  const unsigned dead_after_ms = static_cast<unsigned>(shared_->limits.idle_time.count());  // for what was sent and nobody acknowledged
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_after_ms, sizeof dead_after_ms);
  if (static_cast<std::int64_t>(connections_.size()) >= shared_->limits.connections) {
    ++shared_->counts.refused;
    if (tls_ != nullptr || refusing_ >= kMostRefusals) return;
    ++refusing_;
    Spawn([self = shared_from_this(), at = std::make_shared<tcp::socket>(std::move(socket))] { return self->Refuse(at); });
    return;
  }
  error_code fault;
  const tcp::endpoint peer = socket.remote_endpoint(fault);
  const std::string name = fault ? "" : (peer.address().is_v6() ? "[" + peer.address().to_string() + "]" : peer.address().to_string()) + ":" + std::to_string(peer.port());
  std::unique_ptr<Transport> transport = tls_ != nullptr ? tls_->Wrap(std::move(socket)) : PlainTransport(std::move(socket));
  auto connection = std::make_shared<Connection>(io_->get_executor(), shared_, std::move(transport), name);
  connections_.insert(connection.get());
  ++shared_->counts.connections;
  asio::co_spawn(
      *io_, [connection] { return connection->Run(); },
      [self = shared_from_this(), connection](std::exception_ptr) {
        connection->Close();
        self->connections_.erase(connection.get());
        --self->shared_->counts.connections;
        self->changed_.Notify();
      });
}

// Over the cap: 503 without reading a request, and a second for the client to fetch it.
asio::awaitable<void> HttpServer::Core::Refuse(std::shared_ptr<tcp::socket> socket) {
  HttpResponse response = shared_->ErrorResponse({503, "the server has as many connections as it takes; try again later"}, "");
  const ResponseFrame frame{.length = response.body.size(), .keep_alive = false};
  const std::string bytes = WriteResponseHead(response.status, response.content_type, response.headers, frame) + response.body;
  error_code ignored;
  socket->non_blocking(true, ignored);
  socket->write_some(asio::const_buffer(bytes.data(), bytes.size()), ignored);
  socket->shutdown(tcp::socket::shutdown_send, ignored);
  asio::steady_timer timer(*io_, std::min<milliseconds>(shared_->limits.linger_time, milliseconds(1000)));
  timer.async_wait([socket](const error_code& fault) {
    error_code none;
    if (!fault) socket->close(none);
  });
  std::array<char, 1024> dropped;
  for (;;) {
    const auto [fault, count] = co_await socket->async_read_some(asio::mutable_buffer(dropped.data(), dropped.size()), kTuple);
    if (fault || count == 0) break;
  }
  --refusing_;
}

void HttpServer::Core::StopAccepting() {
  shared_->draining = true;
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void HttpServer::Core::Stop() {
  StopAccepting();
  stopped_ = true;
  cut_off_ = cut_off_ || !connections_.empty();
  const std::vector<Connection*> all(connections_.begin(), connections_.end());
  for (Connection* connection : all) connection->Close();
  changed_.Notify();
}

asio::awaitable<bool> HttpServer::Core::Drain(milliseconds limit) {
  const std::shared_ptr<Core> self = shared_from_this();
  StopAccepting();
  const std::vector<Connection*> all(connections_.begin(), connections_.end());
  for (Connection* connection : all) {
    if (connection->idle()) connection->Close();
  }
  const auto deadline = Clock::now() + limit;
  while (!connections_.empty() && !stopped_ && Clock::now() < deadline) co_await changed_.WaitUntil(deadline);
  const bool whole = connections_.empty() && !cut_off_;
  Stop();
  while (!connections_.empty()) co_await changed_.WaitFor(milliseconds(1000));
  co_return whole;
}

Status HttpServer::TryAddress(const Binding& binding) {
  asio::io_context io;
  tcp::acceptor acceptor(io);
  if (!binding.tls_certificate.empty() || !binding.tls_key.empty()) TRY(TlsSetup::Read(binding.tls_certificate, binding.tls_key));
  return Bind(io, binding, acceptor);
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(asio::io_context& io, Binding binding, ServerLimits limits, Router router, ServerHooks hooks) {
  auto core = std::make_shared<Core>(io);
  TRY(core->Listen(std::move(binding), limits, std::move(router), std::move(hooks)));
  core->Begin();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}
HttpServer::~HttpServer() { core_->Stop(); }

std::uint16_t HttpServer::port() const { return core_->local().port(); }

std::string HttpServer::address() const {
  const asio::ip::address address = core_->local().address();
  const std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return (core_->is_tls() ? "https://" : "http://") + host + ":" + std::to_string(port());
}

const Router& HttpServer::router() const { return core_->shared().router; }
ServerCounts HttpServer::counts() const { return core_->shared().counts; }
asio::awaitable<bool> HttpServer::Drain(milliseconds limit) { return core_->Drain(limit); }
void HttpServer::Stop() { core_->Stop(); }

}  // namespace baleen::server

#include "server/transport.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <tuple>
#include <utility>

namespace baleen::server {
namespace asio = boost::asio;
namespace {

using boost::system::error_code;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

template <typename Stream>
asio::awaitable<std::size_t> ReadFrom(Stream& stream, char* to, std::size_t size) {
  const asio::mutable_buffer buffer(to, size);
  const auto [fault, count] = co_await stream.async_read_some(buffer, kTuple);
  co_return fault ? 0 : count;
}

template <typename Stream>
asio::awaitable<bool> WriteTo(Stream& stream, std::string_view bytes) {
  const asio::const_buffer buffer(bytes.data(), bytes.size());
  const auto [fault, count] = co_await asio::async_write(stream, buffer, kTuple);
  co_return !fault && count == bytes.size();
}

class Plain : public Transport {
 public:
  explicit Plain(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  asio::awaitable<bool> Open() override { co_return true; }
  asio::awaitable<std::size_t> Read(char* to, std::size_t size) override { return ReadFrom(socket_, to, size); }
  asio::awaitable<bool> Write(std::string_view bytes) override { return WriteTo(socket_, bytes); }
  asio::awaitable<void> Finish() override {
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    co_return;
  }
  void Close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  asio::ip::tcp::socket socket_;
};

class Tls : public Transport {
 public:
  Tls(asio::ip::tcp::socket socket, asio::ssl::context& context) : stream_(std::move(socket), context) {}
  asio::awaitable<bool> Open() override {
    const auto [fault] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kTuple);
    co_return !fault;
  }
  asio::awaitable<std::size_t> Read(char* to, std::size_t size) override { return ReadFrom(stream_, to, size); }
  asio::awaitable<bool> Write(std::string_view bytes) override { return WriteTo(stream_, bytes); }
  asio::awaitable<void> Finish() override {
    // No close_notify, which may not run beside a read: all answers but a stream of HTTP/1.0 say themselves where they end.
    error_code ignored;
    stream_.next_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    co_return;
  }
  void Close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  asio::ssl::stream<asio::ip::tcp::socket> stream_;
};

class Setup : public TlsSetup {
 public:
  asio::ssl::context context{asio::ssl::context::tls_server};
  std::unique_ptr<Transport> Wrap(asio::ip::tcp::socket socket) override { return std::make_unique<Tls>(std::move(socket), context); }
};

}  // namespace

std::unique_ptr<Transport> PlainTransport(asio::ip::tcp::socket socket) { return std::make_unique<Plain>(std::move(socket)); }

Result<std::shared_ptr<TlsSetup>> TlsSetup::Read(const std::string& certificate, const std::string& key) {
  auto setup = std::make_shared<Setup>();
  error_code fault;
  setup->context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, fault);
  setup->context.use_certificate_chain_file(certificate, fault);
  if (fault) {
    return diagnostics::InvalidInput("--tls-cert " + diagnostics::Quoted(certificate) + ": expected a certificate chain as PEM, found: " + fault.message() +
                                     "; give the file of the certificate");
  }
  setup->context.use_private_key_file(key, asio::ssl::context::pem, fault);
  if (fault) {
    return diagnostics::InvalidInput("--tls-key " + diagnostics::Quoted(key) + ": expected the private key of the certificate as PEM, found: " + fault.message() +
                                     "; give the file of the key");
  }
  return std::shared_ptr<TlsSetup>(std::move(setup));
}

}  // namespace baleen::server

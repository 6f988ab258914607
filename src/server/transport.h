#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::server {

/// The bytes of one connection, with or without TLS. One read and one write may run at the same time.
class Transport {
 public:
  virtual ~Transport() = default;
  /// TLS: the handshake. False: it failed.
  virtual boost::asio::awaitable<bool> Open() = 0;
  /// The bytes read, at least one; 0 at the end or after an error.
  virtual boost::asio::awaitable<std::size_t> Read(char* to, std::size_t size) = 0;
  /// False after an error.
  virtual boost::asio::awaitable<bool> Write(std::string_view bytes) = 0;
  /// Tells the peer that nothing more comes, as far as that is possible without waiting long.
  virtual boost::asio::awaitable<void> Finish() = 0;
  /// Ends what is running with an error.
  virtual void Close() = 0;
};

std::unique_ptr<Transport> PlainTransport(boost::asio::ip::tcp::socket socket);

/// Certificate and key of a server, read once.
class TlsSetup {
 public:
  /// PEM files; TLS 1.2 and 1.3. Errors: a file that is missing or does not fit.
  static Result<std::shared_ptr<TlsSetup>> Read(const std::string& certificate, const std::string& key);
  virtual ~TlsSetup() = default;
  /// This setup must outlive the transport.
  virtual std::unique_ptr<Transport> Wrap(boost::asio::ip::tcp::socket socket) = 0;
};

}  // namespace baleen::server

// The same core behind TLS, with a certificate made for the test.
#include <gmock/gmock.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <atomic>
#include <cstdio>

#include "server/test_server.h"
#include "server/wake.h"

namespace baleen::server {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;

// A key and a certificate signed by itself, as PEM files.
struct CertificateFiles {
  std::string certificate = testing::TempDir() + "tls_test_certificate.pem";
  std::string key = testing::TempDir() + "tls_test_key.pem";

  CertificateFiles() {
    EVP_PKEY* pair = EVP_EC_gen("P-256");
    X509* x509 = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pair);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_sign(x509, pair, EVP_sha256());
    std::FILE* file = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
    file = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(pair);
  }
  ~CertificateFiles() {
    std::remove(certificate.c_str());
    std::remove(key.c_str());
  }
};

// What a TLS client gets for these bytes until the server closes; `read_bytes` > 0: reads only so much and leaves.
std::string AskTls(int port, const std::string& bytes, int read_bytes = 0) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  BIO* connection = BIO_new_ssl_connect(context);
  BIO_set_conn_hostname(connection, ("127.0.0.1:" + std::to_string(port)).c_str());
  std::string out;
  if (BIO_do_connect(connection) == 1 && BIO_write(connection, bytes.data(), static_cast<int>(bytes.size())) > 0) {
    char buffer[4096];
    int count = 0;
    while ((read_bytes == 0 || static_cast<int>(out.size()) < read_bytes) && (count = BIO_read(connection, buffer, sizeof buffer)) > 0) {
      out.append(buffer, static_cast<std::size_t>(count));
    }
  }
  BIO_free_all(connection);
  SSL_CTX_free(context);
  ERR_clear_error();
  return out;
}

TEST(Tls, ServesTheSame) {
  std::atomic<int> gone = 0;
  Router router;
  router.Add("POST", "/echo", Access::kOpen, [](Exchange& exchange) -> asio::awaitable<void> {
    HttpResponse response(200, std::move(exchange.request().body), "text/plain");
    co_await exchange.Respond(std::move(response));
  });
  router.Add("GET", "/wait", Access::kOpen, [&gone](Exchange& exchange) -> asio::awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    Wake wake(executor);
    exchange.OnGone([&wake] { wake.Notify(); });
    co_await exchange.BeginStream(200, "text/event-stream", {});
    if (co_await wake.WaitFor(std::chrono::seconds(10))) ++gone;
  });
  const CertificateFiles files;
  ServerLimits limits;
  limits.header_time = std::chrono::milliseconds(500);
  TestServer server(std::move(router), limits, {}, {.host = "127.0.0.1", .port = 0, .tls_certificate = files.certificate, .tls_key = files.key});
  EXPECT_THAT(server.server().address(), HasSubstr("https://127.0.0.1:"));

  const std::string body(300'000, 'x');
  const std::string head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  const std::string answer = AskTls(server.port(), head + body);
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + body));

  AskTls(server.port(), "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n", 10);
  for (int i = 0; i < 1000 && gone == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(gone, 1);

  RawClient plain(server.port());  // no TLS on a TLS port
  plain.Send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(StatusOf(plain.Receive()), 0);
  RawClient silent(server.port());
  silent.Send("\x16\x03\x01");
  const auto start = std::chrono::steady_clock::now();
  silent.Receive();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST(Tls, RefusesAKeyThatDoesNotFit) {
  const CertificateFiles files;
  asio::io_context io;
  const auto swapped = HttpServer::Start(io, {.host = "127.0.0.1", .port = 0, .tls_certificate = files.key, .tls_key = files.certificate}, {}, {}, {});
  ASSERT_FALSE(swapped.has_value());
  EXPECT_THAT(swapped.error().message, HasSubstr("--tls-cert"));
}

}  // namespace
}  // namespace baleen::server

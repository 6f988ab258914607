#include "server/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "server/dialect.h"

namespace baleen::server {
namespace {

// Hashes are of one length, so that the comparison tells nothing of the key's.
bool SameSecret(std::string_view a, std::string_view b) {
  unsigned char hash_a[SHA256_DIGEST_LENGTH], hash_b[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(a.data()), a.size(), hash_a);
  SHA256(reinterpret_cast<const unsigned char*>(b.data()), b.size(), hash_b);
  return CRYPTO_memcmp(hash_a, hash_b, sizeof hash_a) == 0;
}

std::string_view SentKey(const HttpRequest& request) {
  constexpr std::string_view kBearer = "bearer ";
  if (const std::string* field = request.Find("authorization"); field != nullptr) {
    const std::string_view value = *field;
    if (value.size() > kBearer.size() && SameIgnoringCase(value.substr(0, kBearer.size()), kBearer)) return value.substr(kBearer.size());
  }
  if (const std::string* field = request.Find("x-api-key"); field != nullptr) return *field;
  return {};
}

}  // namespace

bool NeedsKey(const Service& service) { return !service.api_key.empty() || (service.ledger != nullptr && service.ledger->HasKeys()); }

std::optional<HttpResponse> Authorize(const Service& service, HttpRequest& request) {
  request.identity = Client{};
  if (!NeedsKey(service)) return std::nullopt;
  const std::string_view sent = SentKey(request);
  if (!service.api_key.empty() && SameSecret(sent, service.api_key)) return std::nullopt;
  if (service.ledger != nullptr) {
    if (const auto key = service.ledger->Authenticate(sent)) {
      request.identity = Client{.key = key->id, .name = key->name};
      return std::nullopt;
    }
  }
  const bool messages = IsMessagesPath(request.path);
  const std::string expected = "expected a key in \"Authorization: Bearer KEY\"" + std::string(messages ? " or \"x-api-key: KEY\"" : "");
  return ErrorResponse(completion::Refuse(401, "", expected + ", found " + (sent.empty() ? "none" : "one that is not known here") + "; ask whoever runs this server for a key",
                                          "invalid_api_key"),
                       messages, "req_" + DrawName());
}

}  // namespace baleen::server

#include "server/service.h"

#include <cstring>

#include <openssl/rand.h>

#include "diagnostics/check.h"

namespace baleen::server {

std::string TenantOf(const Client& client, const std::string& user) {
  return (client.key ? "key " + std::to_string(*client.key) : std::string("no key")) + "\n" + user;
}

std::string DrawName() {
  unsigned char bytes[16];
  CHECK(RAND_bytes(bytes, sizeof bytes) == 1);
  std::string name;
  for (const unsigned char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    name += kDigits[byte >> 4];
    name += kDigits[byte & 15];
  }
  return name;
}

std::uint64_t DrawSeed() {
  std::uint64_t seed = 0;
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&seed), sizeof seed) == 1);
  return seed;
}

}  // namespace baleen::server

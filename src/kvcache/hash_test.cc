#include "kvcache/hash.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace baleen::kvcache {
namespace {

TEST(Hash128, HexIsReadBack) {
  const Hash128 hash{0x0123456789abcdefu, 0xfedcba9876543210u};
  EXPECT_EQ(hash.Hex(), "fedcba98765432100123456789abcdef");
  EXPECT_EQ(Hash128::FromHex(hash.Hex()), hash);
  for (const char* text : {"", "0", "fedcba98765432100123456789abcde", "fedcba98765432100123456789abcdef0", "Fedcba98765432100123456789abcdef",
                           "fedcba98765432100123456789abcdeg"}) {
    EXPECT_FALSE(Hash128::FromHex(text)) << text;
  }
}

TEST(Hash128, PublishedValueOfTheEmptyInput) {  // the XXH3 specification's test vector
  EXPECT_EQ(HashOf(std::span<const std::byte>()).Hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash128, ChainsDifferByTenantModelAndEveryToken) {
  std::unordered_set<Hash128> seen;
  for (const char* tenant : {"", "a", "b", "aa"}) {
    for (const std::uint64_t model : {1, 2}) {
      const Hash128 salt = Salt(tenant, {model, 0});
      EXPECT_TRUE(seen.insert(salt).second);
      for (std::int32_t token = -50; token < 50; ++token) {
        EXPECT_TRUE(seen.insert(Chained(salt, token)).second);
        EXPECT_TRUE(seen.insert(Chained(Chained(salt, token), 7)).second);
      }
    }
  }
  EXPECT_EQ(Chained(Salt("a", {1, 2}), 3), Chained(Salt("a", {1, 2}), 3));
}

}  // namespace
}  // namespace baleen::kvcache

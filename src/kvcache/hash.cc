#include "kvcache/hash.h"

#include <array>
#include <cstring>

#include <xxhash.h>

namespace baleen::kvcache {
namespace {

Hash128 HashOf(const void* data, std::size_t size) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(data, size);
  return {hash.low64, hash.high64};
}

void AppendHex(std::string& text, std::uint64_t half) {
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[half >> shift & 15];
}

std::optional<std::uint64_t> HalfFromHex(std::string_view text) {
  std::uint64_t half = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') half = half << 4 | static_cast<std::uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f') half = half << 4 | static_cast<std::uint64_t>(c - 'a' + 10);
    else return std::nullopt;
  }
  return half;
}

}  // namespace

std::string Hash128::Hex() const {
  std::string text;
  AppendHex(text, high);
  AppendHex(text, low);
  return text;
}

std::optional<Hash128> Hash128::FromHex(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto high = HalfFromHex(text.substr(0, 16)), low = HalfFromHex(text.substr(16));
  if (!high || !low) return std::nullopt;
  return Hash128{*low, *high};
}

Hash128 HashOf(std::span<const std::byte> bytes) noexcept { return HashOf(bytes.data(), bytes.size()); }

Hash128 Salt(std::string_view tenant, const Hash128& fingerprint) {
  std::string text = "baleen prefix, format 1" + fingerprint.Hex();
  text += tenant;
  return HashOf(text.data(), text.size());
}

Hash128 Chained(const Hash128& before, std::int32_t token) noexcept {
  std::array<char, 20> link;
  std::memcpy(link.data(), &before.low, 8);
  std::memcpy(link.data() + 8, &before.high, 8);
  std::memcpy(link.data() + 16, &token, 4);
  return HashOf(link.data(), link.size());
}

}  // namespace baleen::kvcache

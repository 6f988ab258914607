#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace baleen::kvcache {

/// 128 bits of XXH3: names a prefix of tokens, a model, a record. Not proof against someone who seeks collisions: what a hash finds is
/// compared before it is used.
struct Hash128 {
  std::uint64_t low = 0, high = 0;

  bool operator==(const Hash128&) const = default;

  /// 32 lower-case hex digits, the high half first.
  std::string Hex() const;
  /// The inverse of Hex; nothing for any other text.
  static std::optional<Hash128> FromHex(std::string_view text);
};

Hash128 HashOf(std::span<const std::byte> bytes) noexcept;

/// The hash of no tokens: where the chains of one tenant on one model (`fingerprint`: weights, config, format) begin.
Hash128 Salt(std::string_view tenant, const Hash128& fingerprint);

/// The hash of a prefix that goes on with `token` after the prefix of hash `before`.
Hash128 Chained(const Hash128& before, std::int32_t token) noexcept;

}  // namespace baleen::kvcache

template <>
struct std::hash<baleen::kvcache::Hash128> {
  std::size_t operator()(const baleen::kvcache::Hash128& of) const noexcept { return static_cast<std::size_t>(of.low); }
};

#include "kvcache/store_record.h"

#define XXH_STATIC_LINKING_ONLY  // the size of the state
#include <xxhash.h>

#include <algorithm>

namespace baleen::kvcache {
namespace {

constexpr std::array<std::byte, 8> kBegin = {std::byte{'B'}, std::byte{'K'}, std::byte{'V'}, std::byte{'R'}, std::byte{1}};
constexpr std::size_t kFingerprint = 8, kKey = 24, kSize = 40, kChecksum = 48;

void Put(RecordHead& head, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) head[at + i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint64_t Get(const RecordHead& head, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(head[at + i]) << (8 * i);
  return value;
}

void Put(RecordHead& head, std::size_t at, const Hash128& hash) {
  Put(head, at, hash.low);
  Put(head, at + 8, hash.high);
}

Hash128 GetHash(const RecordHead& head, std::size_t at) { return {Get(head, at), Get(head, at + 8)}; }

Hash128 Checksum(const RecordHead& head, std::span<const std::byte> content) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, head.data(), kChecksum);
  XXH3_128bits_update(&state, content.data(), content.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.low64, hash.high64};
}

}  // namespace

RecordHead MakeRecordHead(const Hash128& fingerprint, const Hash128& key, std::span<const std::byte> content) {
  RecordHead head{};
  std::ranges::copy(kBegin, head.begin());
  Put(head, kFingerprint, fingerprint);
  Put(head, kKey, key);
  Put(head, kSize, content.size());
  Put(head, kChecksum, Checksum(head, content));
  return head;
}

std::optional<std::uint64_t> ContentBytes(const RecordHead& head, const Hash128& fingerprint, const Hash128& key, std::uint64_t file_bytes) {
  const bool ours = std::equal(kBegin.begin(), kBegin.end(), head.begin()) && GetHash(head, kFingerprint) == fingerprint && GetHash(head, kKey) == key;
  if (!ours || file_bytes < kRecordHeadBytes || Get(head, kSize) != file_bytes - kRecordHeadBytes) return std::nullopt;
  return Get(head, kSize);
}

bool IsWhole(const RecordHead& head, std::span<const std::byte> content) { return GetHash(head, kChecksum) == Checksum(head, content); }

}  // namespace baleen::kvcache

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace baleen::kvcache {

/// What a record on disk says of a prefix (docs/formats.md, "Snapshots"): integers little-endian, one after another
///
///   u64 tokens of the prefix, u64 bytes of the tenant, u64 ancestors
///   i64 per ancestor: its tokens, rising; records that this one needs, the last is its parent
///   i32 per token behind the parent
///   the tenant, the full blocks behind the parent's, the saved state (snapshot.h)
struct PrefixRecord {
  std::int64_t length = 0;
  std::string_view tenant;
  std::vector<std::int64_t> ancestors;
  std::vector<std::int32_t> tokens;
  std::span<const std::byte> payload;  // blocks and state

  std::int64_t parent_length() const noexcept { return ancestors.empty() ? 0 : ancestors.back(); }
};

/// Head, with room for payload_bytes behind it.
std::vector<std::byte> WriteRecordHead(const PrefixRecord& record, std::uint64_t payload_bytes);

/// Views into `content`. Nothing if it is not a record: a count that the content cannot hold, ancestors that do not rise below `length`.
std::optional<PrefixRecord> ReadRecord(std::span<const std::byte> content);

}  // namespace baleen::kvcache

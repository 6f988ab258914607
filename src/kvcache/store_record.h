#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kvcache/hash.h"

namespace baleen::kvcache {

/// The start of a record's file (docs/formats.md, "Records of the cache"): 64 bytes, little-endian, then the content.
///
///   0   4  "BKVR"
///   4   4  version of the format, 1
///   8  16  fingerprint: low, high
///  24  16  key: low, high
///  40   8  bytes of the content
///  48  16  XXH3-128 of bytes 0…47 and the content: low, high
constexpr std::size_t kRecordHeadBytes = 64;
using RecordHead = std::array<std::byte, kRecordHeadBytes>;

RecordHead MakeRecordHead(const Hash128& fingerprint, const Hash128& key, std::span<const std::byte> content);

/// Bytes of the content that a file of `file_bytes` with this head must hold; nothing if the head is not one of this format, fingerprint and
/// key, or the sizes disagree.
std::optional<std::uint64_t> ContentBytes(const RecordHead& head, const Hash128& fingerprint, const Hash128& key, std::uint64_t file_bytes);

/// Whether head and content are what was written together.
bool IsWhole(const RecordHead& head, std::span<const std::byte> content);

}  // namespace baleen::kvcache

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace baleen::text {

/// A table from a 64-bit key to a 64-bit value that only grows: open addressing, one cache line for most look-ups.
class KeyTable {
 public:
  /// Sets a key's value, replacing an earlier one. Keys are below 2^64 − 1.
  void Set(std::uint64_t key, std::uint64_t value);
  /// The value of a key, or nullptr. Valid until the next Set.
  const std::uint64_t* Find(std::uint64_t key) const noexcept;

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kFree, value = 0;
  };
  std::size_t Place(std::uint64_t key) const noexcept;

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

/// Byte-pair encoding of one piece of text: pairs of neighbouring tokens are joined, lowest rank first and leftmost among equals,
/// until no pair is in the table of merges.
class BytePairEncoder {
 public:
  /// byte_ids: the token of each single byte.
  void SetByte(std::uint8_t byte, std::int32_t id) { byte_ids_[byte] = id; }
  /// The pair (left, right) becomes `joined`; a lower rank goes first. A pair that is given again takes the later rank.
  void AddMerge(std::int32_t left, std::int32_t right, std::uint32_t rank, std::int32_t joined);

  /// Appends the tokens of a piece to `ids`. Cost O(n log n), also for a piece of a million bytes.
  void Encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

 private:
  KeyTable merges_;  // left << 32 | right  ->  rank << 32 | joined
  std::int32_t byte_ids_[256] = {};
};

}  // namespace baleen::text

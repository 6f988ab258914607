#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace baleen::engine {

/// How often each token stands in an answer so far: what penalties look at. The prompt is not counted. One per request; its size follows
/// the different tokens of the answer, not the vocabulary.
class TokenCounts {
 public:
  struct Entry {
    std::int32_t id = 0;
    std::uint32_t count = 0;
  };

  /// Takes the memory for so many different tokens at once; Add takes none up to there.
  void Reserve(std::size_t different) { entries_.reserve(different); }

  /// The token was appended to the answer.
  void Add(std::int32_t id);
  void Clear() noexcept { entries_.clear(); }

  /// By rising id; counts are at least 1.
  std::span<const Entry> entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace baleen::engine

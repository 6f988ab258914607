#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "diagnostics/result.h"
#include "hardware/memory.h"
#include "kvcache/layout.h"

namespace baleen::kvcache {

/// The attention state of one sequence: everything a step reads of the tokens before it. Holds at most `capacity` tokens; its memory is
/// taken when it is made and is Layout::Bytes(capacity), rounded up to pages by the system.
class Sequence {
 public:
  /// Errors: capacity_tokens < 1, or the machine cannot give the memory. `layout` must outlive the sequence.
  static Result<Sequence> Create(const Layout& layout, std::int64_t capacity_tokens);

  std::int64_t length() const noexcept { return length_; }
  std::int64_t capacity() const noexcept { return capacity_; }
  std::uint64_t bytes() const noexcept { return memory_.size(); }

  /// Forgets every token.
  void Reset() noexcept { length_ = 0; }

  /// Counts `tokens` more tokens as processed; the step has written their state.
  void Advance(std::int64_t tokens) noexcept;

  /// The layer's window ring and compressed entries, with first_position and rows for the caller to fill.
  backend::CacheView Layer(std::int64_t layer) noexcept;

  /// Values then gates, [2][rows, channels] of the layer's compressor and of its indexer's.
  float* Tail(std::int64_t layer) noexcept;
  float* IndexTail(std::int64_t layer) noexcept;

  /// [carry_floats] streams of the last token.
  float* Carry() noexcept;

 private:
  Sequence(const Layout& layout, std::int64_t capacity, hardware::Region memory);

  const Layout* layout_;
  std::int64_t capacity_, length_ = 0;
  std::vector<std::uint64_t> begins_;
  hardware::Region memory_;
};

}  // namespace baleen::kvcache

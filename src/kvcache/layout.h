#pragma once

#include <cstdint>
#include <vector>

#include "backend/ops.h"

namespace baleen::kvcache {

/// A compressor's streaming state (§4.4): the last `rows` rows of values and gates, fp32.
struct TailLayout {
  std::int64_t rows = 0;      // ratio, or 2·ratio where windows overlap; 0 = no compressor
  std::int64_t channels = 0;  // c·h
};

/// What one layer keeps of a sequence (§10).
struct LayerLayout {
  std::int64_t window = 0;           // KV rows that a step reads of the tokens before it
  std::int64_t ratio = 0;            // source tokens per compressed entry; 0 = none
  backend::KvRowLayout row;
  TailLayout tail;
  bool indexed = false;              // also index keys, with their own compressor
  backend::IndexRowLayout index_row;
  TailLayout index_tail;
};

/// What the whole model keeps of a sequence: a state of fixed size (window rings, compressor tails) for all layers (drafter modules last),
/// and the compressed entries in blocks of BlockTokens() source tokens.
struct Layout {
  std::vector<LayerLayout> layers;
  std::int64_t spare_rows = 1;       // how many of its last tokens a sequence can give up again; every ring has so many slots more
  std::int64_t context = INT64_MAX;  // tokens of the longest sequence; a block takes no memory for more

  /// Slots of a window ring and of a compressor's ring: position p lies in slot p mod slots.
  std::int64_t WindowSlots(const LayerLayout& layer) const noexcept { return layer.window + spare_rows; }
  std::int64_t TailSlots(const TailLayout& tail) const noexcept { return tail.rows == 0 ? 0 : tail.rows + spare_rows; }

  /// Source tokens of a block: the least common multiple of 128 and all ratios, so that windows end where blocks do. Where it exceeds 2^40
  /// it is 2^40: one block for any context.
  std::int64_t BlockTokens() const noexcept;
  std::int64_t Blocks(std::int64_t tokens) const noexcept;

  /// Bytes of a sequence's state, of a block, and of a sequence of so many tokens; every piece is padded to 64.
  std::uint64_t StateBytes() const;
  std::uint64_t BlockBytes() const;
  std::uint64_t Bytes(std::int64_t tokens) const;
};

}  // namespace baleen::kvcache

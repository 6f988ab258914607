#pragma once

#include <cstdint>
#include <vector>

#include "backend/ops.h"

namespace baleen::kvcache {

/// A compressor's streaming state (§4.4): the last `tail_rows` rows of values and gates, fp32.
struct TailLayout {
  std::int64_t rows = 0;      // ratio, or 2·ratio where windows overlap; 0 = no compressor
  std::int64_t channels = 0;  // c·h

  std::int64_t Floats() const noexcept { return 2 * rows * channels; }
};

/// What one layer keeps of a sequence (§10).
struct LayerLayout {
  std::int64_t window = 0;           // KV rows in the ring
  std::int64_t ratio = 0;            // source tokens per compressed entry; 0 = none
  backend::KvRowLayout row;
  TailLayout tail;
  bool indexed = false;              // also index keys, with their own compressor
  backend::IndexRowLayout index_row;
  TailLayout index_tail;

  std::int64_t Entries(std::int64_t capacity_tokens) const noexcept { return ratio == 0 ? 0 : capacity_tokens / ratio; }

  /// Bytes of one sequence's state in this layer, every piece padded to 64.
  std::uint64_t Bytes(std::int64_t capacity_tokens) const noexcept;
};

/// What the whole model keeps of a sequence: its layers (drafter modules last), and the residual streams of its last token, which the
/// MTP module pairs with the next one (§7.1).
struct Layout {
  std::vector<LayerLayout> layers;
  std::int64_t carry_floats = 0;

  std::uint64_t Bytes(std::int64_t capacity_tokens) const noexcept;
};

}  // namespace baleen::kvcache

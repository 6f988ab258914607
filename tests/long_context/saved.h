#pragma once

#include <cstring>
#include <vector>

#include "diagnostics/check.h"
#include "kvcache/snapshot.h"

namespace baleen::long_context {

/// A sequence as bytes: its full blocks, then what a continuation reads beside them. What a disk would hold.
struct Saved {
  std::int64_t length = 0;
  std::vector<std::byte> blocks, state;

  explicit Saved(const kvcache::Sequence& sequence) : length(sequence.length()), state(kvcache::SavedBytes(sequence.layout(), length)) {
    const auto full = static_cast<std::size_t>(length / sequence.layout().BlockTokens()), bytes = sequence.layout().BlockBytes();
    blocks.resize(full * bytes);
    for (std::size_t i = 0; i < full; ++i) std::memcpy(blocks.data() + i * bytes, sequence.pool().Block(sequence.blocks()[i]), bytes);
    kvcache::Save(sequence, length, state);
  }

  /// Into an empty sequence with its own memory; whatever else lies there is overwritten with NaN.
  void Restore(kvcache::Sequence& sequence) const {
    const auto bytes = sequence.layout().BlockBytes();
    CHECK(sequence.length() == 0 && sequence.reserved() >= length);
    for (std::size_t i = 0; i < sequence.blocks().size(); ++i) {
      std::byte* block = sequence.pool().Block(sequence.blocks()[i]);
      if ((i + 1) * bytes <= blocks.size()) {
        std::memcpy(block, blocks.data() + i * bytes, bytes);
      } else {
        std::memset(block, 0xFF, bytes);
      }
    }
    std::memset(sequence.pool().State(0), 0xFF, sequence.layout().StateBytes());
    kvcache::Load(sequence, length, state);
  }
};

}  // namespace baleen::long_context

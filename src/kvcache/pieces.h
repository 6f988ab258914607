#pragma once

#include "kvcache/layout.h"

namespace baleen::kvcache {

/// Byte offsets of a layer's pieces: from the beginning of a sequence's state, and from that of each of its blocks.
struct LayerPieces {
  std::uint64_t window = 0, tail = 0, index_tail = 0;  // in the state
  std::uint64_t entries = 0, index_entries = 0;        // in a block
};

/// Where everything lies.
struct Pieces {
  std::vector<LayerPieces> layers;
  std::uint64_t state_bytes = 0, block_bytes = 0;
};

Pieces PiecesOf(const Layout& layout);

}  // namespace baleen::kvcache

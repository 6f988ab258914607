#pragma once

#include "kvcache/layout.h"

namespace baleen::kvcache {

constexpr std::uint64_t Padded(std::int64_t bytes) noexcept { return (static_cast<std::uint64_t>(bytes) + 63) / 64 * 64; }

/// Byte offsets of a layer's pieces from the layer's beginning.
struct Pieces {
  std::uint64_t window = 0, tail = 0, entries = 0, index_tail = 0, index_entries = 0, end = 0;
};

inline Pieces PiecesOf(const LayerLayout& layer, std::int64_t capacity_tokens) noexcept {
  const std::int64_t entries = layer.Entries(capacity_tokens);
  Pieces at;
  at.tail = at.window + Padded(layer.window * layer.row.RowBytes());
  at.entries = at.tail + Padded(4 * layer.tail.Floats());
  at.index_tail = at.entries + Padded(entries * layer.row.RowBytes());
  at.index_entries = at.index_tail + Padded(4 * layer.index_tail.Floats());
  at.end = at.index_entries + (layer.indexed ? Padded(entries * layer.index_row.RowBytes()) : 0);
  return at;
}

}  // namespace baleen::kvcache

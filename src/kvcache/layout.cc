#include "kvcache/layout.h"

#include <algorithm>
#include <numeric>

#include "kvcache/pieces.h"

namespace baleen::kvcache {
namespace {

constexpr std::int64_t kMostBlockTokens = std::int64_t{1} << 40;

std::uint64_t Padded(std::int64_t bytes) noexcept { return (static_cast<std::uint64_t>(bytes) + 63) / 64 * 64; }

}  // namespace

Pieces PiecesOf(const Layout& layout) {
  Pieces pieces;
  const std::int64_t tokens = std::min(layout.BlockTokens(), layout.context);
  const auto take = [](std::uint64_t& end, std::int64_t bytes) {
    const std::uint64_t begin = end;
    end += Padded(bytes);
    return begin;
  };
  for (const LayerLayout& layer : layout.layers) {
    const std::int64_t entries = layer.ratio == 0 ? 0 : tokens / layer.ratio;
    pieces.layers.push_back({
        .window = take(pieces.state_bytes, layout.WindowSlots(layer) * layer.row.RowBytes()),
        .tail = take(pieces.state_bytes, 8 * layout.TailSlots(layer.tail) * layer.tail.channels),
        .index_tail = take(pieces.state_bytes, 8 * layout.TailSlots(layer.index_tail) * layer.index_tail.channels),
        .entries = take(pieces.block_bytes, entries * layer.row.RowBytes()),
        .index_entries = take(pieces.block_bytes, layer.indexed ? entries * layer.index_row.RowBytes() : 0),
    });
  }
  return pieces;
}

std::int64_t Layout::BlockTokens() const noexcept {
  std::int64_t tokens = 128;
  for (const LayerLayout& layer : layers) {
    if (layer.ratio == 0) continue;
    const std::int64_t factor = layer.ratio / std::gcd(tokens, layer.ratio);
    if (tokens > kMostBlockTokens / factor) return kMostBlockTokens;
    tokens *= factor;
  }
  return tokens;
}

std::int64_t Layout::Blocks(std::int64_t tokens) const noexcept {
  const std::int64_t block = BlockTokens();
  return tokens / block + (tokens % block != 0 ? 1 : 0);
}

std::uint64_t Layout::StateBytes() const { return PiecesOf(*this).state_bytes; }

std::uint64_t Layout::BlockBytes() const { return PiecesOf(*this).block_bytes; }

std::uint64_t Layout::Bytes(std::int64_t tokens) const { return StateBytes() + static_cast<std::uint64_t>(Blocks(tokens)) * BlockBytes(); }

}  // namespace baleen::kvcache

#include "kvcache/layout.h"

#include "kvcache/pieces.h"

namespace baleen::kvcache {

std::uint64_t LayerLayout::Bytes(std::int64_t capacity_tokens) const noexcept { return PiecesOf(*this, capacity_tokens).end; }

std::uint64_t Layout::Bytes(std::int64_t capacity_tokens) const noexcept {
  std::uint64_t bytes = Padded(4 * carry_floats);
  for (const LayerLayout& layer : layers) bytes += layer.Bytes(capacity_tokens);
  return bytes;
}

}  // namespace baleen::kvcache

#include "kvcache/sequence.h"

#include <string>
#include <utility>

#include "diagnostics/check.h"
#include "kvcache/pieces.h"

namespace baleen::kvcache {

Result<Sequence> Sequence::Create(const Layout& layout, std::int64_t capacity_tokens) {
  if (capacity_tokens < 1) return diagnostics::InvalidInput("a sequence needs room for at least 1 token, asked for " + std::to_string(capacity_tokens));
  TRY_ASSIGN(hardware::Region memory,
             hardware::Region::Allocate(layout.Bytes(capacity_tokens), "the attention state of " + std::to_string(capacity_tokens) + " tokens"));
  return Sequence(layout, capacity_tokens, std::move(memory));
}

Sequence::Sequence(const Layout& layout, std::int64_t capacity, hardware::Region memory) : layout_(&layout), capacity_(capacity), memory_(std::move(memory)) {
  std::uint64_t begin = Padded(4 * layout.carry_floats);
  for (const LayerLayout& layer : layout.layers) {
    begins_.push_back(begin);
    begin += layer.Bytes(capacity);
  }
}

void Sequence::Advance(std::int64_t tokens) noexcept {
  length_ += tokens;
  CHECK(length_ <= capacity_);
}

backend::CacheView Sequence::Layer(std::int64_t layer) noexcept {
  const LayerLayout& layout = layout_->layers[static_cast<std::size_t>(layer)];
  const Pieces at = PiecesOf(layout, capacity_);
  std::byte* begin = memory_.data() + begins_[static_cast<std::size_t>(layer)];
  return {.window = begin + at.window, .window_rows = layout.window, .entries = begin + at.entries, .index_entries = begin + at.index_entries};
}

float* Sequence::Tail(std::int64_t layer) noexcept {
  const Pieces at = PiecesOf(layout_->layers[static_cast<std::size_t>(layer)], capacity_);
  return reinterpret_cast<float*>(memory_.data() + begins_[static_cast<std::size_t>(layer)] + at.tail);
}

float* Sequence::IndexTail(std::int64_t layer) noexcept {
  const Pieces at = PiecesOf(layout_->layers[static_cast<std::size_t>(layer)], capacity_);
  return reinterpret_cast<float*>(memory_.data() + begins_[static_cast<std::size_t>(layer)] + at.index_tail);
}

float* Sequence::Carry() noexcept { return reinterpret_cast<float*>(memory_.data()); }

}  // namespace baleen::kvcache

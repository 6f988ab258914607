#include "kvcache/sequence.h"

#include <algorithm>
#include <string>
#include <utility>

#include "diagnostics/check.h"

namespace baleen::kvcache {
namespace {

Status CheckCapacity(std::int64_t capacity_tokens) {
  if (capacity_tokens < 1) return diagnostics::InvalidInput("a sequence needs room for at least 1 token, asked for " + std::to_string(capacity_tokens));
  return {};
}

}  // namespace

Result<Sequence> Sequence::Create(const Layout& layout, std::int64_t capacity_tokens) {
  TRY(CheckCapacity(capacity_tokens));
  TRY_ASSIGN(std::unique_ptr<Pool> own,
             Pool::Create(layout, layout.Blocks(capacity_tokens), 1, "the attention state of " + std::to_string(capacity_tokens) + " tokens"));
  Pool* pool = own.get();
  Sequence sequence(*pool, capacity_tokens);
  sequence.Begin(std::move(own), *pool, *pool->TakeState());
  CHECK(sequence.Reserve(capacity_tokens));
  return sequence;
}

Result<Sequence> Sequence::Create(Pool& pool, std::int64_t capacity_tokens) {
  TRY(CheckCapacity(capacity_tokens));
  Sequence sequence(pool, capacity_tokens);
  const std::optional<StateId> state = pool.TakeState();
  if (!state) {
    return diagnostics::ResourceError("all " + std::to_string(pool.states()) + " sequences that the memory was planned for are in use; wait for one to end");
  }
  sequence.Begin(nullptr, pool, *state);
  return sequence;
}

Sequence::Sequence(const Pool& pool, std::int64_t capacity) : capacity_(capacity) {
  const auto most = static_cast<std::size_t>(pool.layout().Blocks(capacity));
  blocks_.reserve(most);
  places_.reserve(most);
}

void Sequence::Begin(std::unique_ptr<Pool> own, Pool& pool, StateId state) noexcept {
  own_ = std::move(own);
  pool_ = &pool;
  state_ = state;
}

Sequence::Sequence(Sequence&& other) noexcept { *this = std::move(other); }

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  std::swap(own_, other.own_);
  std::swap(pool_, other.pool_);
  std::swap(state_, other.state_);
  std::swap(capacity_, other.capacity_);
  std::swap(length_, other.length_);
  std::swap(shortest_, other.shortest_);
  std::swap(blocks_, other.blocks_);
  std::swap(places_, other.places_);
  return *this;
}

Sequence::~Sequence() {
  if (pool_ == nullptr) return;
  ReleaseBlocks();
  pool_->ReleaseState(state_);
}

void Sequence::ReleaseBlocks() noexcept {
  while (!blocks_.empty()) {
    pool_->Release(blocks_.back());
    blocks_.pop_back();
    places_.pop_back();
  }
}

void Sequence::Append(BlockId block) noexcept {
  CHECK(blocks_.size() < blocks_.capacity());
  blocks_.push_back(block);
  places_.push_back(pool_->Block(block));
}

bool Sequence::Reserve(std::int64_t tokens) noexcept {
  CHECK(tokens <= capacity_);
  const std::int64_t missing = layout().Blocks(tokens) - static_cast<std::int64_t>(blocks_.size());
  if (missing > pool_->free_blocks()) return false;
  for (std::int64_t i = 0; i < missing; ++i) Append(*pool_->TakeBlock());
  return true;
}

std::int64_t Sequence::reserved() const noexcept {
  const auto blocks = static_cast<std::int64_t>(blocks_.size());
  return blocks > capacity_ / pool_->block_tokens() ? capacity_ : blocks * pool_->block_tokens();
}

void Sequence::Reset() noexcept {
  length_ = shortest_ = 0;
  if (own_ == nullptr) ReleaseBlocks();
}

void Sequence::Advance(std::int64_t tokens) noexcept {
  length_ += tokens;
  CHECK(length_ <= reserved());
  shortest_ = std::max(shortest_, length_ - layout().spare_rows);
}

void Sequence::Rollback(std::int64_t length) noexcept {
  CHECK(length >= shortest_ && length <= length_);
  const auto written_again = static_cast<std::size_t>(length / pool_->block_tokens());
  for (std::size_t b = written_again; b < blocks_.size(); ++b) CHECK(pool_->Users(blocks_[b]) == 1);
  length_ = length;
}

void Sequence::Adopt(std::span<const BlockId> blocks) noexcept {
  CHECK(own_ == nullptr && length_ == 0 && blocks_.empty());
  for (const BlockId block : blocks) {
    pool_->Share(block);
    Append(block);
  }
}

void Sequence::Resume(std::int64_t length) noexcept {
  CHECK(length_ == 0 && length <= reserved());
  length_ = shortest_ = length;
}

backend::CacheView Sequence::Layer(std::int64_t layer) const noexcept {
  const LayerLayout& kept = layout().layers[static_cast<std::size_t>(layer)];
  const LayerPieces& at = pool_->pieces().layers[static_cast<std::size_t>(layer)];
  const std::int64_t per_block = kept.ratio == 0 ? 0 : pool_->block_tokens() / kept.ratio;
  return {.window = pool_->State(state_) + at.window,
          .window_rows = layout().WindowSlots(kept),
          .entries = {places_.data(), per_block, static_cast<std::int64_t>(at.entries)},
          .index_entries = {places_.data(), per_block, static_cast<std::int64_t>(at.index_entries)}};
}

TailRing Sequence::Ring(const TailLayout& tail, std::uint64_t offset) const noexcept {
  const std::int64_t slots = layout().TailSlots(tail);
  auto* value = reinterpret_cast<float*>(pool_->State(state_) + offset);
  return {value, value + slots * tail.channels, slots};
}

TailRing Sequence::Tail(std::int64_t layer) const noexcept {
  return Ring(layout().layers[static_cast<std::size_t>(layer)].tail, pool_->pieces().layers[static_cast<std::size_t>(layer)].tail);
}

TailRing Sequence::IndexTail(std::int64_t layer) const noexcept {
  return Ring(layout().layers[static_cast<std::size_t>(layer)].index_tail, pool_->pieces().layers[static_cast<std::size_t>(layer)].index_tail);
}

}  // namespace baleen::kvcache

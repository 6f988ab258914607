#include "kvcache/pool.h"

#include <utility>

#include "diagnostics/check.h"

namespace baleen::kvcache {

Result<std::unique_ptr<Pool>> Pool::Create(const Layout& layout, std::int64_t blocks, std::int64_t sequences, std::string_view purpose) {
  CHECK(blocks >= 0 && sequences >= 0);
  Pieces pieces = PiecesOf(layout);
  const std::uint64_t bytes = pieces.state_bytes * static_cast<std::uint64_t>(sequences) + pieces.block_bytes * static_cast<std::uint64_t>(blocks);
  TRY_ASSIGN(hardware::Region memory, hardware::Region::Allocate(bytes, purpose));
  return std::unique_ptr<Pool>(new Pool(layout, std::move(pieces), blocks, sequences, std::move(memory)));
}

Pool::Pool(const Layout& layout, Pieces pieces, std::int64_t blocks, std::int64_t sequences, hardware::Region memory)
    : layout_(&layout), pieces_(std::move(pieces)), block_tokens_(layout.BlockTokens()), states_(sequences), memory_(std::move(memory)),
      users_(static_cast<std::size_t>(blocks), 0) {
  free_blocks_.reserve(users_.size());
  for (BlockId block = blocks; block-- > 0;) free_blocks_.push_back(block);
  free_states_.reserve(static_cast<std::size_t>(sequences));
  for (StateId state = sequences; state-- > 0;) free_states_.push_back(state);
}

std::optional<BlockId> Pool::TakeBlock() noexcept {
  if (free_blocks_.empty()) return std::nullopt;
  const BlockId block = free_blocks_.back();
  free_blocks_.pop_back();
  users_[static_cast<std::size_t>(block)] = 1;
  return block;
}

void Pool::Share(BlockId block) noexcept {
  CHECK(Users(block) > 0);
  ++users_[static_cast<std::size_t>(block)];
}

void Pool::Release(BlockId block) noexcept {
  CHECK(Users(block) > 0);
  if (--users_[static_cast<std::size_t>(block)] == 0) free_blocks_.push_back(block);
}

std::byte* Pool::Block(BlockId block) const noexcept {
  return memory_.data() + pieces_.state_bytes * static_cast<std::uint64_t>(states_) + pieces_.block_bytes * static_cast<std::uint64_t>(block);
}

std::optional<StateId> Pool::TakeState() noexcept {
  if (free_states_.empty()) return std::nullopt;
  const StateId state = free_states_.back();
  free_states_.pop_back();
  return state;
}

void Pool::ReleaseState(StateId state) noexcept {
  CHECK(free_states() < states_);
  free_states_.push_back(state);
}

std::byte* Pool::State(StateId state) const noexcept { return memory_.data() + pieces_.state_bytes * static_cast<std::uint64_t>(state); }

}  // namespace baleen::kvcache

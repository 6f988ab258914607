#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"
#include "hardware/memory.h"
#include "kvcache/pieces.h"

namespace baleen::kvcache {

/// A block of compressed entries in a pool, and a sequence's state there.
using BlockId = std::int64_t;
using StateId = std::int64_t;

/// The memory of many sequences, taken at once: states of fixed size, and blocks that are counted by their users. What a taken block or
/// state holds is garbage. Nothing is allocated after Create. Not thread-safe.
class Pool {
 public:
  /// `layout` must outlive the pool; `purpose` stands in the error. Errors: the machine cannot give the memory.
  static Result<std::unique_ptr<Pool>> Create(const Layout& layout, std::int64_t blocks, std::int64_t sequences,
                                              std::string_view purpose = "the attention state of all sequences");

  /// A free block, used once; nothing when none is free. The block released last comes first: it may still lie in a cache of the machine.
  std::optional<BlockId> TakeBlock() noexcept;
  /// One more user, one less; a block without users is free.
  void Share(BlockId block) noexcept;
  void Release(BlockId block) noexcept;
  std::int64_t Users(BlockId block) const noexcept { return users_[static_cast<std::size_t>(block)]; }
  std::byte* Block(BlockId block) const noexcept;

  std::optional<StateId> TakeState() noexcept;
  void ReleaseState(StateId state) noexcept;
  std::byte* State(StateId state) const noexcept;

  std::int64_t blocks() const noexcept { return static_cast<std::int64_t>(users_.size()); }
  std::int64_t free_blocks() const noexcept { return static_cast<std::int64_t>(free_blocks_.size()); }
  std::int64_t used_blocks() const noexcept { return blocks() - free_blocks(); }
  std::int64_t states() const noexcept { return states_; }
  std::int64_t free_states() const noexcept { return static_cast<std::int64_t>(free_states_.size()); }

  const Layout& layout() const noexcept { return *layout_; }
  const Pieces& pieces() const noexcept { return pieces_; }
  std::int64_t block_tokens() const noexcept { return block_tokens_; }
  std::uint64_t bytes() const noexcept { return memory_.size(); }

 private:
  Pool(const Layout& layout, Pieces pieces, std::int64_t blocks, std::int64_t sequences, hardware::Region memory);

  const Layout* layout_;
  Pieces pieces_;
  std::int64_t block_tokens_, states_;
  hardware::Region memory_;  // the states, then the blocks
  std::vector<std::int32_t> users_;
  std::vector<BlockId> free_blocks_;
  std::vector<StateId> free_states_;
};

}  // namespace baleen::kvcache

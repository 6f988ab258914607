#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "diagnostics/result.h"
#include "kvcache/layout.h"
#include "kvcache/pool.h"

namespace baleen::kvcache {

/// A compressor's ring: position p lies in slot p mod slots.
struct TailRing {
  float* value = nullptr;  // [slots, channels]
  float* gate = nullptr;   // [slots, channels]
  std::int64_t slots = 0;
};

/// The attention state of one sequence: everything a step reads of the tokens before it. Holds at most `capacity` tokens. Its state and
/// blocks lie in a pool: its own (all memory is taken when it is made and is Layout::Bytes(capacity), rounded up to pages by the system) or
/// one shared with others (blocks are taken by Reserve).
class Sequence {
 public:
  /// With its own memory. Errors: capacity_tokens < 1, or the machine cannot give the memory. `layout` must outlive the sequence.
  static Result<Sequence> Create(const Layout& layout, std::int64_t capacity_tokens);
  /// In a pool that outlives it. Errors: capacity_tokens < 1, or no state is free.
  static Result<Sequence> Create(Pool& pool, std::int64_t capacity_tokens);

  Sequence(Sequence&& other) noexcept;
  Sequence& operator=(Sequence&& other) noexcept;
  ~Sequence();

  std::int64_t length() const noexcept { return length_; }
  std::int64_t capacity() const noexcept { return capacity_; }
  const Layout& layout() const noexcept { return pool_->layout(); }
  const Pool& pool() const noexcept { return *pool_; }
  /// Bytes of the pool of a sequence alone.
  std::uint64_t bytes() const noexcept { return own_ == nullptr ? 0 : own_->bytes(); }

  /// Takes the blocks of the first `tokens` tokens (at most capacity). false, and nothing is taken, when the pool has too few.
  bool Reserve(std::int64_t tokens) noexcept;
  /// Tokens that the blocks have room for, at most capacity.
  std::int64_t reserved() const noexcept;

  /// Forgets every token; a sequence in a shared pool gives its blocks back.
  void Reset() noexcept;

  /// Counts `tokens` more tokens as processed; the step has written their state.
  void Advance(std::int64_t tokens) noexcept;

  /// Forgets the tokens from `length` on. Requires: length >= shortest(), and no one else uses the blocks that are written again.
  void Rollback(std::int64_t length) noexcept;
  /// The least length that the rings still hold everything for: spare_rows less than the sequence ever had, or what it was resumed with.
  std::int64_t shortest() const noexcept { return shortest_; }

  /// Begins with full blocks of the same pool. Requires: an empty sequence without blocks, and room for them.
  void Adopt(std::span<const BlockId> blocks) noexcept;
  /// Counts the first `length` tokens as processed: their blocks and the state at that length have been put in place.
  void Resume(std::int64_t length) noexcept;

  /// The blocks, in order.
  std::span<const BlockId> blocks() const noexcept { return blocks_; }

  /// The layer's window ring and compressed entries, with first_position and rows for the caller to fill.
  backend::CacheView Layer(std::int64_t layer) const noexcept;

  /// The rings of the layer's compressor and of its indexer's.
  TailRing Tail(std::int64_t layer) const noexcept;
  TailRing IndexTail(std::int64_t layer) const noexcept;

 private:
  Sequence(const Pool& pool, std::int64_t capacity);
  void Begin(std::unique_ptr<Pool> own, Pool& pool, StateId state) noexcept;
  void ReleaseBlocks() noexcept;
  void Append(BlockId block) noexcept;
  TailRing Ring(const TailLayout& tail, std::uint64_t offset) const noexcept;

  std::unique_ptr<Pool> own_;
  Pool* pool_ = nullptr;
  StateId state_ = 0;
  std::int64_t capacity_ = 0, length_ = 0, shortest_ = 0;
  std::vector<BlockId> blocks_;
  std::vector<std::byte*> places_;  // of the blocks
};

}  // namespace baleen::kvcache

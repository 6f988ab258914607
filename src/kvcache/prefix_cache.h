#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "diagnostics/result.h"
#include "kvcache/prefix_tree.h"
#include "kvcache/sequence.h"
#include "kvcache/snapshot.h"
#include "kvcache/store.h"

namespace baleen::kvcache {

struct PrefixCacheOptions {
  std::int64_t interval = 512;       // tokens between snapshots of a long prompt
  double tenant_quota = 1.0;         // share of the pool that a tenant's snapshots may keep from being given up for other tenants
  std::filesystem::path directory;   // empty = in memory only
  std::uint64_t disk_bytes = std::uint64_t{16} << 30;
  Hash128 fingerprint;               // of the weights and the config: what is stored for one model is never read for another
};

class PrefixCache;
struct PrefixFetch;  // a snapshot that is being read from disk

/// A snapshot that stays while this lives; empty = none. The cache must outlive it.
class Lease {
 public:
  Lease() noexcept;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const noexcept { return length_ > 0; }
  /// Tokens of the snapshot.
  std::int64_t length() const noexcept { return length_; }
  /// false: it is on disk, and Fetch must be called until it says kReady.
  bool ready() const noexcept { return length_ > 0 && fetch_ == nullptr; }

 private:
  friend class PrefixCache;
  Lease(PrefixTree& tree, PrefixNode& node);
  void Release() noexcept;

  PrefixTree* tree_ = nullptr;
  PrefixNode* node_ = nullptr;  // pinned; while fetching, the deepest prefix that is in memory, or null
  std::int64_t length_ = 0;
  std::unique_ptr<PrefixFetch> fetch_;
};

/// Snapshots of sequences by their tokens, so that a sequence that begins as an earlier one did goes on from there with the same bits.
/// They lie in the pool beside the running sequences, give way to them, and are kept on disk too where a directory is given. Tenants
/// share nothing. What a hash finds is used only after its tokens were compared. Not thread-safe.
class PrefixCache {
 public:
  /// `pool` must outlive the cache. Errors: those of Store::Open.
  static Result<std::unique_ptr<PrefixCache>> Create(Pool& pool, const PrefixCacheOptions& options);

  /// The deepest snapshot of at most `most_length` of these tokens. In memory or on disk: see Lease::ready.
  Lease Find(std::string_view tenant, std::span<const std::int32_t> tokens, std::int64_t most_length);

  enum class Progress {
    kReady,    // Restore may be called
    kReading,  // call again
    kLost,     // not readable, or no room for it; the lease is empty then. Find may give a shorter one
  };
  /// Reads one record of a snapshot on disk, so that one step of an engine never waits long.
  Progress Fetch(Lease& lease);

  /// Makes an empty sequence of the pool, without blocks, what it was at the snapshot. Requires: the lease is ready. false, and the sequence
  /// is empty: no block is free for the tokens behind the last full block.
  bool Restore(const Lease& lease, Sequence& sequence) const;

  /// Takes a snapshot of the sequence at `length` > 0 tokens, the first of `tokens`, and hands it to the disk. Requires: the sequence may be
  /// rolled back to `length`. `parent`: a ready snapshot of at most `length` of these tokens for this tenant, or empty. If the snapshot is
  /// there already, the lease is that one; it is empty when there is no room.
  Lease Insert(const Lease& parent, std::string_view tenant, std::span<const std::int32_t> tokens, const Sequence& sequence, std::int64_t length);

  /// Gives up snapshots that no lease holds until so many blocks are free: those of tenants over their quota, then where there are quotas
  /// those of `tenant`, then all; of these the ones used longest ago first. Returns how many blocks are free.
  std::int64_t MakeRoom(std::int64_t blocks, std::string_view tenant);

  /// Returns when everything inserted is on disk.
  void Flush();
  /// Gives up everything in memory that no lease holds.
  void Clear();

  /// Blocks that snapshots use, also where sequences use them too.
  std::int64_t cached_blocks() const noexcept { return tree_.held_blocks(); }
  std::int64_t snapshots() const noexcept { return tree_.snapshots(); }
  std::int64_t interval() const noexcept { return options_.interval; }
  const Store* store() const noexcept { return store_.get(); }

 private:
  PrefixCache(Pool& pool, PrefixCacheOptions options, const Hash128& fingerprint, std::unique_ptr<Store> store);
  bool OnDisk(const Hash128& key) const;
  Lease Hit(PrefixNode& node);
  std::int64_t StateBlocks(std::int64_t length) const;
  std::optional<std::vector<BlockId>> TakeBlocks(std::int64_t count, std::string_view tenant);
  PieceList StatePieces(const PrefixNode& node, std::vector<std::byte*>& places) const;
  bool TakeState(PrefixNode& node, const Sequence& sequence, std::int64_t length);
  void WriteRecord(PrefixNode& node);
  bool BeginFetch(Lease& lease);
  bool Attach(Lease& lease, std::int64_t length, std::span<const std::byte> content);
  bool AttachState(PrefixNode& node, std::span<const std::byte> saved);

  Pool* pool_;
  PrefixCacheOptions options_;
  Hash128 fingerprint_;  // also of the layout
  std::unique_ptr<Store> store_;
  PrefixTree tree_;
  std::unordered_set<Hash128> unreadable_;  // records on disk that could not be used
  std::vector<Hash128> keys_;               // of every length of the prompt that Find looks for
};

}  // namespace baleen::kvcache

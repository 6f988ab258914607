#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvcache/hash.h"
#include "kvcache/pool.h"

namespace baleen::kvcache {

/// A prefix of a tenant's tokens in memory: what it has beyond its parent, and the saved state (snapshot.h) where it is a snapshot. A node
/// without one holds blocks for the nodes below it.
struct PrefixNode {
  using Order = std::set<std::pair<std::uint64_t, PrefixNode*>>;  // by use, the longest ago first
  struct Tenant {
    std::int64_t nodes = 0, blocks = 0;  // uses of blocks
    Order order;
  };

  Hash128 key;
  std::string_view tenant;           // the tree's copy
  PrefixNode* parent = nullptr;      // null: no tokens
  std::int64_t length = 0;
  std::vector<std::int32_t> tokens;  // since the parent
  std::vector<BlockId> blocks;       // full ones, since the parent's
  std::vector<BlockId> state;        // blocks that hold the saved state; empty = none
  std::int64_t record_parent = 0;    // length of the prefix that its record on disk goes on from
  std::int64_t children = 0, pins = 0;
  std::uint64_t used = 0;            // when, on the tree's clock
  Tenant* owner = nullptr;           // the tree's entry of the tenant
  Order::node_type place, own_place; // its places in the orders of all and of the tenant, held here while it is in none: listing takes no memory

  std::int64_t first() const noexcept { return parent == nullptr ? 0 : parent->length; }
};

/// The nodes by key, the uses of their blocks, and the order in which they are given up: a leaf goes whole, of an inner node the state.
class PrefixTree {
 public:
  /// Below 1, `quota` is the share of the pool's blocks that a tenant can keep when others need room.
  PrefixTree(Pool& pool, double quota);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  /// Null if there is none.
  PrefixNode* At(const Hash128& key) const noexcept;

  /// A node without state, unpinned: pin it before anything else. Takes over one use of each block, or nothing where memory fails. Requires:
  /// no node of this key.
  PrefixNode& Add(const Hash128& key, std::string_view tenant, PrefixNode* parent, std::span<const std::int32_t> tokens, std::vector<BlockId> blocks);

  /// Takes over one use of each block.
  void SetState(PrefixNode& node, std::vector<BlockId> state);

  /// A pinned node and its ancestors stay.
  void Pin(PrefixNode& node) noexcept;
  void Unpin(PrefixNode& node) noexcept;

  /// Counts as used now.
  void Use(PrefixNode& node) noexcept;

  /// Gives up one leaf or state: of a tenant over its quota, else of `tenant`, else with `of_anyone` of all. false: none can be.
  bool GiveUpOne(std::string_view tenant, bool of_anyone) noexcept;

  /// Whether the node is this prefix of this tenant.
  bool IsPrefix(const PrefixNode& node, std::string_view tenant, std::span<const std::int32_t> tokens) const noexcept;

  /// The full blocks of all ancestors and of the node, in order.
  std::vector<BlockId> BlocksOf(const PrefixNode& node) const;

  std::int64_t held_blocks() const noexcept { return held_blocks_; }
  std::int64_t snapshots() const noexcept { return snapshots_; }

 private:
  using Order = PrefixNode::Order;
  using Tenant = PrefixNode::Tenant;

  void Hold(PrefixNode& node, std::span<const BlockId> blocks) noexcept;
  void Release(PrefixNode& node, std::vector<BlockId>& blocks) noexcept;
  void List(PrefixNode& node) noexcept;
  void Unlist(PrefixNode& node) noexcept;
  const Order* OrderOf(std::string_view tenant, bool of_anyone) const noexcept;
  void RemoveUseless(PrefixNode* node) noexcept;

  Pool* pool_;
  double quota_;
  std::unordered_map<Hash128, std::unique_ptr<PrefixNode>> nodes_;
  std::unordered_map<std::string, Tenant> tenants_;
  Order order_;  // of all tenants
  std::vector<std::int32_t> uses_;  // of each block of the pool, by nodes
  std::int64_t held_blocks_ = 0, snapshots_ = 0;
  std::uint64_t clock_ = 0;
};

}  // namespace baleen::kvcache

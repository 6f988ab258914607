#include "kvcache/prefix_tree.h"

#include <algorithm>

#include "diagnostics/check.h"

namespace baleen::kvcache {

PrefixTree::PrefixTree(Pool& pool, double quota) : pool_(&pool), quota_(quota), uses_(static_cast<std::size_t>(pool.blocks()), 0) {}

PrefixTree::~PrefixTree() {
  while (GiveUpOne({}, true)) {}
  CHECK(nodes_.empty());  // a lease outlives the tree
}

PrefixNode* PrefixTree::At(const Hash128& key) const noexcept {
  const auto found = nodes_.find(key);
  return found == nodes_.end() ? nullptr : found->second.get();
}

PrefixNode& PrefixTree::Add(const Hash128& key, std::string_view tenant, PrefixNode* parent, std::span<const std::int32_t> tokens, std::vector<BlockId> blocks) {
  const auto owner = tenants_.try_emplace(std::string(tenant)).first;
  auto node = std::make_unique<PrefixNode>();
  node->key = key;
  node->tenant = owner->first;
  node->owner = &owner->second;
  node->parent = parent;
  node->tokens.assign(tokens.begin(), tokens.end());
  node->length = node->first() + static_cast<std::int64_t>(tokens.size());
  node->blocks = std::move(blocks);
  for (Order::node_type* place : {&node->place, &node->own_place}) {
    Order maker;
    maker.insert({0, node.get()});
    *place = maker.extract(maker.begin());
  }
  PrefixNode& added = *node;
  CHECK(nodes_.try_emplace(key, std::move(node)).second);
  ++owner->second.nodes;
  if (parent != nullptr) {
    ++parent->children;
    List(*parent);
  }
  Hold(added, added.blocks);
  Use(added);
  return added;
}

void PrefixTree::SetState(PrefixNode& node, std::vector<BlockId> state) {
  CHECK(node.state.empty() && !state.empty());
  node.state = std::move(state);
  Hold(node, node.state);
  ++snapshots_;
  Use(node);
}

void PrefixTree::Hold(PrefixNode& node, std::span<const BlockId> blocks) noexcept {
  for (const BlockId block : blocks) held_blocks_ += uses_[static_cast<std::size_t>(block)]++ == 0 ? 1 : 0;
  node.owner->blocks += static_cast<std::int64_t>(blocks.size());
}

void PrefixTree::Release(PrefixNode& node, std::vector<BlockId>& blocks) noexcept {
  for (const BlockId block : blocks) {
    held_blocks_ -= --uses_[static_cast<std::size_t>(block)] == 0 ? 1 : 0;
    pool_->Release(block);
  }
  node.owner->blocks -= static_cast<std::int64_t>(blocks.size());
  blocks.clear();
}

void PrefixTree::Pin(PrefixNode& node) noexcept {
  ++node.pins;
  List(node);
}

void PrefixTree::Unpin(PrefixNode& node) noexcept {
  CHECK(node.pins > 0);
  --node.pins;
  List(node);
  RemoveUseless(&node);
}

void PrefixTree::Use(PrefixNode& node) noexcept {
  Unlist(node);
  node.used = ++clock_;
  List(node);
}

void PrefixTree::Unlist(PrefixNode& node) noexcept {
  if (!node.place.empty()) return;
  node.place = order_.extract({node.used, &node});
  node.own_place = node.owner->order.extract({node.used, &node});
}

/// Puts the node into the order, or takes it out, as its pins, children and state now are.
void PrefixTree::List(PrefixNode& node) noexcept {
  Unlist(node);
  if (node.pins > 0 || (node.children > 0 && node.state.empty())) return;
  node.place.value() = node.own_place.value() = {node.used, &node};
  order_.insert(std::move(node.place));
  node.owner->order.insert(std::move(node.own_place));
}

/// Where the next one to be given up stands first.
const PrefixTree::Order* PrefixTree::OrderOf(std::string_view tenant, bool of_anyone) const noexcept {
  if (quota_ >= 1) return &order_;
  const double most = quota_ * static_cast<double>(pool_->blocks());
  const Order* order = nullptr;
  for (const auto& [name, other] : tenants_) {
    if (static_cast<double>(other.blocks) <= most || other.order.empty()) continue;
    if (order == nullptr || other.order.begin()->first < order->begin()->first) order = &other.order;
  }
  if (order != nullptr) return order;
  const auto own = tenants_.find(std::string(tenant));
  if (own != tenants_.end() && !own->second.order.empty()) return &own->second.order;
  return of_anyone ? &order_ : nullptr;
}

bool PrefixTree::GiveUpOne(std::string_view tenant, bool of_anyone) noexcept {
  const Order* order = OrderOf(tenant, of_anyone);
  if (order == nullptr || order->empty()) return false;
  PrefixNode& node = *order->begin()->second;
  if (!node.state.empty()) {
    Release(node, node.state);
    --snapshots_;
  }
  List(node);
  RemoveUseless(&node);
  return true;
}

/// Removes the node if nothing needs it any more: no state, no child, no pin; then its ancestors likewise.
void PrefixTree::RemoveUseless(PrefixNode* node) noexcept {
  while (node != nullptr && node->state.empty() && node->children == 0 && node->pins == 0) {
    PrefixNode* const parent = node->parent;
    Unlist(*node);
    Release(*node, node->blocks);
    if (--node->owner->nodes == 0) std::erase_if(tenants_, [&](const auto& entry) { return &entry.second == node->owner; });
    const Hash128 key = node->key;  // the node holds it
    nodes_.erase(key);
    if (parent != nullptr) {
      --parent->children;
      List(*parent);
    }
    node = parent;
  }
}

bool PrefixTree::IsPrefix(const PrefixNode& node, std::string_view tenant, std::span<const std::int32_t> tokens) const noexcept {
  if (node.tenant != tenant || node.length > static_cast<std::int64_t>(tokens.size())) return false;
  for (const PrefixNode* n = &node; n != nullptr; n = n->parent) {
    if (!std::equal(n->tokens.begin(), n->tokens.end(), tokens.begin() + n->first())) return false;
  }
  return true;
}

std::vector<BlockId> PrefixTree::BlocksOf(const PrefixNode& node) const {
  std::vector<BlockId> blocks(static_cast<std::size_t>(node.length / pool_->block_tokens()));
  for (const PrefixNode* n = &node; n != nullptr; n = n->parent) {
    std::copy(n->blocks.begin(), n->blocks.end(), blocks.begin() + n->first() / pool_->block_tokens());
  }
  return blocks;
}

}  // namespace baleen::kvcache

// The part of PrefixCache that writes snapshots to disk and reads them back.

#include <algorithm>
#include <cstring>
#include <utility>

#include "diagnostics/check.h"
#include "kvcache/prefix_cache.h"
#include "kvcache/prefix_fetch.h"
#include "kvcache/prefix_record.h"

namespace baleen::kvcache {

/// Hands the node's record to the store. It goes on from the deepest ancestor that is on disk.
void PrefixCache::WriteRecord(PrefixNode& node) {
  if (store_ == nullptr || !store_->enabled()) return;
  const PrefixNode* above = node.parent;
  while (above != nullptr && !OnDisk(above->key)) above = above->parent;
  node.record_parent = above == nullptr ? 0 : above->length;

  PrefixRecord record{.length = node.length, .tenant = node.tenant};
  std::int64_t ancestor = node.record_parent;
  for (const PrefixNode* n = &node; n != nullptr; n = n->parent) {
    if (n->length == ancestor) {
      record.ancestors.insert(record.ancestors.begin(), ancestor);
      ancestor = n->record_parent;
    }
  }
  record.tokens.resize(static_cast<std::size_t>(node.length - node.record_parent));
  for (const PrefixNode* n = &node; n != above; n = n->parent) {
    std::copy(n->tokens.begin(), n->tokens.end(), record.tokens.begin() + (n->first() - node.record_parent));
  }

  const std::uint64_t block_bytes = pool_->pieces().block_bytes, state_bytes = SavedBytes(pool_->layout(), node.length);
  std::vector<BlockId> blocks = tree_.BlocksOf(node);
  blocks.erase(blocks.begin(), blocks.begin() + node.record_parent / pool_->block_tokens());
  std::vector<std::byte> content = WriteRecordHead(record, blocks.size() * block_bytes + state_bytes);
  for (const BlockId block : blocks) content.insert(content.end(), pool_->Block(block), pool_->Block(block) + block_bytes);
  std::uint64_t left = state_bytes;
  for (const BlockId block : node.state) {
    const std::uint64_t bytes = std::min(left, block_bytes);
    content.insert(content.end(), pool_->Block(block), pool_->Block(block) + bytes);
    left -= bytes;
  }
  unreadable_.erase(node.key);
  store_->Write(node.key, std::move(content));
}

PrefixCache::Progress PrefixCache::Fetch(Lease& lease) {
  CHECK(lease);
  if (lease.ready()) return Progress::kReady;
  PrefixFetch& fetch = *lease.fetch_;
  const auto lost = [&] {
    lease = Lease();
    return Progress::kLost;
  };
  if (fetch.path.empty()) {
    if (!BeginFetch(lease)) return lost();
    if (fetch.next + 1 < fetch.path.size()) return Progress::kReading;
  }
  const std::int64_t length = fetch.path[fetch.next];
  const bool own = length == lease.length_;
  const auto content = own ? std::optional(std::move(fetch.content)) : store_->Read(fetch.keys[static_cast<std::size_t>(length)]);
  if (!content) unreadable_.insert(fetch.keys.back());
  if (!content || !Attach(lease, length, *content)) return lost();
  ++fetch.next;
  if (!own) return Progress::kReading;
  lease.fetch_.reset();
  return Progress::kReady;
}

/// Reads the snapshot's own record and finds which of those it needs are in memory. false: it does not fit.
bool PrefixCache::BeginFetch(Lease& lease) {
  PrefixFetch& fetch = *lease.fetch_;
  auto content = store_->Read(fetch.keys.back());
  const auto record = content ? ReadRecord(*content) : std::nullopt;
  if (!record || record->length != lease.length_) {
    unreadable_.insert(fetch.keys.back());
    return false;
  }
  fetch.path = record->ancestors;
  fetch.path.push_back(lease.length_);
  fetch.content = *std::move(content);
  for (std::size_t i = fetch.path.size() - 1; i-- > 0;) {
    const auto length = static_cast<std::size_t>(fetch.path[i]);
    PrefixNode* node = tree_.At(fetch.keys[length]);
    if (node == nullptr || !tree_.IsPrefix(*node, fetch.tenant, fetch.tokens)) continue;
    tree_.Pin(*node);
    lease.node_ = node;
    fetch.next = i + 1;
    break;
  }
  return true;
}

/// Puts a record of the path into memory, with its state if it is the snapshot itself, and lets the lease hold it. false: no room, or it
/// does not fit, which is remembered.
bool PrefixCache::Attach(Lease& lease, std::int64_t length, std::span<const std::byte> content) {
  const PrefixFetch& fetch = *lease.fetch_;
  const auto misfit = [&] {
    unreadable_.insert(fetch.keys.back());
    return false;
  };
  const auto record = ReadRecord(content);
  if (!record || record->length != length || record->tenant != fetch.tenant) return misfit();
  const std::int64_t first = record->parent_length(), count = length / pool_->block_tokens() - first / pool_->block_tokens();
  if (!std::equal(record->tokens.begin(), record->tokens.end(), fetch.tokens.begin() + first)) return misfit();
  const std::uint64_t block_bytes = pool_->pieces().block_bytes, blocks_bytes = static_cast<std::uint64_t>(count) * block_bytes;
  if (record->payload.size() != blocks_bytes + SavedBytes(pool_->layout(), length) || block_bytes == 0) return misfit();

  PrefixNode* parent = first == 0 ? nullptr : tree_.At(fetch.keys[static_cast<std::size_t>(first)]);
  if (first > 0 && (parent == nullptr || !tree_.IsPrefix(*parent, fetch.tenant, fetch.tokens))) return misfit();
  PrefixNode* node = tree_.At(fetch.keys[static_cast<std::size_t>(length)]);
  if (node != nullptr && !tree_.IsPrefix(*node, fetch.tenant, fetch.tokens)) return misfit();
  if (node == nullptr) {
    const Lease kept = parent == nullptr ? Lease() : Lease(tree_, *parent);
    auto blocks = TakeBlocks(count, fetch.tenant);
    if (!blocks) return false;
    for (std::size_t b = 0; b < blocks->size(); ++b) std::memcpy(pool_->Block((*blocks)[b]), record->payload.data() + b * block_bytes, block_bytes);
    node = &tree_.Add(fetch.keys[static_cast<std::size_t>(length)], fetch.tenant, parent, record->tokens, *std::move(blocks));
    node->record_parent = first;
  }
  tree_.Pin(*node);
  if (lease.node_ != nullptr) tree_.Unpin(*lease.node_);
  lease.node_ = node;
  return length < lease.length_ || AttachState(*node, record->payload.subspan(blocks_bytes));
}

bool PrefixCache::AttachState(PrefixNode& node, std::span<const std::byte> saved) {
  if (!node.state.empty()) return true;
  auto state = TakeBlocks(StateBlocks(node.length), node.tenant);
  if (!state) return false;
  const std::uint64_t block_bytes = pool_->pieces().block_bytes;
  for (std::size_t b = 0; b < state->size(); ++b) {
    const auto piece = saved.subspan(b * block_bytes, std::min(block_bytes, saved.size() - b * block_bytes));
    std::memcpy(pool_->Block((*state)[b]), piece.data(), piece.size());
  }
  tree_.SetState(node, *std::move(state));
  return true;
}

}  // namespace baleen::kvcache

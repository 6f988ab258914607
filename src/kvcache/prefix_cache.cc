#include "kvcache/prefix_cache.h"

#include <algorithm>
#include <utility>

#include "diagnostics/check.h"
#include "kvcache/prefix_fetch.h"

namespace baleen::kvcache {
namespace {

constexpr std::uint64_t kFormat = 1;  // of saved states and records; raised when their meaning changes

/// Of everything that decides what the stored bytes mean beside the weights.
Hash128 FingerprintOf(const Hash128& model, const Layout& layout) {
  std::vector<std::uint64_t> facts = {kFormat, model.low, model.high, layout.BlockBytes()};
  const auto add = [&](std::int64_t fact) { facts.push_back(static_cast<std::uint64_t>(fact)); };
  add(layout.BlockTokens());
  for (const LayerLayout& l : layout.layers) {
    for (const std::int64_t fact : {l.window, l.ratio, l.row.dim, l.row.rope_dim, l.tail.rows, l.tail.channels, l.index_row.dim, l.index_tail.rows, l.index_tail.channels}) add(fact);
    for (const auto format : {l.row.format, l.index_row.format}) add(static_cast<std::int64_t>(format));
    add(l.indexed ? 1 : 0);
  }
  return HashOf(std::as_bytes(std::span(facts)));
}

}  // namespace

Lease::Lease() noexcept = default;
Lease::Lease(PrefixTree& tree, PrefixNode& node) : tree_(&tree), node_(&node), length_(node.length) { tree.Pin(node); }
Lease::Lease(Lease&& other) noexcept { *this = std::move(other); }

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(tree_, other.tree_);
  std::swap(node_, other.node_);
  std::swap(length_, other.length_);
  std::swap(fetch_, other.fetch_);
  return *this;
}

Lease::~Lease() {
  if (node_ != nullptr) tree_->Unpin(*node_);
}

Result<std::unique_ptr<PrefixCache>> PrefixCache::Create(Pool& pool, const PrefixCacheOptions& options) {
  const Hash128 fingerprint = FingerprintOf(options.fingerprint, pool.layout());
  std::unique_ptr<Store> store;
  if (!options.directory.empty()) {
    TRY_ASSIGN(store, Store::Open(options.directory, fingerprint, options.disk_bytes));
  }
  return std::unique_ptr<PrefixCache>(new PrefixCache(pool, options, fingerprint, std::move(store)));
}

PrefixCache::PrefixCache(Pool& pool, PrefixCacheOptions options, const Hash128& fingerprint, std::unique_ptr<Store> store)
    : pool_(&pool), options_(std::move(options)), fingerprint_(fingerprint), store_(std::move(store)), tree_(pool, options_.tenant_quota) {}

bool PrefixCache::OnDisk(const Hash128& key) const { return store_ != nullptr && store_->Contains(key) && !unreadable_.contains(key); }

Lease PrefixCache::Hit(PrefixNode& node) {
  tree_.Use(node);
  if (store_ != nullptr) {  // ancestors last: they must not go before what needs them
    for (const PrefixNode* n = &node; n != nullptr; n = n->parent) store_->Touch(n->key);
  }
  return Lease(tree_, node);
}

Lease PrefixCache::Find(std::string_view tenant, std::span<const std::int32_t> tokens, std::int64_t most_length) {
  tokens = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, most_length))));
  keys_.assign(1, Salt(tenant, fingerprint_));
  keys_.reserve(tokens.size() + 1);
  for (const std::int32_t token : tokens) keys_.push_back(Chained(keys_.back(), token));
  for (std::size_t length = tokens.size(); length > 0; --length) {
    const auto prefix = tokens.first(length);
    PrefixNode* node = tree_.At(keys_[length]);
    if (node != nullptr && !node->state.empty() && tree_.IsPrefix(*node, tenant, prefix)) return Hit(*node);
    if (!OnDisk(keys_[length])) continue;
    Lease lease;
    lease.tree_ = &tree_;
    lease.length_ = static_cast<std::int64_t>(length);
    lease.fetch_ = std::make_unique<PrefixFetch>();
    lease.fetch_->tenant = tenant;
    lease.fetch_->tokens.assign(prefix.begin(), prefix.end());
    keys_.resize(length + 1);
    lease.fetch_->keys = std::exchange(keys_, {});
    return lease;
  }
  return {};
}

bool PrefixCache::Restore(const Lease& lease, Sequence& sequence) const {
  CHECK(lease.ready() && &sequence.pool() == pool_);
  const PrefixNode& node = *lease.node_;
  sequence.Adopt(tree_.BlocksOf(node));
  if (!sequence.Reserve(node.length)) {
    sequence.Reset();
    return false;
  }
  std::vector<std::byte*> places;
  Load(sequence, node.length, StatePieces(node, places));
  return true;
}

Lease PrefixCache::Insert(const Lease& parent, std::string_view tenant, std::span<const std::int32_t> tokens, const Sequence& sequence, std::int64_t length) {
  CHECK(length > 0 && length <= static_cast<std::int64_t>(tokens.size()) && &sequence.pool() == pool_ && (!parent || parent.ready()));
  tokens = tokens.first(static_cast<std::size_t>(length));
  PrefixNode* const above = parent.node_;
  CHECK(above == nullptr || (above->tenant == tenant && above->length <= length));
  const std::int64_t first = above == nullptr ? 0 : above->length;
  Hash128 key = above == nullptr ? Salt(tenant, fingerprint_) : above->key;
  for (const std::int32_t token : tokens.subspan(static_cast<std::size_t>(first))) key = Chained(key, token);

  PrefixNode* node = tree_.At(key);
  const bool known = node != nullptr;
  if (!known) {
    const auto begin = static_cast<std::size_t>(first / pool_->block_tokens()), end = static_cast<std::size_t>(length / pool_->block_tokens());
    std::vector<BlockId> blocks(sequence.blocks().begin() + static_cast<std::ptrdiff_t>(begin), sequence.blocks().begin() + static_cast<std::ptrdiff_t>(end));
    node = &tree_.Add(key, tenant, above, tokens.subspan(static_cast<std::size_t>(first)), std::move(blocks));
    for (const BlockId block : node->blocks) pool_->Share(block);
  } else if (!tree_.IsPrefix(*node, tenant, tokens)) {
    return {};  // two prefixes of one hash
  }
  Lease lease = Hit(*node);
  if (node->state.empty() && !TakeState(*node, sequence, length)) return {};
  if (!known || !OnDisk(key)) WriteRecord(*node);
  return lease;
}

std::int64_t PrefixCache::StateBlocks(std::int64_t length) const {
  const std::uint64_t bytes = SavedBytes(pool_->layout(), length), block = pool_->pieces().block_bytes;
  return static_cast<std::int64_t>((bytes + block - 1) / block);
}

std::optional<std::vector<BlockId>> PrefixCache::TakeBlocks(std::int64_t count, std::string_view tenant) {
  while (pool_->free_blocks() < count) {
    if (!tree_.GiveUpOne(tenant, false)) return std::nullopt;
  }
  std::vector<BlockId> blocks;
  blocks.reserve(static_cast<std::size_t>(count));  // a block in hand is lost if memory fails
  while (static_cast<std::int64_t>(blocks.size()) < count) blocks.push_back(*pool_->TakeBlock());
  return blocks;
}

PieceList PrefixCache::StatePieces(const PrefixNode& node, std::vector<std::byte*>& places) const {
  for (const BlockId block : node.state) places.push_back(pool_->Block(block));
  return {places, pool_->pieces().block_bytes};
}

bool PrefixCache::TakeState(PrefixNode& node, const Sequence& sequence, std::int64_t length) {
  if (pool_->pieces().block_bytes == 0) return false;  // a model without compressed entries has no blocks to keep it in
  std::vector<std::byte*> places;
  places.reserve(static_cast<std::size_t>(StateBlocks(length)));
  auto state = TakeBlocks(StateBlocks(length), node.tenant);
  if (!state) return false;
  tree_.SetState(node, *std::move(state));
  Save(sequence, length, StatePieces(node, places));
  return true;
}

std::int64_t PrefixCache::MakeRoom(std::int64_t blocks, std::string_view tenant) {
  while (pool_->free_blocks() < blocks && tree_.GiveUpOne(tenant, true)) {}
  return pool_->free_blocks();
}

void PrefixCache::Flush() {
  if (store_ != nullptr) store_->Flush();
}

void PrefixCache::Clear() {
  while (tree_.GiveUpOne({}, true)) {}
}

}  // namespace baleen::kvcache

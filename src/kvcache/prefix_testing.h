#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "kvcache/prefix_cache.h"

namespace baleen::kvcache {

/// A pool of small sequences whose contents follow from their tokens alone, as a model's do, for tests of what caches do with them.
class PrefixWorld {
 public:
  explicit PrefixWorld(std::int64_t blocks, std::int64_t states = 4) : pool_(*Pool::Create(layout_, blocks, states)) {}

  Sequence Filled(std::span<const std::int32_t> tokens) {
    const auto length = static_cast<std::int64_t>(tokens.size());
    Sequence sequence = *Sequence::Create(*pool_, 2000);
    EXPECT_TRUE(sequence.Reserve(length));
    for (std::size_t b = 0; b < sequence.blocks().size(); ++b) {
      Fill(tokens.first(std::min(tokens.size(), (b + 1) * 128)), pool_->Block(sequence.blocks()[b]), layout_.BlockBytes());
    }
    Fill(tokens, sequence.Layer(0).window, layout_.StateBytes());  // where the state begins
    sequence.Advance(length);
    return sequence;
  }

  /// Everything that a continuation reads.
  static std::vector<std::byte> Contents(const Sequence& sequence) {
    std::vector<std::byte> bytes(SavedBytes(sequence.layout(), sequence.length()));
    Save(sequence, sequence.length(), bytes);
    for (std::int64_t b = 0; b < sequence.length() / sequence.pool().block_tokens(); ++b) {
      const std::byte* block = sequence.pool().Block(sequence.blocks()[static_cast<std::size_t>(b)]);
      bytes.insert(bytes.end(), block, block + sequence.pool().pieces().block_bytes);
    }
    return bytes;
  }

  Sequence Restored(PrefixCache& cache, const Lease& lease) {
    Sequence sequence = *Sequence::Create(*pool_, 2000);
    EXPECT_TRUE(cache.Restore(lease, sequence));
    return sequence;
  }

  std::unique_ptr<PrefixCache> Cache(PrefixCacheOptions options = {}) { return *PrefixCache::Create(*pool_, options); }

  Pool& pool() { return *pool_; }
  const Layout& layout() const { return layout_; }

 private:
  static void Fill(std::span<const std::int32_t> tokens, std::byte* begin, std::uint64_t bytes) {
    std::mt19937 random(static_cast<std::uint32_t>(HashOf(std::as_bytes(tokens)).low));
    for (std::uint64_t i = 0; i < bytes; ++i) begin[i] = static_cast<std::byte>(random());
  }

  Layout layout_{.layers = {{.window = 8, .row = {kernels::RowFormat::kPacked, 128, 64}},
                            {.window = 8, .ratio = 4, .row = {kernels::RowFormat::kPacked, 128, 64}, .tail = {8, 16}, .indexed = true,
                             .index_row = {kernels::RowFormat::kPacked, 64}, .index_tail = {8, 16}},
                            {.window = 8, .ratio = 128, .row = {kernels::RowFormat::kPacked, 128, 64}, .tail = {128, 8}}}};
  std::unique_ptr<Pool> pool_;
};

inline std::vector<std::int32_t> Tokens(std::int64_t count, std::int32_t seed = 0) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(i * 31 + seed * 1000003));
  return tokens;
}

/// Fetches until the snapshot is ready or lost; returns the calls.
inline std::int64_t FetchAll(PrefixCache& cache, Lease& lease) {
  std::int64_t calls = 1;
  while (cache.Fetch(lease) == PrefixCache::Progress::kReading) ++calls;
  return calls;
}

}  // namespace baleen::kvcache

#include "kvcache/prefix_cache.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "kvcache/prefix_testing.h"

namespace baleen::kvcache {
namespace {

TEST(PrefixCache, FindsTheDeepestSnapshotAndRestoresItsBytes) {
  PrefixWorld world(64);
  const auto cache = world.Cache();
  const auto tokens = Tokens(600);
  {
    Lease parent;
    std::map<std::int64_t, std::vector<std::byte>> contents;
    for (const std::int64_t length : {100, 128, 300, 599}) {
      const Sequence sequence = world.Filled(Tokens(length));
      contents[length] = PrefixWorld::Contents(sequence);
      parent = cache->Insert({}, "a", tokens, sequence, length);
      ASSERT_TRUE(parent.ready());
    }
    for (const auto& [most, expected] : std::map<std::int64_t, std::int64_t>{{99, 0}, {100, 100}, {127, 100}, {128, 128}, {598, 300}, {599, 599}, {600, 599}, {9999, 599}}) {
      const Lease lease = cache->Find("a", tokens, most);
      EXPECT_EQ(lease.length(), expected);
      if (expected == 0) continue;
      EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, lease)), contents[expected]) << expected;
    }
  }
  EXPECT_EQ(world.pool().used_blocks(), cache->cached_blocks());
  cache->Clear();
  EXPECT_EQ(world.pool().used_blocks(), 0);
  EXPECT_EQ(cache->cached_blocks(), 0);
}

TEST(PrefixCache, ChildrenShareTheBlocksOfTheirParents) {
  PrefixWorld world(64);
  const auto cache = world.Cache();
  const auto tokens = Tokens(400);
  Sequence sequence = world.Filled(Tokens(300));
  std::int64_t before = world.pool().used_blocks();
  EXPECT_EQ(before, 3);
  Lease parent = cache->Insert({}, "a", tokens, sequence, 300);
  before = world.pool().used_blocks();
  ASSERT_TRUE(sequence.Reserve(400));
  sequence.Advance(100);
  const auto contents = PrefixWorld::Contents(sequence);
  const Lease child = cache->Insert(parent, "a", tokens, sequence, 400);
  const std::int64_t state = (static_cast<std::int64_t>(SavedBytes(world.layout(), 400) / world.layout().BlockBytes()) + 1);
  EXPECT_EQ(world.pool().used_blocks(), before + 1 + state);  // the sequence's fourth block and the child's state
  sequence.Reset();
  parent = Lease();
  EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, child)), contents);
  const Lease again = cache->Insert({}, "a", tokens, world.Filled(tokens), 400);  // the one that is there
  EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, again)), contents);
  EXPECT_EQ(cache->snapshots(), 2);
}

TEST(PrefixCache, OneOtherTokenIsAMiss) {
  PrefixWorld world(32);
  const auto cache = world.Cache();
  const auto tokens = Tokens(140);
  Lease lease = cache->Insert({}, "a", tokens, world.Filled(Tokens(70)), 70);
  lease = cache->Insert(lease, "a", tokens, world.Filled(tokens), 140);
  for (std::size_t place = 0; place < tokens.size(); ++place) {
    auto other = tokens;
    ++other[place];
    EXPECT_EQ(cache->Find("a", other, 140).length(), place < 70 ? 0 : 70) << place;
  }
  EXPECT_EQ(cache->Find("a", tokens, 140).length(), 140);
}

TEST(PrefixCache, TenantsShareNothing) {
  PrefixWorld world(32);
  const auto cache = world.Cache();
  const auto tokens = Tokens(140);
  cache->Insert({}, "a", tokens, world.Filled(tokens), 140);
  for (const char* tenant : {"", "b", "aa", "A"}) EXPECT_FALSE(cache->Find(tenant, tokens, 140));
  const std::int64_t before = cache->cached_blocks();
  cache->Insert({}, "b", tokens, world.Filled(tokens), 140);
  EXPECT_EQ(cache->cached_blocks(), 2 * before);
}

TEST(PrefixCache, GivesUpWhatWasUsedLongestAgoAndNeverWhatIsHeld) {
  PrefixWorld world(64);
  const auto cache = world.Cache();
  for (const std::int32_t seed : {1, 2, 3}) cache->Insert({}, "a", Tokens(130, seed), world.Filled(Tokens(130, seed)), 130);
  const auto kept = [&] {
    std::string text;
    for (const std::int32_t seed : {1, 2, 3}) text += cache->Find("a", Tokens(130, seed), 130) ? static_cast<char>('0' + seed) : '-';
    return text;
  };
  EXPECT_EQ(kept(), "123");
  const Lease held = cache->Find("a", Tokens(130, 2), 130);
  cache->Find("a", Tokens(130, 1), 130);  // now 3, (2), 1 by age
  const std::int64_t before = world.pool().free_blocks();
  EXPECT_GT(cache->MakeRoom(before + 1, "a"), before);
  EXPECT_FALSE(cache->Find("a", Tokens(130, 3), 130));
  EXPECT_TRUE(cache->Find("a", Tokens(130, 1), 130));
  EXPECT_LT(cache->MakeRoom(64, "a"), 64);  // what is held stays
  EXPECT_EQ(kept(), "-2-");
}

TEST(PrefixCache, OfInnerNodesTheStateGoesAndTheBlocksStay) {
  PrefixWorld world(64);
  const auto cache = world.Cache();
  const auto tokens = Tokens(300);
  Lease leaf;
  {
    Sequence sequence = world.Filled(Tokens(300));
    const Lease parent = cache->Insert({}, "a", tokens, sequence, 299);
    leaf = cache->Insert(parent, "a", tokens, sequence, 300);
  }
  const auto contents = PrefixWorld::Contents(world.Restored(*cache, leaf));
  cache->Clear();
  EXPECT_EQ(cache->Find("a", tokens, 299).length(), 0);
  EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, leaf)), contents);
  EXPECT_EQ(cache->snapshots(), 1);
  leaf = Lease();
  cache->Clear();
  EXPECT_EQ(world.pool().used_blocks(), 0);
}

TEST(PrefixCache, QuotasProtectFromOthers) {
  PrefixWorld world(100, 2);
  const auto cache = world.Cache({.tenant_quota = 0.2});
  const auto insert = [&](std::string_view tenant, std::int32_t seed) {
    const auto tokens = Tokens(130, seed);
    return static_cast<bool>(cache->Insert({}, tenant, tokens, world.Filled(tokens), 130));
  };
  const auto kept = [&](std::string_view tenant) {
    std::int64_t count = 0;
    for (std::int32_t seed = 0; seed < 200; ++seed) count += cache->Find(tenant, Tokens(130, seed), 130) ? 1 : 0;
    return count;
  };
  ASSERT_TRUE(insert("quiet", 0));  // the oldest, within its quota
  for (std::int32_t seed = 0; seed < 200; ++seed) insert("busy", seed);
  EXPECT_EQ(kept("quiet"), 1);
  EXPECT_GT(kept("busy"), 2);
  for (std::int32_t seed = 0; seed < 3; ++seed) EXPECT_TRUE(insert("late", seed));  // takes from the busy one
  EXPECT_EQ(kept("quiet"), 1);
  cache->MakeRoom(85, "late");  // requests that run need it: the busy one is cut to its quota, then late gives up its own
  EXPECT_EQ(kept("quiet"), 1);
  EXPECT_EQ(cache->MakeRoom(100, "late"), 100);  // and at last everyone
  EXPECT_EQ(kept("quiet"), 0);
}

TEST(PrefixCache, NoRoomIsNoSnapshot) {
  PrefixWorld world(3, 2);
  const auto cache = world.Cache();
  const Sequence sequence = world.Filled(Tokens(300));
  EXPECT_FALSE(cache->Insert({}, "a", Tokens(300), sequence, 300));
  EXPECT_EQ(cache->cached_blocks(), 0);
  EXPECT_EQ(world.pool().used_blocks(), 3);
}

TEST(PrefixCache, RestoreWithoutAFreeBlockLeavesTheSequenceEmpty) {
  PrefixWorld world(16, 3);
  const auto cache = world.Cache();
  Lease lease;
  lease = cache->Insert({}, "a", Tokens(200), world.Filled(Tokens(200)), 200);
  ASSERT_TRUE(lease);
  const Sequence others = world.Filled(Tokens(world.pool().free_blocks() * 128));
  Sequence sequence = *Sequence::Create(world.pool(), 2000);
  EXPECT_FALSE(cache->Restore(lease, sequence));
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_TRUE(sequence.blocks().empty());
}

TEST(PrefixCache, ModelsWithoutEntriesAreNotCached) {
  const Layout layout{.layers = {{.window = 8, .row = {kernels::RowFormat::kPacked, 128, 64}}}};
  const auto pool = *Pool::Create(layout, 8, 1);
  const auto cache = *PrefixCache::Create(*pool, {});
  Sequence sequence = *Sequence::Create(*pool, 100);
  ASSERT_TRUE(sequence.Reserve(50));
  sequence.Advance(50);
  EXPECT_FALSE(cache->Insert({}, "a", Tokens(50), sequence, 50));
}

/// Against a plain map of everything ever inserted: what is found has the bytes that were inserted, and nothing leaks.
RC_GTEST_PROP(PrefixCache, FindsOnlyWhatWasInserted, ()) {
  PrefixWorld world(*rc::gen::inRange<std::int64_t>(10, 60));
  std::map<std::pair<std::string, std::vector<std::int32_t>>, std::vector<std::byte>> inserted;
  {
    const auto cache = world.Cache({.tenant_quota = *rc::gen::element(0.1, 1.0)});
    std::vector<Lease> held;
    for (std::int64_t step = 0; step < 40; ++step) {
      const std::string tenant = *rc::gen::element<std::string>("a", "b");
      const auto length = *rc::gen::element<std::int64_t>(1, 5, 127, 128, 129, 256, 260);
      auto tokens = Tokens(length);
      tokens[static_cast<std::size_t>(*rc::gen::inRange<std::int64_t>(0, length))] += *rc::gen::inRange(0, 2);
      const int what = *rc::gen::inRange(0, 4);
      if (what <= 1) {
        cache->MakeRoom(3, tenant);
        if (world.pool().free_blocks() < 3 || world.pool().free_states() == 0) continue;
        const Lease parent = what == 0 ? Lease() : cache->Find(tenant, tokens, length);
        const Sequence sequence = world.Filled(tokens);
        Lease lease = cache->Insert(parent, tenant, tokens, sequence, length);
        if (!lease) continue;
        inserted[{tenant, tokens}] = PrefixWorld::Contents(sequence);
        held.push_back(std::move(lease));
      } else if (what == 2 && !held.empty()) {
        held.erase(held.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(held.size())));
      } else {
        const Lease lease = cache->Find(tenant, tokens, length);
        if (!lease || world.pool().free_states() == 0) continue;
        tokens.resize(static_cast<std::size_t>(lease.length()));
        Sequence sequence = *Sequence::Create(world.pool(), 2000);
        if (!cache->Restore(lease, sequence)) continue;
        const auto found = inserted.find({tenant, tokens});
        RC_ASSERT(found != inserted.end());
        RC_ASSERT(PrefixWorld::Contents(sequence) == found->second);
      }
      RC_ASSERT(cache->cached_blocks() == world.pool().used_blocks());
    }
  }
  RC_ASSERT(world.pool().used_blocks() == 0);
}

}  // namespace
}  // namespace baleen::kvcache

#include "kvcache/pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "kvcache/sequence.h"

namespace baleen::kvcache {
namespace {

using kernels::RowFormat;

Layout Small() {
  return {.layers = {{.window = 8, .row = {RowFormat::kPacked, 128, 64}},
                     {.window = 8, .ratio = 4, .row = {RowFormat::kPacked, 128, 64}, .tail = {8, 256}, .indexed = true, .index_row = {RowFormat::kPacked, 64},
                      .index_tail = {8, 128}},
                     {.window = 8, .ratio = 12, .row = {RowFormat::kPacked, 128, 64}, .tail = {12, 128}}},
          .spare_rows = 3};
}

TEST(Layout, SizesAreTheSumOfThePieces) {
  const Layout layout = Small();
  EXPECT_EQ(layout.BlockTokens(), 384);  // lcm(128, 4, 12)
  const std::uint64_t row = 64 + 128 + 8, index_row = 34, padded_window = (11 * row + 63) / 64 * 64;
  EXPECT_EQ(layout.BlockBytes(), (96 * row + 63) / 64 * 64 + (96 * index_row + 63) / 64 * 64 + (32 * row + 63) / 64 * 64);
  EXPECT_EQ(layout.StateBytes(), 3 * padded_window + 8 * 11 * 256 + 8 * 11 * 128 + 8 * 15 * 128);
  EXPECT_EQ(layout.Blocks(0), 0);
  EXPECT_EQ(layout.Blocks(384), 1);
  EXPECT_EQ(layout.Bytes(385), layout.StateBytes() + 2 * layout.BlockBytes());
}

TEST(Layout, OddRatiosMakeOneBlockOfTheContext) {
  Layout layout = Small();
  layout.context = 1000;
  for (const std::int64_t ratio : {65521, 65519, 65497, 65479}) layout.layers.push_back({.window = 8, .ratio = ratio, .row = {RowFormat::kPacked, 128, 64}, .tail = {ratio, 128}});
  EXPECT_EQ(layout.BlockTokens(), std::int64_t{1} << 40);
  EXPECT_EQ(layout.Blocks(1000), 1);
  EXPECT_LT(layout.BlockBytes(), 1000u * 200);
}

/// Users of every block and free places, as a plain model.
RC_GTEST_PROP(Pool, CountsAsAModelDoes, ()) {
  const Layout layout = Small();
  const std::int64_t blocks = *rc::gen::inRange(0, 6), states = *rc::gen::inRange(0, 4);
  const std::unique_ptr<Pool> pool = *Pool::Create(layout, blocks, states);
  std::vector<BlockId> held;  // once for every use
  std::set<StateId> held_states;
  for (const int what : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6))) {
    if (what <= 1) {
      const auto block = pool->TakeBlock();
      RC_ASSERT(block.has_value() == (std::set(held.begin(), held.end()).size() < static_cast<std::size_t>(blocks)));
      if (block) {
        RC_ASSERT(std::count(held.begin(), held.end(), *block) == 0);
        held.push_back(*block);
      }
    } else if (what == 2 && !held.empty()) {
      held.push_back(*rc::gen::elementOf(held));
      pool->Share(held.back());
    } else if (what == 3 && !held.empty()) {
      const auto at = static_cast<std::ptrdiff_t>(*rc::gen::inRange<std::size_t>(0, held.size()));
      pool->Release(held[static_cast<std::size_t>(at)]);
      held.erase(held.begin() + at);
    } else if (what == 4) {
      const auto state = pool->TakeState();
      RC_ASSERT(state.has_value() == (held_states.size() < static_cast<std::size_t>(states)));
      if (state) RC_ASSERT(held_states.insert(*state).second);
    } else if (what == 5 && !held_states.empty()) {
      pool->ReleaseState(*held_states.begin());
      held_states.erase(held_states.begin());
    }
    const std::set<BlockId> different(held.begin(), held.end());
    RC_ASSERT(pool->used_blocks() == static_cast<std::int64_t>(different.size()));
    RC_ASSERT(pool->free_states() == states - static_cast<std::int64_t>(held_states.size()));
    for (const BlockId block : different) RC_ASSERT(pool->Users(block) == std::count(held.begin(), held.end(), block));
  }
}

TEST(Pool, PlacesDoNotOverlap) {
  const Layout layout = Small();
  const std::unique_ptr<Pool> pool = *Pool::Create(layout, 3, 2);
  EXPECT_EQ(pool->State(1) - pool->State(0), static_cast<std::ptrdiff_t>(layout.StateBytes()));
  EXPECT_EQ(pool->Block(0) - pool->State(1), static_cast<std::ptrdiff_t>(layout.StateBytes()));
  EXPECT_EQ(pool->Block(2) - pool->Block(1), static_cast<std::ptrdiff_t>(layout.BlockBytes()));
  EXPECT_EQ(pool->bytes(), 2 * layout.StateBytes() + 3 * layout.BlockBytes());
}

TEST(Sequence, ReservesAndGivesBack) {
  const Layout layout = Small();
  const std::unique_ptr<Pool> pool = *Pool::Create(layout, 3, 2);
  {
    Sequence first = *Sequence::Create(*pool, 1000), second = *Sequence::Create(*pool, 800);
    const auto third = Sequence::Create(*pool, 1);
    ASSERT_FALSE(third);
    EXPECT_NE(third.error().message.find("2 sequences"), std::string::npos);
    EXPECT_EQ(first.reserved(), 0);
    EXPECT_TRUE(first.Reserve(1));
    EXPECT_EQ(first.reserved(), 384);
    EXPECT_TRUE(first.Reserve(384));
    EXPECT_EQ(pool->used_blocks(), 1);
    EXPECT_TRUE(second.Reserve(500));
    EXPECT_EQ(second.reserved(), 768);
    EXPECT_FALSE(first.Reserve(385));  // none is left
    EXPECT_EQ(first.blocks().size(), 1u);
    second.Reset();
    EXPECT_TRUE(first.Reserve(1000));
    EXPECT_EQ(first.reserved(), 1000);
    Sequence moved = std::move(first);
    EXPECT_EQ(moved.blocks().size(), 3u);
    EXPECT_EQ(pool->free_states(), 0);
  }
  EXPECT_EQ(pool->used_blocks(), 0);
  EXPECT_EQ(pool->free_states(), 2);
}

TEST(Sequence, AloneHoldsExactlyThePlan) {
  const Layout layout = Small();
  const Sequence sequence = *Sequence::Create(layout, 400);
  EXPECT_EQ(sequence.bytes(), layout.Bytes(400));
  EXPECT_EQ(sequence.reserved(), 400);
  EXPECT_FALSE(Sequence::Create(layout, 0));
}

TEST(Sequence, RollsBackWithinTheSpareRows) {
  const Layout layout = Small();
  Sequence sequence = *Sequence::Create(layout, 100);
  sequence.Advance(50);
  EXPECT_EQ(sequence.shortest(), 47);
  sequence.Rollback(48);
  sequence.Advance(1);
  EXPECT_EQ(sequence.shortest(), 47);  // slots of older rows were written when it was longer
  sequence.Rollback(47);
  EXPECT_DEATH(sequence.Rollback(46), "");
  sequence.Reset();
  EXPECT_EQ(sequence.shortest(), 0);
}

TEST(Sequence, SharedBlocksAreNotWrittenAgain) {
  const Layout layout = Small();
  const std::unique_ptr<Pool> pool = *Pool::Create(layout, 4, 2);
  Sequence first = *Sequence::Create(*pool, 1000), second = *Sequence::Create(*pool, 1000);
  ASSERT_TRUE(first.Reserve(385));
  first.Advance(385);
  second.Adopt(first.blocks().first(1));
  EXPECT_EQ(pool->used_blocks(), 2);
  EXPECT_EQ(pool->Users(first.blocks()[0]), 2);
  EXPECT_EQ(second.Layer(1).entries.Row(95, 200), first.Layer(1).entries.Row(95, 200));
  first.Rollback(384);
  EXPECT_DEATH(first.Rollback(383), "");
  first.Reset();
  EXPECT_EQ(pool->used_blocks(), 1);
  second.Resume(384);
  EXPECT_EQ(second.shortest(), 384);
}

}  // namespace
}  // namespace baleen::kvcache

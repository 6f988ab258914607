#include "engine/penalties.h"

#include <gtest/gtest.h>

#include "engine/sampler.h"

namespace baleen::engine {
namespace {

std::int32_t Greedy(std::span<const float> logits, Sampling sampling, const TokenCounts& counts) {
  sampling.temperature = 0;
  Chooser chooser(static_cast<std::int64_t>(logits.size()));
  return *chooser.Choose({.logits = logits, .sampling = &sampling, .counts = &counts, .allowed = {}, .constraint = {}});
}

TEST(TokenCounts, AreOrderedByIdAndCleared) {
  TokenCounts counts;
  for (const std::int32_t id : {7, 2, 7, 9, 2, 7}) counts.Add(id);
  ASSERT_EQ(counts.entries().size(), 3u);
  const std::vector<std::pair<int, unsigned>> expected = {{2, 2}, {7, 3}, {9, 1}};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(counts.entries()[i].id, expected[i].first);
    EXPECT_EQ(counts.entries()[i].count, expected[i].second);
  }
  counts.Clear();
  EXPECT_TRUE(counts.entries().empty());
}

TEST(Penalties, FrequencyGrowsWithTheCountAndPresenceDoesNot) {
  const std::vector<float> logits = {3, 2, 0};
  TokenCounts counts;
  EXPECT_EQ(Greedy(logits, {.frequency_penalty = 2, .presence_penalty = 2}, counts), 0) << "nothing is penalised before the first token";
  counts.Add(0);
  EXPECT_EQ(Greedy(logits, {.frequency_penalty = 0.75}, counts), 0);
  EXPECT_EQ(Greedy(logits, {.presence_penalty = 0.75}, counts), 0);
  counts.Add(0);
  EXPECT_EQ(Greedy(logits, {.frequency_penalty = 0.75}, counts), 1);
  EXPECT_EQ(Greedy(logits, {.presence_penalty = 0.75}, counts), 0);
  EXPECT_EQ(Greedy(logits, {.presence_penalty = 1.25}, counts), 1);
  EXPECT_EQ(Greedy(logits, {}, counts), 0);
}

TEST(Penalties, NegativeOnesDrawTokensBack) {
  TokenCounts counts;
  counts.Add(2);
  EXPECT_EQ(Greedy(std::vector<float>{1, 0, 0}, {.presence_penalty = -2}, counts), 2);
  EXPECT_EQ(Greedy(std::vector<float>{1, 0, 0}, {.frequency_penalty = -2}, counts), 2);
}

TEST(Penalties, ATieGoesToTheLowerIdAfterThem) {
  TokenCounts counts;
  counts.Add(0);
  EXPECT_EQ(Greedy(std::vector<float>{1, 0.5f, 0.5f}, {.presence_penalty = 0.5}, counts), 0);
  EXPECT_EQ(Greedy(std::vector<float>{0.5f, 0.5f, 0.5f}, {.presence_penalty = 0.5}, counts), 1);
}

}  // namespace
}  // namespace baleen::engine

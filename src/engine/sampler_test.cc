#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/counter_random.h"

namespace baleen::engine {
namespace {

Sampler Make(const Sampling& sampling, std::int64_t vocab, std::vector<std::uint8_t> allowed = {}) {
  auto sampler = Sampler::Create(sampling, vocab, std::move(allowed));
  EXPECT_TRUE(sampler.has_value());
  return *std::move(sampler);
}

TEST(CounterRandom, GivesThePublishedWordsOfPhilox) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRandom, StaysBelowOneAndDiffersBySeedAndIndex) {
  for (std::uint64_t i = 0; i < 10000; ++i) {
    EXPECT_GE(UniformAt(7, i), 0);
    EXPECT_LT(UniformAt(7, i), 1);
  }
  EXPECT_NE(UniformAt(1, 0), UniformAt(2, 0));
  EXPECT_NE(UniformAt(1, 0), UniformAt(1, 1));
  EXPECT_NE(UniformAt(1, 0), UniformAt(1ull << 32 | 1, 0));
}

TEST(Sampler, TemperatureZeroTakesTheLargestAndTheLowestIdOfATie) {
  Sampler sampler = Make({.temperature = 0}, 5);
  EXPECT_EQ(*sampler.Choose(std::vector<float>{1, 3, 2, 3, -1}, 0), 1);
  EXPECT_EQ(*sampler.Choose(std::vector<float>{-5, -5, -5, -5, -5}, 9), 0);
}

TEST(Sampler, DrawsEachTokenAsOftenAsItsProbability) {
  const std::vector<double> probabilities = {0.4, 0.3, 0.15, 0.1, 0.04, 0.01};
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(2 * std::log(p)));  // temperature 2 undoes the factor
  Sampler sampler = Make({.temperature = 2, .seed = 42}, 6);
  std::vector<double> seen(6);
  constexpr int kDraws = 100000;
  for (std::uint64_t i = 0; i < kDraws; ++i) ++seen[static_cast<std::size_t>(*sampler.Choose(logits, i))];
  double chi_square = 0;
  for (std::size_t id = 0; id < 6; ++id) chi_square += std::pow(seen[id] - kDraws * probabilities[id], 2) / (kDraws * probabilities[id]);
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom: one seed in a thousand is above
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f), std::log(0.25f), std::log(0.15f)};
  const auto seen = [&](double top_p) {
    Sampler sampler = Make({.top_p = top_p, .seed = 3}, 4);
    std::vector<int> times(4);
    for (std::uint64_t i = 0; i < 4000; ++i) ++times[static_cast<std::size_t>(*sampler.Choose(logits, i))];
    return times;
  };
  EXPECT_EQ(seen(0)[1], 4000);
  EXPECT_EQ(seen(1e-300)[1], 4000);
  EXPECT_EQ(seen(0.49)[1], 4000);
  const auto two = seen(0.6);
  EXPECT_EQ(two[1] + two[2], 4000);
  EXPECT_NEAR(two[1], 4000 * 2 / 3.0, 120);
  EXPECT_EQ(seen(0.8)[0], 0);
  EXPECT_GT(seen(0.8)[3], 0);
  EXPECT_GT(seen(1)[0], 0);
}

TEST(Sampler, TopPCutsATieByTheLowerIds) {
  Sampler sampler = Make({.top_p = 0.5}, 4);
  for (std::uint64_t i = 0; i < 200; ++i) EXPECT_LT(*sampler.Choose(std::vector<float>{1, 1, 1, 1}, i), 2);
}

TEST(Sampler, SortsFarEnoughInALargeFlatVocabulary) {
  std::vector<float> logits(5000, 0.0f);
  Sampler sampler = Make({.top_p = 0.9, .seed = 1}, 5000);
  std::int32_t largest = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) largest = std::max(largest, *sampler.Choose(logits, i));
  EXPECT_GT(largest, 4400);
  EXPECT_LE(largest, 4500);
}

TEST(Sampler, SeedAndIndexAloneDecide) {
  const std::vector<float> logits = {0.1f, 0.2f, 0.3f, 0.2f};
  Sampler a = Make({.seed = 5}, 4), b = Make({.seed = 5}, 4), c = Make({.seed = 6}, 4);
  int different = 0;
  for (std::uint64_t i = 100; i-- > 0;) {
    EXPECT_EQ(*a.Choose(logits, i), *b.Choose(logits, i));
    different += *b.Choose(logits, i) != *c.Choose(logits, i);
  }
  EXPECT_GT(different, 30);
}

TEST(Sampler, NeverChoosesWhatIsNotAllowed) {
  for (const double temperature : {0.0, 1.0}) {
    Sampler sampler = Make({.temperature = temperature}, 3, {0, 1, 0});
    EXPECT_EQ(*sampler.Choose(std::vector<float>{9, 0, NAN}, 0), 1);
  }
}

TEST(Sampler, TinyTemperaturesAreGreedy) {
  Sampler sampler = Make({.temperature = 1e-308}, 3);
  EXPECT_EQ(*sampler.Choose(std::vector<float>{0, 0.001f, -1}, 0), 1);
}

TEST(Sampler, RefusesWhatIsNoNumberAndImpossibleSettings) {
  for (const double temperature : {0.0, 1.0}) {
    Sampler sampler = Make({.temperature = temperature}, 3);
    EXPECT_FALSE(sampler.Choose(std::vector<float>{0, NAN, 1}, 0));
    EXPECT_FALSE(sampler.Choose(std::vector<float>{0, INFINITY, 1}, 0));
    EXPECT_FALSE(sampler.Choose(std::vector<float>{0, -INFINITY, 1}, 0));
    EXPECT_TRUE(sampler.Choose(std::vector<float>{0, 2, 1}, 0)) << "an error spoils no later choice";
  }
  for (const double temperature : {-1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    EXPECT_FALSE(Sampler::Create({.temperature = temperature}, 3)) << temperature;
  }
  for (const double top_p : {-0.5, 1.5, static_cast<double>(NAN)}) EXPECT_FALSE(Sampler::Create({.top_p = top_p}, 3)) << top_p;
  EXPECT_FALSE(Sampler::Create({}, 3, {0, 0, 0}));
  EXPECT_FALSE(Sampler::Create({}, 3, {1, 1}));
}

TEST(Sampler, CountsTheAnswerAndStartsAnew) {
  const std::vector<float> logits = {1, 0.5f, 0};
  Sampler sampler = Make({.temperature = 0, .presence_penalty = 0.75}, 3);
  for (int answer = 0; answer < 2; ++answer) {
    EXPECT_EQ(*sampler.Choose(logits, 0), 0);
    EXPECT_EQ(*sampler.Choose(logits, 1), 1);
    EXPECT_EQ(*sampler.Choose(logits, 2), 0);
    sampler.BeginAnswer();
  }
}

}  // namespace
}  // namespace baleen::engine

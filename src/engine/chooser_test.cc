#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "engine/counter_random.h"
#include "engine/sampler.h"

namespace baleen::engine {
namespace {

using Settings = std::vector<Sampling>;

std::vector<float> Logits(std::size_t vocab, unsigned seed, double width) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, width);
  std::vector<float> logits(vocab);
  for (float& logit : logits) logit = static_cast<float>(normal(random));
  return logits;
}

// The definition, without shortcuts: the whole vocabulary sorted, every cut one after the other.
std::vector<std::pair<std::int32_t, double>> Reference(const std::vector<float>& logits, const Sampling& sampling) {
  std::vector<std::pair<std::int32_t, double>> all;
  const double largest = *std::max_element(logits.begin(), logits.end());
  for (std::size_t id = 0; id < logits.size(); ++id) {
    all.emplace_back(static_cast<std::int32_t>(id), std::exp((logits[id] - largest) / sampling.temperature));
  }
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return logits[static_cast<std::size_t>(a.first)] > logits[static_cast<std::size_t>(b.first)];
  });
  if (sampling.top_k > 0 && static_cast<std::size_t>(sampling.top_k) < all.size()) all.resize(static_cast<std::size_t>(sampling.top_k));
  std::erase_if(all, [&](const auto& one) { return one.second < sampling.min_p; });
  const auto mass = [&] { return std::accumulate(all.begin(), all.end(), 0.0, [](double sum, const auto& one) { return sum + one.second; }); };
  double wanted = sampling.top_p * mass(), kept = 0;
  std::size_t count = 0;
  while (count < all.size() && (count == 0 || kept < wanted)) kept += all[count++].second;
  all.resize(sampling.top_p < 1 ? count : all.size());
  const double total = mass();
  for (auto& one : all) one.second /= total;
  return all;
}

TEST(Chooser, DrawsWhatTheDefinitionDraws) {
  const Settings settings = {{},
                             {.top_p = 0.9},
                             {.top_k = 7},
                             {.min_p = 0.05},
                             {.temperature = 0.7, .top_p = 0.95, .top_k = 300, .min_p = 0.001},
                             {.temperature = 3, .top_p = 0.5},
                             {.temperature = 1e308, .top_p = 0.999}};
  for (const double width : {0.0, 0.01, 1.0, 6.0, 40.0}) {
    for (const std::size_t vocab : {1, 2, 33, 3000}) {
      const std::vector<float> logits = Logits(vocab, static_cast<unsigned>(vocab), width);
      Chooser chooser(static_cast<std::int64_t>(vocab));
      for (Sampling sampling : settings) {
        sampling.seed = 11;
        const auto expected = Reference(logits, sampling);
        for (std::uint64_t index = 0; index < 40; ++index) {
          double passed = 0;
          const double target = UniformAt(11, index);
          std::size_t at = 0;
          while (at + 1 < expected.size() && (passed += expected[at].second) <= target) ++at;
          if (std::abs(passed - target) < 1e-12) continue;  // the last bits of sums in another order
          EXPECT_EQ(*chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = {}, .constraint = {}, .index = index}), expected[at].first)
              << "width " << width << ", vocabulary " << vocab << ", index " << index;
        }
      }
    }
  }
}

TEST(Chooser, EveryCutKeepsTheProportions) {
  const std::vector<float> logits = Logits(40, 5, 1.5);
  Chooser chooser(40);
  for (const Sampling& sampling : Settings{{.seed = 1}, {.top_p = 0.8, .seed = 2}, {.seed = 3, .top_k = 6}, {.seed = 4, .min_p = 0.1},
                                           {.temperature = 2, .top_p = 0.9, .seed = 5, .top_k = 20, .min_p = 0.05}}) {
    constexpr int kDraws = 40000;
    std::vector<double> seen(40);
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      ++seen[static_cast<std::size_t>(*chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = {}, .constraint = {}, .index = i}))];
    }
    double chi_square = 0, drawn = 0;
    const auto expected = Reference(logits, sampling);
    for (const auto& [id, probability] : expected) {
      const double times = seen[static_cast<std::size_t>(id)];
      drawn += times;
      chi_square += std::pow(times - kDraws * probability, 2) / (kDraws * probability);
    }
    EXPECT_EQ(drawn, kDraws) << "nothing beyond the cut";
    const auto freedom = static_cast<double>(expected.size() - 1);
    EXPECT_LT(chi_square, freedom + 3.3 * std::sqrt(2 * freedom) + 4) << freedom;  // above one seed in a thousand, by Wilson and Hilferty
  }
}

TEST(Chooser, MinPOneKeepsTheTiesOfTheLargest) {
  const std::vector<float> logits = {1, 2, std::nextafter(2.0f, 0.0f), 2};
  Chooser chooser(4);
  const Sampling sampling{.min_p = 1};
  std::vector<int> seen(4);
  for (std::uint64_t i = 0; i < 100; ++i) {
    ++seen[static_cast<std::size_t>(*chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = {}, .constraint = {}, .index = i}))];
  }
  EXPECT_EQ(seen[1] + seen[3], 100);
  EXPECT_GT(seen[3], 20);
}

TEST(Chooser, TopKOfATieKeepsTheLowerIds) {
  const std::vector<float> logits(5000, 3.0f);
  Chooser chooser(5000);
  const Sampling sampling{.top_k = 3};
  std::vector<int> seen(5000);
  for (std::uint64_t i = 0; i < 300; ++i) {
    ++seen[static_cast<std::size_t>(*chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = {}, .constraint = {}, .index = i}))];
  }
  EXPECT_EQ(seen[0] + seen[1] + seen[2], 300);
  EXPECT_GT(seen[2], 50);
}

TEST(Chooser, BiasForbidsAndForces) {
  const std::vector<float> logits = {50, 0, -3e38f, 49};
  Chooser chooser(4);
  const auto choose = [&](const Sampling& sampling) { return chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = {}, .constraint = {}}); };
  for (const double temperature : {0.0, 1.0}) {
    EXPECT_EQ(*choose({.temperature = temperature, .logit_bias = {{1, 100}}}), 1);
    EXPECT_EQ(*choose({.temperature = temperature, .logit_bias = {{0, -100}, {3, -100}}}), 1);
    EXPECT_EQ(*choose({.temperature = temperature, .logit_bias = {{0, -100}, {1, -100}, {3, -100}}}), 2) << "however unlikely";
    const auto nothing = choose({.temperature = temperature, .logit_bias = {{0, -100}, {1, -100}, {2, -100}, {3, -100}}});
    ASSERT_FALSE(nothing);
    EXPECT_NE(nothing.error().message.find("no token"), std::string::npos);
  }
  EXPECT_EQ(*choose({.temperature = 0, .logit_bias = {{3, 1}}}), 0) << "a tie";
}

TEST(Chooser, BothMasksHoldForEveryToken) {
  constexpr std::size_t kVocab = 1111;
  const std::vector<float> logits = Logits(kVocab, 1, 2);
  Chooser chooser(kVocab);
  std::vector<std::uint8_t> allowed(kVocab, 1);
  for (std::size_t id = 0; id < kVocab; id += 2) allowed[id] = 0;
  for (std::size_t id = 1; id < kVocab; id += 111) {
    std::vector<std::uint32_t> constraint((kVocab + 31) / 32);
    constraint[id / 32] |= std::uint32_t{1} << (id % 32);
    for (const double temperature : {0.0, 1.0}) {
      const Sampling sampling{.temperature = temperature, .logit_bias = {{static_cast<std::int32_t>((id + 1) % kVocab), 100}}};
      const auto both = chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = allowed, .constraint = constraint});
      EXPECT_EQ(both.has_value(), id % 2 == 1);
      if (both) EXPECT_EQ(*both, static_cast<std::int32_t>(id));
      EXPECT_EQ(*chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = {}, .constraint = constraint}), static_cast<std::int32_t>(id));
    }
  }
}

TEST(Chooser, ABrokenLogitFailsItsChoiceAlone) {
  Chooser chooser(100);
  const std::vector<float> good = Logits(100, 3, 1);
  const std::vector<std::uint8_t> allowed(100, 1);
  const std::vector<std::uint32_t> none(4);
  for (const double temperature : {0.0, 1.0}) {
    const Sampling sampling{.temperature = temperature};
    const std::int32_t alone = *chooser.Choose({.logits = good, .sampling = &sampling, .allowed = {}, .constraint = {}});
    for (const float broken : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> logits = good;
      logits[77] = broken;
      for (const auto& mask : {std::vector<std::uint8_t>(), allowed}) {
        const auto failed = chooser.Choose({.logits = logits, .sampling = &sampling, .allowed = mask, .constraint = {}});
        ASSERT_FALSE(failed);
        EXPECT_NE(failed.error().message.find("token 77 "), std::string::npos) << failed.error().message;
      }
      EXPECT_FALSE(chooser.Choose({.logits = good, .sampling = &sampling, .allowed = {}, .constraint = none}));
      EXPECT_EQ(*chooser.Choose({.logits = good, .sampling = &sampling, .allowed = {}, .constraint = {}}), alone);
    }
  }
}

TEST(Chooser, CompanyChangesNoAnswer) {
  constexpr std::size_t kRequests = 12;
  Chooser shared(700);
  std::vector<Sampling> settings(kRequests);
  std::vector<std::vector<float>> logits;
  std::vector<std::int32_t> alone;
  std::vector<TokenCounts> counts(kRequests);
  for (std::size_t r = 0; r < kRequests; ++r) {
    logits.push_back(Logits(700, static_cast<unsigned>(r), 0.5 + static_cast<double>(r)));
    settings[r] = {.temperature = r % 4 * 0.5, .top_p = 0.9, .seed = r, .top_k = static_cast<std::int64_t>(r % 3 * 20), .frequency_penalty = r % 2 * 1.5};
    counts[r].Add(static_cast<std::int32_t>(r));
    Chooser own(700);
    alone.push_back(*own.Choose({.logits = logits[r], .sampling = &settings[r], .counts = &counts[r], .allowed = {}, .constraint = {}, .index = r}));
  }
  std::vector<std::size_t> order(kRequests);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(8);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t r : order) {
      EXPECT_EQ(*shared.Choose({.logits = logits[r], .sampling = &settings[r], .counts = &counts[r], .allowed = {}, .constraint = {}, .index = r}), alone[r]);
    }
  }
}

TEST(CheckSampling, TakesTheEndsOfEveryRangeAndNothingBeyond) {
  const double nan = NAN, above1 = std::nextafter(1.0, 2.0), above2 = std::nextafter(2.0, 3.0), above100 = std::nextafter(100.0, 101.0);
  for (const Sampling& good : Settings{{.temperature = 0}, {.temperature = 1e308}, {.top_p = 0}, {.top_p = 1}, {.seed = ~std::uint64_t{0}}, {.top_k = 0},
                                       {.top_k = std::numeric_limits<std::int64_t>::max()}, {.min_p = 0}, {.min_p = 1}, {.frequency_penalty = -2},
                                       {.frequency_penalty = 2}, {.presence_penalty = -2}, {.presence_penalty = 2}, {.logit_bias = {{0, -100}, {9, 100}}}}) {
    EXPECT_TRUE(CheckSampling(good, 10));
    Chooser chooser(10);
    EXPECT_TRUE(chooser.Choose({.logits = std::vector<float>(10, 1.0f), .sampling = &good, .allowed = {}, .constraint = {}}));
  }
  const std::vector<std::pair<const char*, Sampling>> bad = {
      {"temperature", {.temperature = -1e-300}}, {"temperature", {.temperature = INFINITY}}, {"temperature", {.temperature = nan}},
      {"top_p", {.top_p = -1e-300}}, {"top_p", {.top_p = above1}}, {"top_p", {.top_p = nan}}, {"top_k", {.top_k = -1}},
      {"min_p", {.min_p = -1e-300}}, {"min_p", {.min_p = above1}}, {"min_p", {.min_p = nan}},
      {"frequency_penalty", {.frequency_penalty = -above2}}, {"frequency_penalty", {.frequency_penalty = above2}},
      {"frequency_penalty", {.frequency_penalty = nan}},
      {"presence_penalty", {.presence_penalty = -above2}}, {"presence_penalty", {.presence_penalty = above2}}, {"presence_penalty", {.presence_penalty = nan}},
      {"logit_bias", {.logit_bias = {{-1, 0}}}}, {"logit_bias", {.logit_bias = {{10, 0}}}}, {"logit_bias", {.logit_bias = {{3, above100}}}},
      {"logit_bias", {.logit_bias = {{3, -above100}}}}, {"logit_bias", {.logit_bias = {{3, nan}}}}, {"logit_bias", {.logit_bias = {{3, 1}, {4, 1}, {3, 1}}}}};
  for (const auto& [field, sampling] : bad) {
    const Status status = CheckSampling(sampling, 10);
    ASSERT_FALSE(status) << field;
    EXPECT_TRUE(status.error().message.starts_with(field)) << status.error().message;
  }
}

}  // namespace
}  // namespace baleen::engine

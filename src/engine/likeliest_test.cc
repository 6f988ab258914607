#include "engine/likeliest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/sampler.h"
#include "engine/score.h"
#include "engine/softmax.h"

namespace baleen::engine {
namespace {

// Many ties: logits are eighths.
std::vector<float> Logits(std::size_t vocab, unsigned seed, double width = 4) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, width);
  std::vector<float> logits(vocab);
  for (float& logit : logits) logit = static_cast<float>(std::round(8 * normal(random)) / 8);
  return logits;
}

TEST(Softmax, ExponentialIsThatOfTheLibrary) {
  EXPECT_EQ(Exponential(0), 1);
  for (double x = 0; x >= kLeastExponent; x -= 0.00731) EXPECT_NEAR(Exponential(x) / std::exp(x), 1, 1e-15) << x;
}

TEST(Softmax, RangeOfEveryLengthAndPlace) {
  for (std::size_t vocab = 1; vocab < 70; ++vocab) {
    for (std::size_t at = 0; at < vocab; ++at) {
      std::vector<float> logits(vocab, -2);
      logits[at] = 5;
      logits[vocab - 1 - at] = at == vocab - 1 - at ? 5 : -7;
      const LogitRange range = RangeOf(logits);
      EXPECT_EQ(range.largest, 5);
      EXPECT_EQ(range.largest_id, static_cast<std::int32_t>(at));
      EXPECT_TRUE(range.finite);
      EXPECT_EQ(range.smallest, *std::min_element(logits.begin(), logits.end()));
      for (const float broken : {NAN, INFINITY, -INFINITY}) {
        std::vector<float> spoiled = logits;
        spoiled[at] = broken;
        EXPECT_FALSE(RangeOf(spoiled).finite) << vocab << " " << at;
      }
    }
  }
}

TEST(Likeliest, IsTheFrontOfTheSortedSoftmax) {
  for (const std::size_t vocab : {1, 2, 19, 20, 21, 1000, 5000}) {
    const std::vector<float> logits = Logits(vocab, static_cast<unsigned>(vocab));
    std::vector<std::int32_t> order(vocab);
    for (std::size_t i = 0; i < vocab; ++i) order[i] = static_cast<std::int32_t>(i);
    const auto logit = [&](std::int32_t id) { return logits[static_cast<std::size_t>(id)]; };
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logit(a) > logit(b); });
    double sum = 0;
    for (const float l : logits) sum += std::exp(static_cast<double>(l));
    for (std::size_t n = 0; n <= std::min<std::size_t>(20, vocab); ++n) {
      std::vector<ScoredToken> likeliest(n);
      const std::int32_t chosen = order[vocab / 2];
      EXPECT_EQ(*Likeliest(logits, chosen, likeliest), *LogProbability(logits, chosen)) << "whatever else is asked for";
      for (std::size_t i = 0; i < n; ++i) {
        EXPECT_EQ(likeliest[i].id, order[i]) << vocab << " " << i;
        EXPECT_NEAR(likeliest[i].log_probability, logit(order[i]) - std::log(sum), 1e-12);
        EXPECT_EQ(likeliest[i].log_probability, *Likeliest(logits, order[i], {}));
      }
    }
  }
}

TEST(Likeliest, BeginsWithTheGreedyToken) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    const std::vector<float> logits = Logits(300, seed, 0.2);
    Sampler sampler = *Sampler::Create({.temperature = 0}, 300);
    std::vector<ScoredToken> likeliest(5);
    ASSERT_TRUE(Likeliest(logits, 0, likeliest));
    EXPECT_EQ(*sampler.Choose(logits, 0), likeliest[0].id);
  }
}

TEST(Likeliest, HugeLogitsAndEqualOnes) {
  std::vector<ScoredToken> likeliest(3);
  EXPECT_NEAR(*Likeliest(std::vector<float>{3e38f, 3e38f, -3e38f}, 0, likeliest), std::log(0.5), 1e-15);
  EXPECT_EQ(likeliest[1].id, 1);
  EXPECT_LT(likeliest[2].log_probability, -1e38);
  EXPECT_NEAR(*Likeliest(std::vector<float>(129280, -7.0f), 129279, likeliest), -std::log(129280.0), 1e-12);
  EXPECT_EQ(likeliest[2].id, 2);
}

TEST(Likeliest, RefusesWhatIsNoNumber) {
  for (const float broken : {NAN, INFINITY, -INFINITY}) {
    const auto value = Likeliest(std::vector<float>{0, broken, 1}, 0, {});
    ASSERT_FALSE(value);
    EXPECT_NE(value.error().message.find("token 1 "), std::string::npos) << value.error().message;
  }
}

TEST(Score, LogProbabilitiesAreThoseOfTheSoftmax) {
  const std::vector<float> logits = {1000, 1001, 1000};
  EXPECT_NEAR(*LogProbability(logits, 1), -std::log(1 + 2 * std::exp(-1.0)), 1e-12);
  EXPECT_FALSE(LogProbability(std::vector<float>{0, NAN}, 0));
}

}  // namespace
}  // namespace baleen::engine

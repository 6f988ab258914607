// Chosen rows against what they should be: the constructed model's by counting matches, random keys by an FP32 oracle, ties by definition.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/table.h"
#include "reading.h"
#include "tensor/scalar.h"

namespace baleen::long_context {
namespace {

using kernels::IndexRowLayout;
using kernels::RowFormat;
using model::Arithmetic;

/// What an index entry holds: a key, an ordinal, or neither.
struct Held {
  std::int64_t key = -1, ordinal = -1;
};

/// Entry s pools the tokens of window s and of the one before.
Held EntryOf(const std::vector<std::int32_t>& tokens, std::int64_t s) {
  Held held;
  for (std::int64_t p = std::max<std::int64_t>(0, 4 * s - 4); p < 4 * s + 4; ++p) {
    const std::int32_t t = tokens[static_cast<std::size_t>(p)];
    if (t >= Key(0) && t < Key(kKeys)) held.key = t - Key(0);
    if (t >= Ordinal(0) && t < Ordinal(kOrdinals)) held.ordinal = t - Ordinal(0);
  }
  return held;
}

/// Matches of key and ordinal with the entry, times the magnitude that a code of so many parts has after norm and rounding.
double ScoreOf(const Held& asked, const Held& held, Arithmetic arithmetic) {
  const int parts = (held.key >= 0 ? 2 : 0) + (held.ordinal >= 0 ? 1 : 0);
  if (parts == 0) return 0;
  int matches = asked.ordinal >= 0 && asked.ordinal == held.ordinal ? 1 : 0;
  if (asked.key >= 0 && held.key >= 0) matches += (asked.key / 8 == held.key / 8 ? 1 : 0) + (asked.key % 8 == held.key % 8 ? 1 : 0);
  const double official[] = {0, 1, 0.75, 0.5};
  return matches * (arithmetic == Arithmetic::kOfficial ? official[parts] : 1.0 / std::sqrt(parts));
}

/// The k rows of the highest score, ties to the lower row, ascending: by the definition.
template <typename T>
std::vector<std::int32_t> Best(const std::vector<T>& score, std::int64_t k) {
  std::vector<std::int32_t> rows(score.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::stable_sort(rows.begin(), rows.end(), [&](std::int32_t a, std::int32_t b) { return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)]; });
  rows.resize(static_cast<std::size_t>(std::min<std::int64_t>(k, static_cast<std::int64_t>(score.size()))));
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<std::int32_t> Expected(const std::vector<std::int32_t>& tokens, const Held& asked, std::int64_t position, Arithmetic arithmetic) {
  std::vector<double> score;
  for (std::int64_t s = 0; s < (position + 1) / 4; ++s) score.push_back(ScoreOf(asked, EntryOf(tokens, s), arithmetic));
  return Best(score, ConstructedConfig().index_top_k);
}

TEST(Choices, AreTheListThatCountingMatchesGives) {
  Prompt prompt(6000, 1);
  PlantAroundBoundaries(prompt, 256, 2);
  std::vector<std::int32_t> tokens = prompt.tokens();
  for (const Question& q : prompt.questions()) tokens.push_back(q.ask);
  const auto count = static_cast<std::int64_t>(tokens.size());
  for (const Arithmetic arithmetic : {Arithmetic::kOfficial, Arithmetic::kExact}) {
    Reader reader({.context = count, .arithmetic = arithmetic});
    auto sequence = reader.Begin(count);
    std::vector<Choice> choices;
    reader.Watch(&choices);
    reader.Feed(sequence, tokens);
    reader.Watch(nullptr);
    ASSERT_EQ(choices.size(), 2 * tokens.size());
    int asked_rows = 0;
    for (const Choice& choice : choices) {
      const std::int32_t t = tokens[static_cast<std::size_t>(choice.position)];
      Held asked;
      if (choice.layer_call == 0 && t >= Ask(0) && t < Ask(kKeys)) asked.key = t - Ask(0);
      if (choice.layer_call == 1 && t >= AskOrdinal(0, 0)) asked = {(t - AskOrdinal(0, 0)) / kOrdinals, (t - AskOrdinal(0, 0)) % kOrdinals};
      // In layer 2 an Ask looks for what layer 1 found: the value's number as a key.
      if (choice.layer_call == 1 && t >= Ask(0) && t < Ask(kKeys)) {
        for (const Question& q : prompt.questions()) asked.key = q.ask == t ? q.answer - Value(0) : asked.key;
      }
      // In exact arithmetic the sink leaves layer 1 some 1e-20 of every value, and a row that asks nothing asks layer 2 for that.
      const bool asks = asked.key >= 0, leaks = arithmetic == Arithmetic::kExact && choice.layer_call == 1;
      if (asks) ++asked_rows;
      if (!asks && (leaks || choice.position % 97 != 0)) continue;
      ASSERT_EQ(choice.rows, Expected(tokens, asked, choice.position, arithmetic)) << "layer call " << choice.layer_call << ", position " << choice.position;
    }
    EXPECT_GT(asked_rows, 60);
  }
}

/// Random keys of the released size, packed or as they are, and queries that are about the topic of some of the keys; `spread` says how
/// unequally keys are about it.
struct Scene {
  static constexpr std::int64_t kDim = 128, kHeads = 64;
  std::int64_t count;
  IndexRowLayout layout;
  std::vector<std::byte> keys;
  std::vector<float> key_numbers, query, weight;

  Scene(std::int64_t keys_wanted, RowFormat format, float spread, std::uint64_t seed) : count(keys_wanted), layout{format, kDim} {
    const kernels::Table& table = kernels::TableFor(hardware::BestIsa());
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> topic(kDim), key(kDim), scratch(kDim);
    for (float& x : topic) x = normal(random);
    keys.resize(static_cast<std::size_t>(count * layout.RowBytes()));
    for (std::int64_t s = 0; s < count; ++s) {
      const float share = std::exp(spread * normal(random)) - 1.0f;
      for (std::size_t c = 0; c < key.size(); ++c) key[c] = tensor::RoundToBf16(normal(random) + share * topic[c]);
      table.pack_index({layout, key.data(), keys.data() + s * layout.RowBytes(), scratch.data()});
      if (format == RowFormat::kPacked) table.index_quantize({key.data(), 1, kDim});
      key_numbers.insert(key_numbers.end(), key.begin(), key.end());
    }
    for (std::int64_t h = 0; h < kHeads; ++h) {
      for (std::int64_t c = 0; c < kDim; ++c) query.push_back(tensor::RoundToBf16(normal(random) + topic[static_cast<std::size_t>(c)]));
      weight.push_back(tensor::RoundToBf16(0.011f * normal(random)));
    }
    if (format == RowFormat::kPacked) table.index_quantize({query.data(), kHeads, kDim});
  }

  std::vector<std::int32_t> Chosen(std::int64_t k, kernels::Rounding rounding) const {
    const kernels::Table& table = kernels::TableFor(hardware::BestIsa());
    std::vector<float> score(static_cast<std::size_t>(count)), scratch(static_cast<std::size_t>(kernels::IndexScratchFloats(kDim)));
    std::vector<std::int32_t> integers(static_cast<std::size_t>(count)), chosen(static_cast<std::size_t>(k));
    auto* block = const_cast<std::byte*>(keys.data());
    table.index_score({.query = query.data(), .weight = weight.data(), .heads = kHeads, .layout = layout, .keys = {&block, count, 0}, .first = 0, .count = count, .rounding = rounding,
                       .scratch = scratch.data(), .score = score.data()});
    table.top_k({score.data(), count, k, integers.data(), chosen.data()});
    return chosen;
  }

  /// The scores in FP32 arithmetic, and what bf16 may move each of them by: two roundings of every head's product, one of the sum.
  void Oracle(std::vector<float>& scores, std::vector<float>& bounds) const {
    for (std::int64_t s = 0; s < count; ++s) {
      float sum = 0, magnitude = 0;
      for (std::int64_t h = 0; h < kHeads; ++h) {
        float dot = 0;
        for (std::int64_t c = 0; c < kDim; ++c) dot += query[static_cast<std::size_t>(h * kDim + c)] * key_numbers[static_cast<std::size_t>(s * kDim + c)];
        const float product = std::max(dot, 0.0f) * weight[static_cast<std::size_t>(h)];
        sum += product;
        magnitude += std::abs(product);
      }
      scores.push_back(sum);
      bounds.push_back((2.01f * magnitude + std::abs(sum)) * 0x1p-9f);
    }
  }
};

TEST(Choices, EqualTheOracleInExactArithmetic) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Scene scene(4096, RowFormat::kF32, 0.5f, seed);
    std::vector<float> scores, bounds;
    scene.Oracle(scores, bounds);
    EXPECT_EQ(scene.Chosen(512, kernels::Rounding::kNone), Best(scores, 512)) << "seed " << seed;
  }
}

/// Of the 512 rows that FP32 scores of the same codes give, the share that official arithmetic chooses; what it misses lost by less than rounding.
double Recall(float spread) {
  double recall = 0;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    const Scene scene(8192, RowFormat::kPacked, spread, seed);
    std::vector<float> scores, bounds;
    scene.Oracle(scores, bounds);
    const std::vector<std::int32_t> found = scene.Chosen(512, kernels::Rounding::kBf16), expected = Best(scores, 512);
    std::vector<std::int32_t> missed, added;
    std::set_difference(expected.begin(), expected.end(), found.begin(), found.end(), std::back_inserter(missed));
    std::set_difference(found.begin(), found.end(), expected.begin(), expected.end(), std::back_inserter(added));
    for (const std::int32_t m : missed) {
      for (const std::int32_t a : added) {
        const auto i = static_cast<std::size_t>(m), j = static_cast<std::size_t>(a);
        EXPECT_LE(scores[i] - scores[j], bounds[i] + bounds[j]) << "row " << m << " missed, row " << a << " chosen, seed " << seed;
      }
    }
    recall += (1.0 - static_cast<double>(missed.size()) / 512.0) / 4;
  }
  std::printf("512 of 8192 rows, keys spread %.1f: recall of official arithmetic against FP32 %.4f\n", static_cast<double>(spread), recall);
  return recall;
}

TEST(Choices, OfficialArithmeticMissesOnlyWhatRoundingHides) {
  EXPECT_GE(Recall(0.5f), 0.99);     // scores lie close to each other, and so do some on both sides of the cut
  EXPECT_GE(Recall(2.0f), 0.997);     // a few keys are much more to the point than the rest
}

TEST(Choices, TiesGoToTheLowerRowAndNanRanksLowest) {
  const kernels::Table& table = kernels::TableFor(hardware::BestIsa());
  std::mt19937_64 random(5);
  for (int round = 0; round < 50; ++round) {
    const auto count = static_cast<std::int64_t>(1 + random() % 5000), k = static_cast<std::int64_t>(1 + random() % 600);
    std::vector<float> score;
    for (std::int64_t s = 0; s < count; ++s) {
      const std::uint64_t kind = random() % 16;
      score.push_back(kind == 0 ? NAN : kind == 1 ? -INFINITY : kind == 2 ? -0.0f : static_cast<float>(static_cast<std::int64_t>(random() % 5) - 2));
    }
    std::vector<float> ranked = score;
    for (float& s : ranked) s = std::isnan(s) ? -INFINITY : s;
    std::vector<std::int32_t> integers(score.size()), chosen(static_cast<std::size_t>(std::min(k, count)));
    table.top_k({score.data(), count, k, integers.data(), chosen.data()});
    ASSERT_EQ(chosen, Best(ranked, k)) << k << " of " << count;
  }
}

}  // namespace
}  // namespace baleen::long_context

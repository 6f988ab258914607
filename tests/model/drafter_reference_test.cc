// Drafts against a second implementation written from the specification (§7), in double precision.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/twin.h"
#include "golden.h"
#include "slow_drafter.h"

namespace baleen::golden {
namespace {

using model::Arithmetic;

/// The backbone's streams of every row behind every layer, seen while it runs.
struct Streams {
  std::int64_t floats = 0;
  std::vector<std::vector<Numbers64>> of_layer;

  static void See(void* context, std::int64_t, const float* streams, std::int64_t rows) {
    auto& self = *static_cast<Streams*>(context);
    self.of_layer.emplace_back();
    for (std::int64_t r = 0; r < rows; ++r) self.of_layer.back().emplace_back(streams + r * self.floats, streams + (r + 1) * self.floats);
  }
};

struct Drafted {
  std::vector<std::int32_t> tokens;
  std::vector<float> confidence;
  std::vector<std::vector<float>> logits;
  Streams streams;
};

/// Feeds the prompt at once and drafts behind it.
Drafted DraftBehind(model::Transformer& model, std::span<const std::int32_t> prompt, std::int32_t next) {
  const checkpoint::ModelConfig& config = model.config();
  const auto most = static_cast<std::size_t>(model.limits().draft_tokens);
  Drafted drafted{std::vector<std::int32_t>(most), std::vector<float>(most), {}, {config.streams * config.hidden_size, {}}};
  kvcache::Sequence sequence = *kvcache::Sequence::Create(model.cache_layout(), model.limits().context);
  const model::Segment segment{&sequence, static_cast<std::int64_t>(prompt.size())};
  model.Forward({prompt, {&segment, 1}, {}, {Streams::See, &drafted.streams}});
  model::Proposal proposal{&sequence, 0, next, model.limits().draft_tokens, drafted.tokens, drafted.confidence};
  model.Propose({&proposal, 1});
  for (std::int64_t place = 0; place < proposal.proposed; ++place) {
    const auto row = model.DraftedLogits(0, place);
    drafted.logits.emplace_back(row.begin(), row.end());
  }
  drafted.tokens.resize(static_cast<std::size_t>(proposal.proposed));
  drafted.confidence.resize(static_cast<std::size_t>(proposal.proposed));
  return drafted;
}

/// Largest difference of two rows of logits.
double Difference(const std::vector<float>& ours, const Numbers64& reference) {
  double largest = ours.size() == reference.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(ours.size(), reference.size()); ++i) largest = std::max(largest, std::fabs(static_cast<double>(ours[i]) - reference[i]));
  return largest;
}

class DrafterReference : public testing::TestWithParam<hardware::Isa> {
 protected:
  Runner Load(const std::string& name, std::int64_t draft_tokens, float least_confidence) {
    return Runner(CaseFolder(name), GetParam(), 2, Arithmetic::kExact,
                  {.rows = 64, .context = 64, .logit_rows = 1, .segments = 1, .draft_tokens = draft_tokens, .least_confidence = least_confidence});
  }
};

/// Features of §7.2: the mean over the streams behind every target layer, one after another.
std::vector<Numbers64> Features(const Streams& streams, const checkpoint::ModelConfig& config) {
  std::vector<Numbers64> features(streams.of_layer.front().size());
  for (std::size_t r = 0; r < features.size(); ++r) {
    for (const std::int64_t layer : config.dspark_target_layers) {
      const Numbers64& x = streams.of_layer[static_cast<std::size_t>(layer)][r];
      for (std::int64_t i = 0; i < config.hidden_size; ++i) {
        double sum = 0;
        for (std::int64_t j = 0; j < config.streams; ++j) sum += x[static_cast<std::size_t>(j * config.hidden_size + i)];
        features[r].push_back(sum / static_cast<double>(config.streams));
      }
    }
  }
  return features;
}

/// A twin has other sizes and other target layers than the golden checkpoint: not all layers, and not from 0 on.
TEST_P(DrafterReference, DsparkTwinsDraftToo) {
  const auto folder = std::filesystem::temp_directory_path() / ("baleen-dspark-" + std::to_string(getpid()) + std::string(hardware::IsaName(GetParam())));
  ASSERT_TRUE(checkpoint::WriteTwin(*checkpoint::PresetConfig("tiny-dspark"), folder, {.seed = 3}));
  {
    Runner runner(folder, GetParam(), 2, Arithmetic::kExact, {.rows = 64, .context = 64, .segments = 1, .draft_tokens = 9, .least_confidence = 0.0f});
    const auto checkpoint = *checkpoint::Checkpoint::Open(folder);
    ASSERT_NE(checkpoint.config().dspark_target_layers.front(), 0);
    SlowDrafter slow(checkpoint);
    const std::vector<std::int32_t> tokens = {5, 900, 17, 256, 33, 34, 35, 1000, 7, 7, 512, 3};
    const Drafted ours = DraftBehind(runner.model(), tokens, 77);
    const auto reference = slow.DraftDspark(Features(ours.streams, checkpoint.config()), 77);
    ASSERT_EQ(static_cast<std::int64_t>(ours.tokens.size()), checkpoint.config().dspark_block);
    for (std::size_t place = 0; place < ours.tokens.size(); ++place) EXPECT_LE(Difference(ours.logits[place], reference[place].logits), 1e-4);
  }
  std::filesystem::remove_all(folder);
}

TEST_P(DrafterReference, DsparkBlocksAreThoseOfTheSpecification) {
  Runner whole = Load("dspark", 5, 0.0f), cut = Load("dspark", 5, 0.3f);
  const auto checkpoint = *checkpoint::Checkpoint::Open(CaseFolder("dspark"));
  SlowDrafter slow(checkpoint);
  const std::vector<std::int32_t> tokens = ReadTokens(CaseFolder("dspark") / "tokens.json");
  std::int64_t shortened = 0;
  double largest = 0;
  for (const std::size_t length : {1u, 2u, 5u, 7u, 8u, 9u, 16u, 27u, 40u}) {  // the window is 8
    SCOPED_TRACE("behind " + std::to_string(length) + " tokens");
    const Drafted ours = DraftBehind(whole.model(), {tokens.data(), length}, tokens[length]);
    const auto reference = slow.DraftDspark(Features(ours.streams, checkpoint.config()), tokens[length]);
    ASSERT_EQ(ours.tokens.size(), 5u);
    double reached = 1;
    std::size_t expected = 5;
    for (std::size_t place = 0; place < 5; ++place) {
      EXPECT_EQ(ours.tokens[place], reference[place].token);
      EXPECT_NEAR(ours.confidence[place], reference[place].confidence, 1e-5);
      largest = std::max(largest, Difference(ours.logits[place], reference[place].logits));
      reached *= reference[place].confidence;
      ASSERT_GT(std::fabs(reached - 0.3), 1e-5) << "too close to the limit to tell";
      if (place > 0 && reached < 0.3) expected = std::min(expected, place);
    }
    const Drafted worth = DraftBehind(cut.model(), {tokens.data(), length}, tokens[length]);
    EXPECT_EQ(worth.tokens.size(), expected);
    EXPECT_TRUE(std::equal(worth.tokens.begin(), worth.tokens.end(), ours.tokens.begin()));
    shortened += expected < 5 ? 1 : 0;
  }
  EXPECT_LE(largest, 1e-4);
  EXPECT_GT(shortened, 0);
  std::printf("  %-9s logits of drafts differ by at most %.2e\n", std::string(hardware::IsaName(GetParam())).c_str(), largest);
}

TEST_P(DrafterReference, MtpChainsAreThoseOfTheSpecification) {
  Runner runner = Load("flash", 3, 0.0f);
  const auto checkpoint = *checkpoint::Checkpoint::Open(CaseFolder("flash"));
  SlowDrafter slow(checkpoint);
  const std::vector<std::int32_t> tokens = ReadTokens(CaseFolder("flash") / "tokens.json");
  double largest = 0;
  for (const std::size_t length : {1u, 7u, 8u, 9u, 30u}) {
    const Drafted ours = DraftBehind(runner.model(), {tokens.data(), length}, tokens[length]);
    const auto reference = slow.DraftMtp(ours.streams.of_layer.back(), {tokens.begin() + 1, tokens.begin() + static_cast<std::ptrdiff_t>(length) + 1}, 3);
    ASSERT_EQ(ours.tokens.size(), 3u);
    for (std::size_t place = 0; place < 3; ++place) {
      EXPECT_EQ(ours.tokens[place], reference[place].token) << "behind " << length << " tokens, place " << place;
      largest = std::max(largest, Difference(ours.logits[place], reference[place].logits));
    }
  }
  EXPECT_LE(largest, 1e-4);
  std::printf("  %-9s logits of drafts differ by at most %.2e\n", std::string(hardware::IsaName(GetParam())).c_str(), largest);
}

INSTANTIATE_TEST_SUITE_P(All, DrafterReference, testing::ValuesIn(Isas()), [](const auto& instance) { return std::string(hardware::IsaName(instance.param)); });

}  // namespace
}  // namespace baleen::golden

// The bundled model against its reference: logits, MTP logits and greedy continuations, and the engine's promises on a real model.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/generation.h"
#include "engine/score.h"
#include "model/golden.h"

namespace baleen::golden {
namespace {

constexpr double kTolerance = 2e-4;  // models/plankton/README.md
constexpr std::int64_t kContext = 1024;

std::filesystem::path ModelFolder() { return std::filesystem::path(BALEEN_SOURCE_DIR) / "models/plankton"; }

struct Talk {
  std::string name;
  std::vector<std::int32_t> tokens, greedy;
  std::size_t first_row = 0, last_row = 0;
};

std::vector<Talk> Talks() {
  std::vector<Talk> talks;
  for (const auto& entry : std::filesystem::directory_iterator(ModelFolder() / "reference")) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    const auto json = nlohmann::json::parse(file);
    talks.push_back({entry.path().stem().string(), json["tokens"], json["greedy"], json["logits_rows"][0], json["logits_rows"][1]});
  }
  std::sort(talks.begin(), talks.end(), [](const Talk& a, const Talk& b) { return a.name < b.name; });
  return talks;
}

Runner& Plankton() {
  static Runner runner(ModelFolder(), hardware::BestIsa(), 2, model::Arithmetic::kExact, kContext, 256);
  return runner;
}

std::vector<float> RowsOf(const std::vector<float>& all, std::size_t from, std::size_t to, std::size_t width) {
  return {all.begin() + static_cast<std::ptrdiff_t>(from * width), all.begin() + static_cast<std::ptrdiff_t>(to * width)};
}

std::vector<std::int32_t> Continue(engine::Generation& generation, engine::Sampler& sampler, std::int64_t most, std::int32_t end = 1) {
  std::vector<std::int32_t> tokens;
  const auto finish = generation.Decode(sampler, {&end, 1}, most, [&](std::int32_t token) { return tokens.push_back(token), true; });
  EXPECT_TRUE(finish.has_value());
  return tokens;
}

TEST(Plankton, HasItsFourteenReferences) { EXPECT_EQ(Talks().size(), 14u); }

TEST(Plankton, LogitsAreThoseOfTheReference) {
  const auto vocab = static_cast<std::size_t>(Plankton().model().config().vocab_size);
  for (const Talk& talk : Talks()) {
    const Outcome run = Plankton().Feed(talk.tokens, {100});
    auto reference = ReadReference(ModelFolder() / "reference" / (talk.name + ".safetensors"));
    EXPECT_LE(LargestDifference(RowsOf(run.logits, talk.first_row, talk.last_row, vocab), reference["logits"].values), kTolerance) << talk.name;
    const auto rows = static_cast<std::size_t>(reference["mtp_logits"].shape[0]);
    ASSERT_GE(run.mtp_logits.size(), rows * vocab);
    const std::size_t last = run.mtp_logits.size() / vocab;
    EXPECT_LE(LargestDifference(RowsOf(run.mtp_logits, last - rows, last, vocab), reference["mtp_logits"].values), kTolerance) << talk.name;
  }
}

TEST(Plankton, GreedyContinuationsAreThoseOfTheReference) {
  auto sampler = *engine::Sampler::Create({.temperature = 0}, Plankton().model().config().vocab_size);
  auto generation = *engine::Generation::Create(Plankton().model());
  for (const Talk& talk : Talks()) {
    ASSERT_TRUE(generation.Prefill(talk.tokens)) << talk.name;
    EXPECT_EQ(Continue(generation, sampler, static_cast<std::int64_t>(talk.greedy.size())), talk.greedy) << talk.name;
  }
}

TEST(Plankton, APromptThatGoesOnReusesWhatIsHeld) {
  const Talk talk = Talks()[3];
  auto sampler = *engine::Sampler::Create({.temperature = 0}, Plankton().model().config().vocab_size);
  auto generation = *engine::Generation::Create(Plankton().model());
  ASSERT_TRUE(generation.Prefill(talk.tokens));
  std::vector<std::int32_t> longer = talk.tokens;
  for (const std::int32_t token : Continue(generation, sampler, 8)) longer.push_back(token);
  const std::int64_t held = generation.length();
  EXPECT_EQ(held, static_cast<std::int64_t>(longer.size()) - 1) << "the last token is not fed";
  longer.insert(longer.end(), talk.tokens.begin(), talk.tokens.end());
  const auto prefilled = generation.Prefill(longer);
  ASSERT_TRUE(prefilled);
  EXPECT_EQ(prefilled->reused, held);
  EXPECT_EQ(prefilled->computed, static_cast<std::int64_t>(longer.size()) - held);
  const auto continued = Continue(generation, sampler, 12);

  auto anew = *engine::Generation::Create(Plankton().model());
  ASSERT_TRUE(anew.Prefill(longer));
  EXPECT_EQ(Continue(anew, sampler, 12), continued);

  const auto shorter = generation.Prefill(talk.tokens);  // no prefix of it is all that is held: computed anew
  ASSERT_TRUE(shorter);
  EXPECT_EQ(shorter->reused, 0);
  const auto same = generation.Prefill(talk.tokens);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->computed, static_cast<std::int64_t>(talk.tokens.size())) << "without logits of its last token a prompt is computed anew";
}

TEST(Plankton, EndsWhenTheContextIsFullOrTheCallerWishes) {
  auto sampler = *engine::Sampler::Create({.temperature = 0}, Plankton().model().config().vocab_size);
  auto generation = *engine::Generation::Create(Plankton().model());
  const std::vector<std::int32_t> nearly(kContext - 3, 30);
  ASSERT_TRUE(generation.Prefill(nearly));
  EXPECT_EQ(Continue(generation, sampler, 100, -1).size(), 3u);
  const std::vector<std::int32_t> full(kContext, 30);
  ASSERT_TRUE(generation.Prefill(full));
  EXPECT_EQ(Continue(generation, sampler, 100, -1).size(), 0u);
  ASSERT_TRUE(generation.Prefill(Talks()[0].tokens));
  int seen = 0;
  const auto finish = generation.Decode(sampler, {}, 100, [&](std::int32_t) { return ++seen < 3; });
  ASSERT_TRUE(finish);
  EXPECT_EQ(*finish, engine::Finish::kStopped);
  EXPECT_EQ(seen, 3);
  const auto begun = generation.Prefill(full, [] { return false; });
  ASSERT_TRUE(begun);
  EXPECT_FALSE(begun->whole);
}

TEST(Plankton, RefusesPromptsThatCannotBe) {
  auto generation = *engine::Generation::Create(Plankton().model());
  EXPECT_FALSE(generation.Prefill({}));
  EXPECT_FALSE(generation.Prefill(std::vector<std::int32_t>{0, 2048}));
  EXPECT_FALSE(generation.Prefill(std::vector<std::int32_t>{0, -1}));
  const auto overlong = generation.Prefill(std::vector<std::int32_t>(kContext + 1, 5));
  ASSERT_FALSE(overlong);
  EXPECT_NE(overlong.error().message.find("1024"), std::string::npos);
  EXPECT_NE(overlong.error().message.find("1025"), std::string::npos);
}

TEST(Plankton, ScoresArePartsOfTheLogits) {
  const Talk talk = Talks()[0];
  const auto scores = engine::LogProbabilities(Plankton().model(), talk.tokens);
  ASSERT_TRUE(scores);
  ASSERT_EQ(scores->size(), talk.tokens.size() - 1);
  const Outcome run = Plankton().Feed(talk.tokens, {});
  const auto vocab = static_cast<std::size_t>(Plankton().model().config().vocab_size);
  for (std::size_t i = 0; i < scores->size(); ++i) {
    EXPECT_NEAR((*scores)[i], *engine::LogProbability({run.logits.data() + i * vocab, vocab}, talk.tokens[i + 1]), 1e-9);
  }
  EXPECT_FALSE(engine::LogProbabilities(Plankton().model(), std::vector<std::int32_t>{0}));
}

}  // namespace
}  // namespace baleen::golden

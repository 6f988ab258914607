#include "company.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "engine/engine.h"
#include "reading.h"

namespace baleen::long_context {
namespace {

constexpr std::int64_t kStepRows = 256, kTogether = 12;

/// What became of one request.
struct Told {
  std::vector<std::int32_t> answer;
  std::int64_t submitted_at = 0, ended_at = -1;  // engine steps
  double seconds = 0;
  int endings = 0;
};

/// Every prompt has the same keys and other values, so an answer from another sequence would be a wrong one.
Prompt Asking(std::int64_t tokens, std::uint64_t seed, Question& asked) {
  std::mt19937_64 random(seed);
  Prompt prompt(tokens, seed);
  for (std::int64_t k = 0; k < 8; ++k) {
    const std::int64_t v = static_cast<std::int64_t>(random() % kKeys);
    std::int64_t position = 0;
    do position = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(tokens - 40));
    while (!prompt.IsFree(position));
    prompt.Plant(position, {Key(k), Value(v)}, Ask(k), Value(v));
  }
  asked = prompt.questions()[random() % 8];
  return prompt;
}

/// The first token decides; the second, a filler's or another question's, is what the model says to its own answer: nothing.
engine::Request Asked(const Prompt& prompt, const Question& question, const std::string& tenant, const std::int64_t& steps, Told& told) {
  engine::Request request;
  request.prompt = prompt.tokens();
  request.prompt.push_back(question.ask);
  request.max_tokens = 2;
  request.sampling.temperature = 0;
  request.tenant = tenant;
  request.on_token = [&told](const engine::TokenEvent& event) {
    told.answer.push_back(event.token.id);
    return true;
  };
  request.on_end = [&told, &steps](const engine::Ending& ending) {
    ++told.endings;
    told.ended_at = steps;
    told.seconds = ending.usage.total_seconds;
    EXPECT_EQ(ending.finish, engine::Finish::kLength);
  };
  told.submitted_at = steps;
  return request;
}

void ExpectAnswered(const Told& told, const Question& question, const std::string& who) {
  EXPECT_EQ(told.endings, 1) << who;
  EXPECT_EQ(told.answer, (std::vector<std::int32_t>{question.answer, kNone})) << who;
}

}  // namespace

void ExpectCompanyDoesNotMatter(std::int64_t long_tokens, std::int64_t short_requests) {
  Reader reader({.context = long_tokens + 16, .rows = kStepRows, .segments = kTogether});
  reader.Use(Filling::kAskersOnly);
  const kvcache::Layout& layout = reader.model().cache_layout();
  engine::Options options;
  options.sequences = kTogether;
  options.step_rows = kStepRows;
  options.context = long_tokens + 16;
  options.blocks = 2 * layout.Blocks(long_tokens + 16) + 512;
  options.cache.interval = std::max<std::int64_t>(512, long_tokens / 16);
  auto created = engine::Engine::Create(reader.model(), options);
  ASSERT_TRUE(created) << created.error().message;
  engine::Engine& engine = **created;

  const auto total = static_cast<std::size_t>(2 + short_requests);
  std::vector<Told> told(total);
  std::vector<Question> questions(total);
  std::int64_t step = 0;
  const auto submit = [&](std::size_t i, std::int64_t tokens) {
    const Prompt prompt = Asking(tokens, 100 + i, questions[i]);
    const auto id = engine.Submit(Asked(prompt, questions[i], "tenant " + std::to_string(i % 5), step, told[i]));
    EXPECT_TRUE(id) << id.error().message;
  };
  submit(0, long_tokens);
  submit(1, long_tokens - 77);
  // The short ones come while the long ones are read: spread over three quarters of the steps that these need.
  const std::int64_t every = std::max<std::int64_t>(1, 2 * long_tokens / kStepRows * 3 / 4 / short_requests);
  std::size_t next = 2;
  while (engine.Step() || next < total) {
    ++step;
    if (next < total && step % every == 0) submit(next, 300 + 37 * static_cast<std::int64_t>(next % 10)), ++next;
  }
  std::vector<std::int64_t> steps;
  std::vector<double> seconds;
  for (std::size_t i = 0; i < total; ++i) {
    ExpectAnswered(told[i], questions[i], (i < 2 ? "long " : "short ") + std::to_string(i));
    if (i < 2) continue;
    steps.push_back(told[i].ended_at - told[i].submitted_at);
    seconds.push_back(told[i].seconds);
  }
  std::sort(steps.begin(), steps.end());
  std::sort(seconds.begin(), seconds.end());
  // A short prompt has at most 633 tokens; with two long ones it gets a third of 256 rows, less what decodes: eight steps, and two for the answer.
  EXPECT_LE(steps.back(), 24);
  const std::size_t p99 = (99 * steps.size() + 99) / 100 - 1;
  std::printf("| two sessions of %lld tokens and %lld short ones: short ones took %lld steps or %.0f ms at p50, %lld steps or %.0f ms at p99\n",
              static_cast<long long>(long_tokens), static_cast<long long>(short_requests), static_cast<long long>(steps[steps.size() / 2]),
              1e3 * seconds[seconds.size() / 2], static_cast<long long>(steps[p99]), 1e3 * seconds[p99]);
  engine.Shutdown();
  EXPECT_EQ(engine.statistics().used_blocks, 0);
}

}  // namespace baleen::long_context

// The table of equalities of docs/numerics.md: an answer depends on its request alone, bit for bit.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "checkpoint/temporary_folder.h"
#include "engine/fixture.h"
#include "model/golden.h"

namespace baleen::engine {
namespace {

const Sampling kGreedy{.temperature = 0};
const Sampling kDrawn{.temperature = 0.9, .top_p = 0.95, .seed = 11};

std::vector<std::vector<std::int32_t>> MixedPrompts() {
  std::vector<std::vector<std::int32_t>> prompts = ReferencePrompts();
  prompts.push_back(Ids(700, 1));
  prompts.push_back(Ids(129, 2));
  return prompts;
}

std::vector<Answer> Alone(const std::vector<std::vector<std::int32_t>>& prompts, std::int64_t max_tokens, const Sampling& sampling, Options options = {},
                          int threads = 1, hardware::Isa isa = hardware::BestIsa()) {
  Machine machine = Start(options, threads, isa);
  std::vector<Answer> answers;
  for (const auto& prompt : prompts) answers.push_back(AnswersTo(machine, {prompt}, max_tokens, sampling).front());
  return answers;
}

void ExpectSame(const std::vector<Answer>& a, const std::vector<Answer>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].SameAs(b[i])) << what << ", request " << i;
}

Options WithoutCache() {
  Options options;
  options.cache.interval = 0;
  return options;
}

/// What everything is compared with: one request at a time, one thread, no cache, no drafts.
const std::vector<Answer>& Plain(const Sampling& sampling) {
  static const std::vector<Answer> greedy = Alone(MixedPrompts(), 48, kGreedy, WithoutCache());
  static const std::vector<Answer> drawn = Alone(MixedPrompts(), 48, kDrawn, WithoutCache());
  return sampling.temperature == 0 ? greedy : drawn;
}

TEST(Equalities, AloneIsAsInABatchOfSixteen) {
  for (const Sampling& sampling : {kGreedy, kDrawn}) {
    for (const int threads : {1, 2}) {
      Machine machine = Start({}, threads);
      ExpectSame(AnswersTo(machine, MixedPrompts(), 48, sampling), Plain(sampling), std::to_string(threads) + " threads");
      EXPECT_GE(machine.engine->statistics().submitted, 16);
    }
  }
}

TEST(Equalities, ChunksChangeNothing) {
  for (const std::int64_t rows : {1, 2, 3, 31, 64, 129, 1024, 4096}) {
    Options options = WithoutCache();
    options.step_rows = rows;
    options.sequences = std::min<std::int64_t>(16, rows);
    Machine machine = Start(options);
    ExpectSame(AnswersTo(machine, MixedPrompts(), 48, kGreedy), Plain(kGreedy), std::to_string(rows) + " rows a step");
  }
}

TEST(Equalities, EveryIsaAgreesWithItself) {
  for (const hardware::Isa isa : golden::Isas()) {
    const std::vector<std::vector<std::int32_t>> prompts = {ReferencePrompts()[0], Ids(150, 3), ReferencePrompts()[5]};
    const std::vector<Answer> alone = Alone(prompts, 12, kGreedy, WithoutCache(), 1, isa);
    Machine machine = Start({}, 2, isa);
    ExpectSame(AnswersTo(machine, prompts, 12, kGreedy), alone, "ISA " + std::string(hardware::IsaName(isa)));
    ExpectSame(AnswersTo(machine, prompts, 12, kGreedy), alone, "cached, ISA " + std::string(hardware::IsaName(isa)));
  }
}

TEST(Equalities, CachedIsAsUncached) {
  for (const Sampling& sampling : {kGreedy, kDrawn}) {
    Options options;
    options.blocks = 2000;  // nothing has to give way
    Machine machine = Start(options);
    ExpectSame(AnswersTo(machine, MixedPrompts(), 48, sampling), Plain(sampling), "first");
    const std::vector<Answer> again = AnswersTo(machine, MixedPrompts(), 48, sampling);
    ExpectSame(again, Plain(sampling), "cached");
    for (const Answer& answer : again) EXPECT_EQ(answer.ending.usage.cached_tokens, answer.ending.usage.prompt_tokens - 1);
  }
}

TEST(Equalities, ASharedBeginningIsReusedAndTheRestIsNot) {
  Machine machine = Start({});
  std::vector<std::int32_t> first = Ids(900, 5), second = first;
  for (std::size_t i = 620; i < second.size(); ++i) second[i] = 16 + (second[i] + 1) % 1900;
  const auto alone = Alone({first, second}, 24, kGreedy, WithoutCache());
  const auto a = AnswersTo(machine, {first}, 24, kGreedy), b = AnswersTo(machine, {second}, 24, kGreedy);
  ExpectSame({a[0], b[0]}, alone, "shared beginning");
  EXPECT_EQ(b[0].ending.usage.cached_tokens, 512);
}

TEST(Equalities, PromptsThatBeginAlikeAndComeTogetherAreReadOnce) {
  Machine machine = Start({});
  std::vector<std::vector<std::int32_t>> prompts(16, Ids(900, 5));
  for (std::size_t p = 8; p < prompts.size(); ++p) {
    for (std::size_t i = 620; i < prompts[p].size(); ++i) prompts[p][i] = 16 + (prompts[p][i] + static_cast<std::int32_t>(p)) % 1900;
  }
  const std::vector<Answer> answers = AnswersTo(machine, prompts, 12, kGreedy);
  ExpectSame(answers, Alone(prompts, 12, kGreedy, WithoutCache()), "together");
  EXPECT_EQ(answers[0].ending.usage.cached_tokens, 0);
  for (std::size_t p = 1; p < prompts.size(); ++p) EXPECT_EQ(answers[p].ending.usage.cached_tokens, p < 8 ? 899 : 512) << p;
}

TEST(Equalities, ASecondTurnComputesOnlyWhatIsNew) {
  for (const std::int64_t length : {1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257, 511, 512, 513, 700}) {
    Machine machine = Start({});
    std::vector<std::int32_t> prompt = Ids(length, static_cast<std::uint64_t>(length));
    const Answer first = AnswersTo(machine, {prompt}, 20, kGreedy).front();
    prompt.insert(prompt.end(), first.tokens.begin(), first.tokens.end());
    const auto held = static_cast<std::int64_t>(prompt.size()) - 1;  // the last token of an answer is not fed
    const auto more = Ids(9, 77);
    prompt.insert(prompt.end(), more.begin(), more.end());
    const Answer second = AnswersTo(machine, {prompt}, 20, kGreedy).front();
    EXPECT_EQ(second.ending.usage.cached_tokens, held) << length;
    ExpectSame({second}, Alone({prompt}, 20, kGreedy, WithoutCache()), "second turn after " + std::to_string(length));
  }
}

TEST(Equalities, RestoredFromDiskIsAsComputed) {
  const checkpoint::TemporaryFolder folder;
  Options options;
  options.cache.directory = folder.path();
  options.cache.fingerprint = {1, 2};
  std::vector<std::vector<std::int32_t>> prompts = MixedPrompts();
  {
    Machine machine = Start(options);
    ExpectSame(AnswersTo(machine, prompts, 48, kGreedy), Plain(kGreedy), "before");
  }
  {
    Machine machine = Start(options);
    const std::vector<Answer> again = AnswersTo(machine, prompts, 48, kGreedy);
    ExpectSame(again, Plain(kGreedy), "after a restart");
    for (const Answer& answer : again) EXPECT_EQ(answer.ending.usage.cached_tokens, answer.ending.usage.prompt_tokens - 1);
  }
  options.cache.fingerprint = {1, 3};
  Machine machine = Start(options);
  const std::vector<Answer> foreign = AnswersTo(machine, prompts, 48, kGreedy);
  ExpectSame(foreign, Plain(kGreedy), "another model's cache");
  for (const Answer& answer : foreign) EXPECT_EQ(answer.ending.usage.cached_tokens, 0);
}

TEST(Equalities, PreemptedIsAsNeverStopped) {
  Options options;
  options.sequences = 2;
  Machine machine = Start(options);
  const auto prompts = MixedPrompts();
  std::vector<Answer> answers(prompts.size());
  // Every request outranks those before it, so with two places somebody has to give way again and again.
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Request request = Asking(prompts[i], 48, answers[i]);
    request.priority = static_cast<int>(i);
    ASSERT_TRUE(machine.engine->Submit(std::move(request)).has_value());
    for (int step = 0; step < 3; ++step) machine.engine->Step();
  }
  machine.Drain();
  ExpectSame(answers, Plain(kGreedy), "pre-empted");
  EXPECT_GT(machine.engine->statistics().preempted, 3);
}

TEST(Equalities, ATightPoolOnlyTakesLonger) {
  for (const std::int64_t interval : {0, 512}) {
    Options options;
    options.blocks = 9;  // the longest request needs six
    options.cache.interval = interval;
    Machine machine = Start(options);
    ExpectSame(AnswersTo(machine, MixedPrompts(), 48, kGreedy), Plain(kGreedy), "nine blocks");
  }
}

TEST(Equalities, DraftedIsAsUndrafted) {
  for (const std::int64_t drafts : {1, 2, 4}) {
    for (const Sampling& sampling : {kGreedy, kDrawn}) {
      Options options;
      options.draft_tokens = drafts;
      options.draft_rows = 1000;
      Machine machine = Start(options);
      ExpectSame(AnswersTo(machine, MixedPrompts(), 48, sampling), Plain(sampling), std::to_string(drafts) + " drafts");
      const std::vector<Answer> again = AnswersTo(machine, MixedPrompts(), 48, sampling);
      ExpectSame(again, Plain(sampling), std::to_string(drafts) + " drafts, cached");
      const Statistics statistics = machine.engine->statistics();
      EXPECT_GT(statistics.drafted_at[0], 100);
      EXPECT_GT(statistics.accepted_at[0], 0);
    }
  }
}

TEST(Equalities, AHundredTurnsAreAsOnePrompt) {
  const std::vector<std::int32_t> whole = Ids(1900, 9);
  Machine machine = Start({});
  for (std::size_t length = 19; length < whole.size(); length += 19) {
    AnswersTo(machine, {{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}}, 1, kGreedy);
  }
  const Answer turns = AnswersTo(machine, {whole}, 16, kGreedy).front();
  EXPECT_GT(turns.ending.usage.cached_tokens, 1850);
  ExpectSame({turns}, Alone({whole}, 16, kGreedy, WithoutCache()), "in turns");
}

}  // namespace
}  // namespace baleen::engine

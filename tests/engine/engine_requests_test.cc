// What happens to requests: each ends exactly once, alone, for its own reason, and leaves nothing behind.

#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "engine/fixture.h"

namespace baleen::engine {
namespace {

using testing::HasSubstr;
using std::chrono::seconds;

/// A clock that the test moves.
struct HandClock {
  Clock::time_point time = Clock::time_point(std::chrono::hours(1));
  Options Use(Options options = {}) {
    options.now = [this] { return time; };
    return options;
  }
};

void ExpectNothingLeft(Machine& machine) {
  machine.engine->Shutdown();
  const Statistics statistics = machine.engine->statistics();
  EXPECT_EQ(statistics.used_blocks, 0);
  EXPECT_EQ(statistics.running + statistics.waiting, 0);
  EXPECT_EQ(statistics.submitted, statistics.ended);
}

RequestId SubmitTo(Machine& machine, Request request) {
  const auto id = machine.engine->Submit(std::move(request));
  EXPECT_TRUE(id.has_value()) << id.error().message;
  return id ? *id : 0;
}

TEST(Engine, RefusesWhatItCannotServe) {
  Options options;
  options.context = 64;
  Machine machine = Start(options);
  Answer answer;
  const auto refused = [&](std::vector<std::int32_t> prompt, const std::string& words, auto change) {
    Request request = Asking(std::move(prompt), 4, answer);
    change(request);
    const auto id = machine.engine->Submit(std::move(request));
    ASSERT_FALSE(id.has_value()) << words;
    EXPECT_THAT(id.error().message, HasSubstr(words));
  };
  const auto as_it_is = [](Request&) {};
  refused({}, "prompt: expected at least one token", as_it_is);
  refused(Ids(64, 1), "prompt: expected at most 63 tokens", as_it_is);
  refused({5, 2048}, "prompt, token 1", as_it_is);
  refused({-1}, "prompt, token 0", as_it_is);
  refused({5}, "temperature", [](Request& r) { r.sampling.temperature = -1; });
  refused({5}, "max_tokens", [](Request& r) { r.max_tokens = -1; });
  refused({5}, "top_logprobs", [](Request& r) { r.likeliest = 21; });
  refused({5}, "mask", [](Request& r) { r.allowed = {1, 1}; });
  EXPECT_EQ(answer.ends, 0);
  EXPECT_EQ(AnswersTo(machine, {Ids(63, 1)}, 4, {.temperature = 0}).front().tokens.size(), 1u) << "the context leaves one token";
}

TEST(Engine, RefusesMoreThanMayWait) {
  Options options;
  options.waiting = {.requests = 3, .tokens = 100};
  Machine machine = Start(options);
  Answer answer;
  for (int i = 0; i < 3; ++i) SubmitTo(machine, Asking(Ids(10, 1), 2, answer));
  const auto fourth = machine.engine->Submit(Asking(Ids(10, 1), 2, answer));
  ASSERT_FALSE(fourth.has_value());
  EXPECT_THAT(fourth.error().message, HasSubstr("too much is waiting"));
  machine.Drain();
  SubmitTo(machine, Asking(Ids(60, 1), 2, answer));
  EXPECT_FALSE(machine.engine->Submit(Asking(Ids(60, 1), 2, answer)).has_value()) << "tokens count too";
  machine.Drain();
  EXPECT_EQ(answer.ends, 4);
}

TEST(Engine, CancelWorksWhileWaitingReadingAndWriting) {
  Options options;
  options.sequences = 1;
  options.step_rows = 32;
  Machine machine = Start(options);
  Answer reading, waiting, writing;
  const RequestId reads = SubmitTo(machine, Asking(Ids(900, 1), 50, reading));
  const RequestId waits = SubmitTo(machine, Asking(Ids(20, 1), 50, waiting));
  machine.engine->Step();
  machine.engine->Cancel(waits);
  machine.engine->Step();
  EXPECT_EQ(waiting.ends, 1);
  machine.engine->Cancel(reads);
  machine.engine->Cancel(reads);
  machine.engine->Cancel(12345);
  machine.engine->Step();
  EXPECT_EQ(reading.ends, 1);
  EXPECT_EQ(reading.tokens.size(), 0u);
  Request endless = Asking(Ids(20, 2), 1000, writing);
  endless.end_ids = {};
  const RequestId writes = SubmitTo(machine, std::move(endless));
  while (writing.tokens.size() < 5) machine.engine->Step();
  machine.engine->Cancel(writes);
  machine.Drain();
  EXPECT_EQ(writing.ends, 1);
  EXPECT_LE(writing.tokens.size(), 6u);
  for (const Answer* answer : {&reading, &waiting, &writing}) EXPECT_EQ(answer->ending.finish, Finish::kCancelled);
  ExpectNothingLeft(machine);
}

TEST(Engine, EachDeadlineEndsWithItsOwnError) {
  HandClock clock;
  Options options = clock.Use();
  options.sequences = 1;
  Machine machine = Start(options);
  Answer runs, queue, first, total;
  Request running = Asking(Ids(5, 1), 1000, runs);
  running.end_ids = {};
  running.deadlines.total = seconds(100);
  SubmitTo(machine, std::move(running));
  machine.engine->Step();
  const auto submit = [&](Answer& answer, std::optional<Clock::duration> Deadlines::* which) {
    Request request = Asking(Ids(5, 2), 5, answer);
    request.deadlines.*which = seconds(10);
    SubmitTo(machine, std::move(request));
  };
  submit(queue, &Deadlines::queue);
  submit(first, &Deadlines::first_token);
  submit(total, &Deadlines::total);
  machine.engine->Step();
  EXPECT_EQ(queue.ends + first.ends + total.ends, 0);
  clock.time += seconds(11);
  machine.engine->Step();
  const std::pair<Answer*, const char*> expected[] = {{&queue, "start"}, {&first, "first token"}, {&total, "whole answer"}};
  for (const auto& [answer, words] : expected) {
    ASSERT_EQ(answer->ends, 1) << words;
    EXPECT_EQ(answer->ending.finish, Finish::kExpired);
    EXPECT_THAT(answer->ending.error->message, HasSubstr(words));
  }
  EXPECT_EQ(runs.ends, 0);
  clock.time -= seconds(3600);  // a clock that jumps back ends nobody
  machine.engine->Step();
  EXPECT_EQ(runs.ends, 0);
  clock.time += seconds(3700);
  machine.Drain();
  EXPECT_EQ(runs.ending.finish, Finish::kExpired);
  EXPECT_GT(runs.tokens.size(), 2u);
  ExpectNothingLeft(machine);
}

TEST(Engine, ALongPromptDelaysOthersByOneChunkAtMost) {
  Options options;
  options.step_rows = 64;
  Machine machine = Start(options);
  Answer talks, reads;
  Request talking = Asking(Ids(10, 1), 200, talks);
  talking.end_ids = {};
  SubmitTo(machine, std::move(talking));
  machine.engine->Step();
  SubmitTo(machine, Asking(Ids(2000, 2), 5, reads));
  while (reads.tokens.empty()) {
    const std::size_t before = talks.tokens.size();
    machine.engine->Step();
    if (talks.ends == 0 || before == 199) {
      EXPECT_EQ(talks.tokens.size(), before + 1) << "a token every step";
    }
  }
  Answer late;
  SubmitTo(machine, Asking(Ids(2000, 3), 5, reads));
  machine.engine->Step();
  SubmitTo(machine, Asking(Ids(10, 4), 5, late));
  machine.engine->Step();
  EXPECT_EQ(late.tokens.size(), 1u) << "a short prompt is read beside a long one";
  machine.Drain();
}

TEST(Engine, WhatThrowsEndsAlone) {
  Machine machine = Start({});
  Answer good, bad;
  Request request = Asking(Ids(5, 1), 20, bad);
  request.on_token = [](const TokenEvent&) -> bool { throw std::runtime_error("no more room"); };
  SubmitTo(machine, std::move(request));
  SubmitTo(machine, Asking(Ids(5, 2), 20, good));
  machine.Drain();
  EXPECT_EQ(bad.ending.finish, Finish::kFailed);
  EXPECT_THAT(bad.ending.error->message, HasSubstr("no more room"));
  EXPECT_EQ(good.ends, 1);
  EXPECT_NE(good.ending.finish, Finish::kFailed);
  ExpectNothingLeft(machine);
}

/// Allows `only` for a while, then the end token.
class Only : public Constraint {
 public:
  Only(std::int32_t only, int times) : only_(only), times_(times) {}
  bool Allowed(std::span<std::uint32_t> allowed) override {
    std::fill(allowed.begin(), allowed.end(), 0u);
    const std::int32_t id = times_ > 0 ? only_ : 1;
    allowed[static_cast<std::size_t>(id / 32)] = 1u << (id % 32);
    return true;
  }
  bool Accept(std::int32_t token) override { return --times_ >= 0 && token == only_; }

 private:
  std::int32_t only_;
  int times_;
};

TEST(Engine, AConstraintDecidesWithAndWithoutDrafts) {
  for (const std::int64_t drafts : {0, 3}) {
    Options options;
    options.draft_tokens = drafts;
    Machine machine = Start(options);
    Answer answer, free;
    Request request = Asking(Ids(5, 1), 100, answer);
    request.constraint = std::make_unique<Only>(77, 6);
    SubmitTo(machine, std::move(request));
    SubmitTo(machine, Asking(Ids(5, 1), 30, free));
    machine.Drain();
    EXPECT_EQ(answer.tokens, (std::vector<std::int32_t>{77, 77, 77, 77, 77, 77, 1}));
    EXPECT_EQ(answer.ending.finish, Finish::kEndToken);
    EXPECT_NE(free.tokens, answer.tokens);
  }
}

TEST(Engine, SubmissionsComeFromAnyThread) {
  Machine machine = Start({});
  constexpr int kThreads = 4, kEach = 20;
  std::vector<Answer> answers(kThreads * kEach);
  std::vector<std::jthread> threads;
  std::atomic<int> submitted = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto id = machine.engine->Submit(Asking(Ids(5 + i, 1), 8, answers[static_cast<std::size_t>(t * kEach + i)]));
        EXPECT_TRUE(id.has_value());
        if (i % 5 == 4) machine.engine->Cancel(*id);
        ++submitted;
        (void)machine.engine->statistics();
      }
    });
  }
  while (submitted < kThreads * kEach || machine.engine->Step()) machine.engine->Wait(std::chrono::milliseconds(1));
  machine.Drain();
  for (const Answer& answer : answers) EXPECT_EQ(answer.ends, 1);
  ExpectNothingLeft(machine);
}

TEST(Engine, WhoIsToldOfAnEndFindsItCounted) {
  Machine machine = Start({});
  std::vector<Answer> answers(5);
  std::int64_t told = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    Request request = Asking(Ids(20, 1), i % 2 == 0 ? 3 : 6, answers[i]);
    request.on_end = [&](const Ending&) {
      const Statistics statistics = machine.engine->statistics();
      EXPECT_GE(statistics.ended, ++told);
      EXPECT_EQ(statistics.running + statistics.waiting + statistics.ended, statistics.submitted);
    };
    SubmitTo(machine, std::move(request));
  }
  machine.Drain();
  EXPECT_EQ(told, 5);
  ExpectNothingLeft(machine);
}

TEST(Engine, ShutdownEndsEverybodyOnceAndTakesNobodyIn) {
  Options options;
  options.sequences = 2;
  Machine machine = Start(options);
  std::vector<Answer> answers(6);
  for (Answer& answer : answers) SubmitTo(machine, Asking(Ids(30, 1), 100, answer));
  machine.engine->Step();
  machine.engine->Shutdown();
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.ends, 1);
    EXPECT_EQ(answer.ending.finish, Finish::kCancelled);
  }
  Answer late;
  EXPECT_FALSE(machine.engine->Submit(Asking(Ids(3, 1), 1, late)).has_value());
  ExpectNothingLeft(machine);
}

/// Bytes of this process that belong to no file.
double AnonymousBytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string name; rollup >> name;) {
    double kib = 0;
    if (name == "Anonymous:" && rollup >> kib) return 1024 * kib;
    std::getline(rollup, name);
  }
  return 0;
}

TEST(Engine, TakesTheMemoryItPlans) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer takes memory of its own";
#endif
  Options options;
  options.blocks = 12000;
  options.draft_tokens = 2;
  options.context = kContext;
  const double before = AnonymousBytes();
  Machine machine = Start(options);
  std::vector<std::vector<std::int32_t>> prompts;
  for (std::uint64_t i = 0; i < 40; ++i) prompts.push_back(Ids(300, i));
  AnswersTo(machine, prompts, 20, {.temperature = 0.5});
  const double taken = AnonymousBytes() - before;
  const double planned = static_cast<double>(machine.transformer->memory_plan().BeyondWeights(0) + Engine::PoolBytes(machine.transformer->cache_layout(), options));
  EXPECT_GT(planned, 1.5e8);
  EXPECT_NEAR(taken / planned, 1, 0.01);
}

TEST(Engine, TenantsShareNothing) {
  Machine machine = Start({});
  const auto cached = [&](const std::string& tenant) {
    Answer answer;
    Request request = Asking(Ids(600, 1), 4, answer);
    request.tenant = tenant;
    SubmitTo(machine, std::move(request));
    machine.Drain();
    return answer.ending.usage.cached_tokens;
  };
  EXPECT_EQ(cached("a"), 0);
  EXPECT_EQ(cached("b"), 0);
  EXPECT_EQ(cached(""), 0);
  EXPECT_EQ(cached("a"), 599);
}

}  // namespace
}  // namespace baleen::engine

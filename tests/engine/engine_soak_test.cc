// Requests of every kind at once, for long: no crosstalk, no leak, every one ends once, and always with the answer it has alone.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <map>

#include "checkpoint/temporary_folder.h"
#include "engine/fixture.h"

namespace baleen::engine {
namespace {

/// What a request of the soak does.
struct Plan {
  std::int64_t prompt = 1;       // tokens
  std::uint64_t kind = 0;        // which prompt: prompts of one kind begin alike
  std::int64_t max_tokens = 1;
  bool drawn = false;
  int priority = 0;
  std::int64_t cancel_after = -1;  // steps; -1 = never
  std::int64_t submit_at = 0;      // step
  std::string tenant;
};

rc::Gen<Plan> AnyPlan() {
  return rc::gen::build<Plan>(rc::gen::set(&Plan::prompt, rc::gen::element<std::int64_t>(1, 2, 5, 63, 64, 65, 127, 128, 129, 200, 300, 513)),
                              rc::gen::set(&Plan::kind, rc::gen::inRange<std::uint64_t>(0, 3)), rc::gen::set(&Plan::max_tokens, rc::gen::inRange<std::int64_t>(1, 30)),
                              rc::gen::set(&Plan::drawn, rc::gen::arbitrary<bool>()), rc::gen::set(&Plan::priority, rc::gen::inRange(0, 3)),
                              rc::gen::set(&Plan::cancel_after, rc::gen::oneOf(rc::gen::just<std::int64_t>(-1), rc::gen::inRange<std::int64_t>(0, 25))),
                              rc::gen::set(&Plan::submit_at, rc::gen::inRange<std::int64_t>(0, 40)),
                              rc::gen::set(&Plan::tenant, rc::gen::element<std::string>("", "a", "b")));
}

Request RequestOf(const Plan& plan, Answer& answer) {
  Request request = Asking(Ids(plan.prompt, plan.kind), plan.max_tokens, answer);
  if (plan.drawn) request.sampling = {.temperature = 1, .top_p = 0.9, .seed = plan.kind};
  request.priority = plan.priority;
  request.tenant = plan.tenant;
  return request;
}

/// The answer of the plan alone on a fresh engine, remembered.
const Answer& AloneAnswer(const Plan& plan) {
  static Machine machine = [] {
    Options options;
    options.cache.interval = 0;
    return Start(options, 1);
  }();
  static std::map<std::tuple<std::int64_t, std::uint64_t, std::int64_t, bool>, Answer> known;
  Answer& answer = known[{plan.prompt, plan.kind, plan.max_tokens, plan.drawn}];
  if (answer.ends == 0) {
    EXPECT_TRUE(machine.engine->Submit(RequestOf(plan, answer)).has_value());
    machine.Drain();
  }
  return answer;
}

bool IsBeginningOf(const Answer& part, const Answer& whole) {
  return part.tokens.size() <= whole.tokens.size() && std::equal(part.tokens.begin(), part.tokens.end(), whole.tokens.begin()) &&
         std::equal(part.log_probabilities.begin(), part.log_probabilities.end(), whole.log_probabilities.begin());
}

void RunPlans(const std::vector<Plan>& plans, Machine& machine) {
  std::vector<Answer> answers(plans.size());
  std::vector<RequestId> ids(plans.size());
  for (std::int64_t step = 0; step < 3000; ++step) {
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (plans[i].submit_at == step) ids[i] = *machine.engine->Submit(RequestOf(plans[i], answers[i]));
      if (plans[i].cancel_after >= 0 && plans[i].submit_at + plans[i].cancel_after == step) machine.engine->Cancel(ids[i]);
    }
    if (!machine.engine->Step() && step > 80) break;
  }
  for (std::size_t i = 0; i < plans.size(); ++i) {
    RC_ASSERT(answers[i].ends == 1);
    const Answer& alone = AloneAnswer(plans[i]);
    if (answers[i].ending.finish == Finish::kCancelled) {
      RC_ASSERT(plans[i].cancel_after >= 0);
      RC_ASSERT(IsBeginningOf(answers[i], alone));
    } else {
      RC_ASSERT(answers[i].SameAs(alone));
    }
  }
}

RC_GTEST_PROP(EngineSoak, EveryRequestEndsOnceWithItsOwnAnswer, ()) {
  const auto plans = *rc::gen::resize(24, rc::gen::container<std::vector<Plan>>(AnyPlan()));
  Options options;
  options.sequences = *rc::gen::element<std::int64_t>(1, 2, 5);
  options.step_rows = *rc::gen::element<std::int64_t>(8, 64, 300);
  options.blocks = *rc::gen::element<std::int64_t>(5, 12, 60);
  options.draft_tokens = *rc::gen::element<std::int64_t>(0, 1, 3);
  options.draft_rows = *rc::gen::element<std::int64_t>(4, 16, 100);
  options.cache.interval = *rc::gen::element<std::int64_t>(0, 128, 512);
  Machine machine = Start(options, 2);
  RunPlans(plans, machine);
  machine.engine->Shutdown();
  const Statistics statistics = machine.engine->statistics();
  RC_ASSERT(statistics.used_blocks == 0);
  RC_ASSERT(statistics.ended == static_cast<std::int64_t>(plans.size()));
}

/// Each prompt holds a secret of its own; an answer that took anything from another request would not be the one the request has alone.
TEST(EngineSoak, NoAnswerHoldsAnothersSecret) {
  const char* wanted = std::getenv("BALEEN_SOAK_TOKENS");
  const std::int64_t most = wanted != nullptr ? std::atoll(wanted) : 20000;
  const checkpoint::TemporaryFolder folder;
  Options options;
  options.blocks = 64;
  options.draft_tokens = 2;
  options.draft_rows = 40;
  options.cache.directory = folder.path();
  options.cache.disk_bytes = std::uint64_t{64} << 20;
  Machine machine = Start(options);
  const auto requests = ReferencePrompts().size() * 4;
  std::vector<Answer> alone(requests);
  const auto make = [&](std::size_t i, Answer& answer) {
    std::vector<std::int32_t> prompt = ReferencePrompts()[i % ReferencePrompts().size()];
    const std::vector<std::int32_t> secret = Ids(6, 1000 + i);
    prompt.insert(prompt.begin() + 1, secret.begin(), secret.end());
    Request request = Asking(std::move(prompt), 200, answer);
    request.end_ids = {};
    request.sampling = {.temperature = i % 2 == 0 ? 0.0 : 0.8, .seed = i};
    request.tenant = std::to_string(i % 3);
    return request;
  };
  for (std::size_t i = 0; i < requests; ++i) {
    Machine& reference = machine;
    ASSERT_TRUE(reference.engine->Submit(make(i, alone[i])).has_value());
    reference.Drain();
  }
  std::int64_t generated = 0;
  for (std::uint64_t round = 0; generated < most; ++round) {
    std::vector<Answer> answers(requests);
    for (std::size_t k = 0; k < requests; ++k) {
      const std::size_t i = (k * 37 + round * 11) % requests;
      ASSERT_TRUE(machine.engine->Submit(make(i, answers[i])).has_value());
    }
    machine.Drain();
    for (std::size_t i = 0; i < requests; ++i) {
      ASSERT_EQ(answers[i].ends, 1);
      ASSERT_TRUE(answers[i].SameAs(alone[i])) << "round " << round << ", request " << i;
      generated += static_cast<std::int64_t>(answers[i].tokens.size());
    }
  }
  const Statistics statistics = machine.engine->statistics();
  machine.engine->Shutdown();
  EXPECT_EQ(machine.engine->statistics().used_blocks, 0);
  std::printf("%lld tokens generated, %lld cached, %lld pre-emptions, first drafts accepted %.2f\n", static_cast<long long>(generated),
              static_cast<long long>(statistics.cached_tokens), static_cast<long long>(statistics.preempted),
              static_cast<double>(statistics.accepted_at[0]) / static_cast<double>(std::max<std::int64_t>(1, statistics.drafted_at[0])));
}

}  // namespace
}  // namespace baleen::engine

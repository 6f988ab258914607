#include "engine/scheduler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace baleen::engine {
namespace {

std::vector<Turn> Plan(const std::vector<Candidate>& candidates, std::int64_t step_rows) {
  std::vector<Turn> turns;
  PlanStep(candidates, step_rows, turns);
  return turns;
}

std::int64_t RowsOf(const std::vector<Turn>& turns, std::int64_t candidate) {
  for (const Turn& turn : turns) {
    if (turn.candidate == candidate) return turn.rows;
  }
  return 0;
}

rc::Gen<Candidate> AnyCandidate() {
  return rc::gen::map(rc::gen::tuple(rc::gen::inRange(-2, 3), rc::gen::inRange<std::uint64_t>(0, 1000), rc::gen::inRange<std::int64_t>(0, 600),
                                     rc::gen::inRange<std::int64_t>(1, 600), rc::gen::inRange<std::int64_t>(0, 6)),
                      [](const auto& t) {
                        const auto [priority, arrival, known, most, drafts] = t;
                        return Candidate{{priority, arrival}, known, std::min(known, most), known == 1 ? drafts : 0};
                      });
}

RC_GTEST_PROP(Scheduler, EveryCandidateHasATurnAndNobodyMoreThanItCanUse, ()) {
  const auto candidates = *rc::gen::resize(20, rc::gen::container<std::vector<Candidate>>(AnyCandidate()));
  const auto step_rows = static_cast<std::int64_t>(candidates.size()) + *rc::gen::inRange<std::int64_t>(0, 700);
  const std::vector<Turn> turns = Plan(candidates, step_rows);
  std::int64_t rows = 0, wanted = 0, fed = 0;
  for (const Turn& turn : turns) {
    const Candidate& candidate = candidates[static_cast<std::size_t>(turn.candidate)];
    RC_ASSERT(turn.rows >= 1);
    RC_ASSERT(turn.rows <= candidate.most);
    RC_ASSERT(turn.drafts <= candidate.drafts);
    rows += turn.rows + turn.drafts;
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    RC_ASSERT((RowsOf(turns, static_cast<std::int64_t>(i)) > 0) == (candidates[i].known > 0));
    wanted += candidates[i].most + candidates[i].drafts;
    fed += candidates[i].known > 0;
  }
  RC_ASSERT(rows <= step_rows);
  RC_ASSERT(turns.size() == static_cast<std::size_t>(fed));
  // Work is never left lying: but for half of the rows kept from drafts, a step is full or everything is served.
  if (std::none_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.drafts > 0; })) RC_ASSERT(rows == std::min(step_rows, wanted));
}

TEST(Scheduler, AShortPromptIsReadAtOnceBesideALongOne) {
  const auto turns = Plan({{{0, 1}, 1000000, 1000000, 0}, {{0, 2}, 20, 20, 0}}, 256);
  EXPECT_EQ(RowsOf(turns, 1), 20);
  EXPECT_EQ(RowsOf(turns, 0), 236);
}

TEST(Scheduler, AHigherPriorityReadsFirstAndALowerOneStillMoves) {
  const auto turns = Plan({{{0, 1}, 1000, 1000, 0}, {{5, 2}, 1000, 1000, 0}}, 258);
  EXPECT_EQ(RowsOf(turns, 1), 1 + 224);
  EXPECT_EQ(RowsOf(turns, 0), 1 + 32);
}

TEST(Scheduler, WhatAHigherPriorityDoesNotNeedPassesOn) {
  const auto turns = Plan({{{0, 1}, 1000, 1000, 0}, {{5, 2}, 10, 10, 0}}, 256);
  EXPECT_EQ(RowsOf(turns, 1), 10);
  EXPECT_EQ(RowsOf(turns, 0), 246);
}

TEST(Scheduler, DraftsLeaveHalfOfTheRestToPrompts) {
  const auto turns = Plan({{{0, 1}, 1, 1, 5}, {{0, 2}, 500, 500, 0}}, 10);
  EXPECT_EQ(turns[0].drafts, 4);
  EXPECT_EQ(turns[1].rows, 5);
  EXPECT_EQ(Plan({{{0, 1}, 1, 1, 5}, {{0, 2}, 1, 1, 5}}, 10)[1].drafts, 4);
}

}  // namespace
}  // namespace baleen::engine

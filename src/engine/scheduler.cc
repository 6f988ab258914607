#include "engine/scheduler.h"

#include <algorithm>

#include "diagnostics/check.h"

namespace baleen::engine {
namespace {

constexpr std::int64_t kLowerShare = 8;  // one part of so many is left to lower priorities

const Candidate& Of(std::span<const Candidate> candidates, const Turn& turn) noexcept { return candidates[static_cast<std::size_t>(turn.candidate)]; }

/// Known tokens that a turn could still take.
std::int64_t Wanted(std::span<const Candidate> candidates, const Turn& turn) noexcept { return Of(candidates, turn).most - turn.rows; }

std::int64_t GiveDrafts(std::span<const Candidate> candidates, std::int64_t budget, std::span<Turn> turns) noexcept {
  std::int64_t given = 0;
  for (bool any = true; any && given < budget;) {
    any = false;
    for (Turn& turn : turns) {
      if (given == budget) break;
      if (turn.drafts >= Of(candidates, turn).drafts) continue;
      ++turn.drafts;
      ++given;
      any = true;
    }
  }
  return given;
}

/// Equal shares of `budget` for the turns of one priority; those that want least are served first, so that the others share what they leave.
std::int64_t GiveLevel(std::span<const Candidate> candidates, std::int64_t budget, std::span<Turn> turns) noexcept {
  std::sort(turns.begin(), turns.end(), [&](const Turn& a, const Turn& b) {
    const std::int64_t left = Wanted(candidates, a), right = Wanted(candidates, b);
    return left != right ? left < right : Of(candidates, a).rank.Before(Of(candidates, b).rank);
  });
  std::int64_t given = 0;
  auto waiting = static_cast<std::int64_t>(turns.size());
  for (Turn& turn : turns) {
    const std::int64_t share = (budget - given + waiting - 1) / waiting;
    --waiting;
    const std::int64_t rows = std::min(Wanted(candidates, turn), share);
    turn.rows += rows;
    given += rows;
  }
  return given;
}

/// One pass over the priorities; `all`: the last levels may take everything.
std::int64_t GivePrompts(std::span<const Candidate> candidates, std::int64_t budget, bool all, std::span<Turn> turns) noexcept {
  std::sort(turns.begin(), turns.end(), [&](const Turn& a, const Turn& b) { return Of(candidates, a).rank.Before(Of(candidates, b).rank); });
  std::int64_t given = 0;
  for (std::size_t begin = 0; begin < turns.size();) {
    std::size_t end = begin;
    while (end < turns.size() && Of(candidates, turns[end]).rank.priority == Of(candidates, turns[begin]).rank.priority) ++end;
    const std::int64_t left = budget - given;
    given += GiveLevel(candidates, all || end == turns.size() ? left : left - left / kLowerShare, turns.subspan(begin, end - begin));
    begin = end;
  }
  return given;
}

}  // namespace

void PlanStep(std::span<const Candidate> candidates, std::int64_t step_rows, std::vector<Turn>& turns) {
  turns.clear();
  bool prompts = false;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].known == 0) continue;
    turns.push_back({static_cast<std::int64_t>(i), 1, 0});
    prompts |= candidates[i].most > 1;
  }
  std::int64_t left = step_rows - static_cast<std::int64_t>(turns.size());
  CHECK(left >= 0);
  std::sort(turns.begin(), turns.end(), [&](const Turn& a, const Turn& b) { return Of(candidates, a).rank.Before(Of(candidates, b).rank); });
  left -= GiveDrafts(candidates, prompts ? left / 2 : left, turns);
  left -= GivePrompts(candidates, left, false, turns);
  GivePrompts(candidates, left, true, turns);
  std::sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) { return a.candidate < b.candidate; });
}

}  // namespace baleen::engine

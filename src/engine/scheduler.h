#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace baleen::engine {

/// Who goes first: the higher priority, then the earlier arrival.
struct Rank {
  int priority = 0;
  std::uint64_t arrival = 0;

  bool Before(const Rank& other) const noexcept { return priority != other.priority ? priority > other.priority : arrival < other.arrival; }
};

/// A running sequence as the scheduler sees it.
struct Candidate {
  Rank rank;
  std::int64_t known = 0;   // tokens known and not yet fed: 1 while it decodes, more while its prompt is read; 0 = nothing to feed now
  std::int64_t most = 0;    // known tokens it may be fed at once, 1 … known where known > 0
  std::int64_t drafts = 0;  // further rows it would like for drafted tokens
};

/// Rows of one candidate in a step: `rows` known tokens, then `drafts` drafted ones.
struct Turn {
  std::int64_t candidate = 0, rows = 0, drafts = 0;
};

/// The rows of the next step, at most step_rows in all, turns in the order of the candidates:
///   1. every candidate with a known token has one row, so that nobody waits longer than a step;
///   2. drafts take what is left, at most half of it while a prompt is read, in rounds of one row each by rank;
///   3. prompts take the rest in equal shares: the highest priority all but an eighth of it while lower ones wait, and what one needs
///      not passes on.
/// Requires  step_rows >= the candidates. Nothing but the arguments decides. Takes no memory when turns has room.
void PlanStep(std::span<const Candidate> candidates, std::int64_t step_rows, std::vector<Turn>& turns);

}  // namespace baleen::engine

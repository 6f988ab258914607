// What a step gives: rows are dealt out, tokens chosen and reported, drafts compared and proposed, snapshots kept.

#include <algorithm>
#include <exception>
#include <string>

#include "diagnostics/check.h"
#include "engine/active.h"
#include "engine/likeliest.h"

namespace baleen::engine {
namespace {

// A drafter that is seldom right costs more than it gives: its sequence then drafts at one token in so many only, to see whether that has changed.
constexpr double kLeastAcceptedShare = 0.25, kForgetting = 0.1;
constexpr std::int64_t kRetryTokens = 32;

}  // namespace

/// The rows of the next step, with the blocks they need. Whoever cannot have blocks waits again, and the plan is made anew.
void Engine::PlanTurns() {
  for (bool secured = false; !secured;) {
    candidates_.clear();
    for (const ActivePointer& active : running_) {
      const std::int64_t known = active->Reads() ? active->Left() : 0;
      const auto drafts = known == 1 ? std::min(DraftsOfEach(), static_cast<std::int64_t>(active->drafts.size())) : 0;
      candidates_.push_back({active->rank, known, MostRows(*active), drafts});
    }
    PlanStep(candidates_, model_->limits().rows, turns_);
    secured = std::all_of(turns_.begin(), turns_.end(), [&](const Turn& turn) {
      const std::size_t running = running_.size();
      Active& active = *running_[static_cast<std::size_t>(turn.candidate)];
      return SecureBlocks(active, active.Fed() + turn.rows + turn.drafts) && running == running_.size();
    });
  }
}

/// A chunk ends where a snapshot is due: at every interval, and at the last whole block of the prompt.
std::int64_t Engine::MostRows(const Active& active) const noexcept {
  const std::int64_t fed = active.Fed(), block = pool_->block_tokens();
  std::int64_t most = std::max<std::int64_t>(1, std::min(active.Left(), options_.step_rows));
  const std::int64_t interval = options_.cache.interval;
  if (interval > 0) most = std::min(most, interval - fed % interval);
  const std::int64_t last_block = (active.PromptLength() - 1) / block * block;
  if (fed < last_block) most = std::min(most, last_block - fed);
  return most;
}

void Engine::ChooseTokens() {
  for (const Turn& turn : turns_) {
    Active& active = *running_[static_cast<std::size_t>(turn.candidate)];
    const std::int64_t before = active.Fed() - turn.rows - turn.drafts;
    try {
      if (before + turn.rows == active.Length()) ChooseFor(active, turn);
    } catch (const std::bad_alloc&) {
      End(active, Finish::kFailed, {});
    }
    KeepSnapshots(active, before);
  }
}

/// Chooses the token behind the last known one; while it is what was drafted, the next logits are already there. A draft changes no choice:
/// it only decides how many of them one step can make.
void Engine::ChooseFor(Active& active, const Turn& turn) {
  const std::int64_t fed = active.Length();
  std::int64_t accepted = 0;
  for (std::int64_t row = 0; row <= turn.drafts && !active.finish; ++row) {
    const std::span<const float> logits = model_->Logits(active.first_logit_row + row);
    Choice choice{.logits = logits,
                  .sampling = &active.request.sampling,
                  .counts = &active.counts,
                  .allowed = active.request.allowed,
                  .index = static_cast<std::uint64_t>(active.Length())};
    if (active.request.constraint && active.request.constraint->Allowed(constraint_bits_)) choice.constraint = constraint_bits_;
    const Result<std::int32_t> token = chooser_.Choose(choice);
    if (!token) {
      End(active, Finish::kFailed, token.error());
      break;
    }
    const bool drafted = row < turn.drafts, as_drafted = drafted && active.drafts[static_cast<std::size_t>(row)] == *token;
    if (drafted) {
      ++counted_.drafted_at[std::min<std::size_t>(static_cast<std::size_t>(row), Statistics::kDraftPlaces - 1)];
      counted_.accepted_at[std::min<std::size_t>(static_cast<std::size_t>(row), Statistics::kDraftPlaces - 1)] += as_drafted;
    }
    if (drafted && row == 0) active.accepted_share += kForgetting * ((as_drafted ? 1 : 0) - active.accepted_share);
    const bool goes_on = Report(active, logits, *token);
    if (!goes_on || !as_drafted) break;
    ++accepted;
  }
  active.usage.drafted_tokens += turn.drafts;
  active.usage.accepted_tokens += accepted;
  active.sequence->Rollback(fed + accepted);
}

/// Appends the token and tells the request. false: it has ended.
bool Engine::Report(Active& active, std::span<const float> logits, std::int32_t token) {
  Request& request = active.request;
  TokenEvent event{.token = {token, 0}, .ends = std::find(request.end_ids.begin(), request.end_ids.end(), token) != request.end_ids.end()};
  if (request.likeliest) {
    const std::span<ScoredToken> places = std::span(likeliest_).first(std::min(likeliest_.size(), static_cast<std::size_t>(*request.likeliest)));
    const Result<double> log_probability = Likeliest(logits, token, places);
    if (!log_probability) {
      End(active, Finish::kFailed, log_probability.error());
      return false;
    }
    event.token.log_probability = *log_probability;
    event.likeliest = places;
  }
  if (active.Length() == active.PromptLength()) active.usage.first_token_seconds = std::chrono::duration<double>(options_.now() - active.submitted).count();
  bool wanted = true;
  try {
    active.tokens.push_back(token);
    if (request.sampling.Penalizes()) active.counts.Add(token);
    if (request.constraint && !event.ends && !request.constraint->Accept(token)) {
      End(active, Finish::kFailed, diagnostics::Unsupported("the request's grammar refused token " + std::to_string(token) + ", which it had allowed"));
      return false;
    }
    if (request.on_token) wanted = request.on_token(event);
  } catch (const std::exception& e) {
    End(active, Finish::kFailed, diagnostics::ResourceError(std::string("the request's own code failed: ") + e.what()));
    return false;
  }
  const std::int64_t answer = active.Length() - active.PromptLength();
  if (event.ends) {
    End(active, Finish::kEndToken);
  } else if (!wanted) {
    End(active, Finish::kStopped);
  } else if (answer == request.max_tokens || active.Length() == options_.context) {
    End(active, Finish::kLength);
  }
  return !active.finish;
}

/// Snapshots stand at every interval, at the last whole block of a prompt, one token before its end (that token is computed again anyway
/// to have its logits) and at the end of an answer.
void Engine::KeepSnapshots(Active& active, std::int64_t before) {
  const std::int64_t fed = active.Fed(), prompt = active.PromptLength(), block = pool_->block_tokens(), interval = options_.cache.interval;
  if (interval <= 0 || (active.finish && *active.finish == Finish::kFailed)) return;
  const auto keep = [&](std::int64_t length) {
    if (length > before && length <= fed && length >= active.sequence->shortest()) KeepSnapshot(active, length);  // one taken up again may have passed it
  };
  const std::int64_t at_interval = fed / interval * interval, at_block = (prompt - 1) / block * block;
  std::array<std::int64_t, 4> due = {at_interval, fed >= at_block && before < at_block ? at_block : 0, fed >= prompt - 1 && before < prompt - 1 ? prompt - 1 : 0,
                                     active.finish ? fed : 0};
  std::sort(due.begin(), due.end());
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (i == 0 || due[i] != due[i - 1]) keep(due[i]);
  }
}

/// Without memory for it there is none.
void Engine::KeepSnapshot(Active& active, std::int64_t length) {
  try {
    const std::span<const std::int32_t> tokens(active.tokens.data(), static_cast<std::size_t>(length));
    kvcache::Lease kept = cache_->Insert(active.snapshot, active.request.tenant, tokens, *active.sequence, length);
    if (kept) active.snapshot = std::move(kept);
  } catch (const std::bad_alloc&) {
  }
}

/// Drafts that each running sequence may have: equal parts of what draft_rows leaves.
std::int64_t Engine::DraftsOfEach() const noexcept {
  const auto running = std::max<std::int64_t>(1, static_cast<std::int64_t>(running_.size()));
  return std::min(options_.draft_tokens, std::max<std::int64_t>(0, options_.draft_rows - running) / running);
}

void Engine::Propose() {
  if (options_.draft_tokens == 0) return;
  proposals_.clear();
  const std::int64_t most = DraftsOfEach();
  for (std::size_t i = 0; i < turns_.size(); ++i) {
    Active& active = *running_[static_cast<std::size_t>(turns_[i].candidate)];
    if (active.finish) continue;
    const std::int64_t room = options_.context - active.Length() - 1;
    const bool useful = active.accepted_share >= kLeastAcceptedShare || active.Length() % kRetryTokens == 0;
    const std::int64_t wanted = active.request.drafts && active.Left() == 1 && useful ? std::max<std::int64_t>(0, std::min(most, room)) : 0;
    active.drafts.resize(static_cast<std::size_t>(options_.draft_tokens));
    proposals_.push_back({.sequence = &*active.sequence,
                          .segment = static_cast<std::int64_t>(i),
                          .next_token = active.tokens[static_cast<std::size_t>(active.Fed())],
                          .wanted = wanted,
                          .tokens = active.drafts});
  }
  model_->Propose(proposals_);
  std::size_t next = 0;
  for (const Turn& turn : turns_) {
    Active& active = *running_[static_cast<std::size_t>(turn.candidate)];
    if (!active.finish) active.drafts.resize(static_cast<std::size_t>(proposals_[next++].proposed));
  }
}

}  // namespace baleen::engine

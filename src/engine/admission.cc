// Who runs: submissions become waiting requests, waiting ones get a sequence and blocks, and give them back when others come first.

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "diagnostics/check.h"
#include "engine/active.h"

namespace baleen::engine {
namespace {

constexpr std::int64_t kWorthWaiting = 64;  // tokens that a leader must save

double Seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

diagnostics::Error OutOfMemory() { return diagnostics::ResourceError("the machine has no memory left for this request; try again with less running"); }

std::string Rounded(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", seconds);
  return text;
}

}  // namespace

void Engine::TakeIn() {
  std::vector<Submission> submissions;
  std::vector<RequestId> cancelled;
  inbox_.Take(submissions, cancelled);
  for (Submission& submission : submissions) {
    ++counted_.submitted;
    ActivePointer active;
    try {
      active = std::make_unique<Active>();
      active->tokens = submission.request.prompt;
      waiting_.reserve(waiting_.size() + running_.size() + 1);  // pre-emption needs no memory
    } catch (const std::bad_alloc&) {
      Refuse(submission);
      continue;
    }
    active->id = submission.id;
    active->rank = {submission.request.priority, submission.id};
    active->submitted = submission.at;
    active->request = std::move(submission.request);
    StandInLine(std::move(active));
  }
  if (cancelled.empty()) return;
  std::sort(cancelled.begin(), cancelled.end());
  for (auto* list : {&running_, &waiting_}) {
    for (const ActivePointer& active : *list) {
      if (std::binary_search(cancelled.begin(), cancelled.end(), active->id)) End(*active, Finish::kCancelled);
    }
  }
}

/// The machine has no memory to take the request in.
void Engine::Refuse(Submission& submission) {
  inbox_.Leave(static_cast<std::int64_t>(submission.request.prompt.size()));
  ++counted_.ended;
  ++counted_.failed;
  Publish();
  if (submission.request.on_end) submission.request.on_end({.finish = Finish::kFailed, .usage = {}, .error = OutOfMemory()});
}

/// Takes its place in line.
void Engine::StandInLine(ActivePointer active) {
  const auto place = std::find_if(waiting_.begin(), waiting_.end(), [&](const ActivePointer& other) { return active->rank.Before(other->rank); });
  waiting_.insert(place, std::move(active));
}

void Engine::EndOverdue() {
  const Clock::time_point now = options_.now();
  const auto check = [&](Active& active) {
    const Deadlines& deadlines = active.request.deadlines;
    const auto over = [&](const std::optional<Clock::duration>& deadline, const char* what) {
      if (!deadline || active.finish || now - active.submitted < *deadline) return;
      End(active, Finish::kExpired,
          diagnostics::ResourceError(std::string("the request's deadline for ") + what + " passed: " + Rounded(Seconds(*deadline)) + " allowed, " +
                                     Rounded(Seconds(now - active.submitted)) + " since its submission; try again later or allow more"));
    };
    if (!active.started) over(deadlines.queue, "its start");
    if (active.Length() == active.PromptLength()) over(deadlines.first_token, "the first token");
    over(deadlines.total, "the whole answer");
  };
  for (const ActivePointer& active : running_) check(*active);
  for (const ActivePointer& active : waiting_) check(*active);
  RemoveEnded();
}

/// The first waiting request starts as soon as there is room; nobody overtakes it, so nobody waits for ever.
void Engine::Admit() {
  while (!waiting_.empty()) {
    Active& next = *waiting_.front();
    try {
      if (!HasRoomFor(next) || !Start(next)) return;
    } catch (const std::bad_alloc&) {
      next.sequence.reset();
      End(next, Finish::kFailed, OutOfMemory());
      RemoveEnded();
      continue;
    }
    running_.push_back(std::move(waiting_.front()));
    waiting_.erase(waiting_.begin());
  }
}

/// Room is a place among the sequences and blocks for every token known, with one block to spare for each sequence that may grow. Requests
/// of a lower priority give way.
bool Engine::HasRoomFor(Active& next) {
  next.snapshot = cache_->Find(next.request.tenant, next.tokens, next.Length() - 1);
  const kvcache::Layout& layout = pool_->layout();
  while (true) {
    const std::int64_t shared = next.snapshot ? next.snapshot.length() / pool_->block_tokens() : 0;
    const std::int64_t growth = running_.empty() ? 0 : static_cast<std::int64_t>(running_.size());
    const std::int64_t needed = layout.Blocks(next.Length() + 1) - shared + growth;
    if (static_cast<std::int64_t>(running_.size()) < options_.sequences && cache_->MakeRoom(needed, next.request.tenant) >= needed) return true;
    Active* victim = WorstRunning(nullptr);
    if (victim == nullptr || victim->rank.priority >= next.rank.priority) {
      if (running_.empty() && next.snapshot) {  // what it pins itself may be in its way
        next.snapshot = {};
        continue;
      }
      next.snapshot = {};
      return false;
    }
    Preempt(*victim);
  }
}

bool Engine::Start(Active& next) {
  auto sequence = kvcache::Sequence::Create(*pool_, options_.context);
  if (!sequence) return false;
  next.sequence.emplace(*std::move(sequence));
  next.fetching = static_cast<bool>(next.snapshot);
  FollowLeader(next);
  if (next.Reads() && !next.sequence->Reserve(next.Length() + 1)) {
    next.sequence.reset();
    return false;
  }
  if (!next.started) {
    next.started = true;
    next.usage.queue_seconds = Seconds(options_.now() - next.submitted);
    inbox_.Leave(next.PromptLength());
    next.drafts.reserve(static_cast<std::size_t>(options_.draft_tokens));
    if (next.request.sampling.Penalizes()) next.counts.Reserve(256);
  }
  return true;
}

/// Prompts that begin alike and come together are read once: where a running sequence of the tenant is about to leave a snapshot of the shared
/// beginning, longer than what the cache has, the newcomer waits for it. Leaders came before, so nobody waits in a circle.
void Engine::FollowLeader(Active& next) {
  next.leader = 0;
  const std::int64_t interval = options_.cache.interval;
  if (interval <= 0) return;
  std::int64_t best = next.snapshot.length() + kWorthWaiting - 1;
  for (const ActivePointer& other : running_) {
    if (other->request.tenant != next.request.tenant || other->finish) continue;
    const auto differ = std::mismatch(other->tokens.begin(), other->tokens.end(), next.tokens.begin(), next.tokens.end()).first;
    const std::int64_t alike = std::min<std::int64_t>(differ - other->tokens.begin(), next.Length() - 1), end = other->PromptLength() - 1;
    std::int64_t length = alike / interval * interval;
    for (const std::int64_t due : {end / pool_->block_tokens() * pool_->block_tokens(), end}) {
      if (due <= alike) length = std::max(length, due);
    }
    if (length <= best || length <= other->Fed() || length > end) continue;
    best = length;
    next.leader = other->id;
    next.shared = length;
  }
}

/// A snapshot in memory is taken up at once; one on disk is read a piece a step, while others run.
void Engine::FetchSnapshots() {
  for (const ActivePointer& active : running_) {
    try {
      if (active->leader != 0) {
        const auto leads = [&](const ActivePointer& other) { return other->id == active->leader && !other->finish && other->Fed() < active->shared; };
        if (std::any_of(running_.begin(), running_.end(), leads)) continue;
        active->leader = 0;
        active->snapshot = cache_->Find(active->request.tenant, active->tokens, active->Length() - 1);
        active->fetching = static_cast<bool>(active->snapshot);
      }
      if (active->fetching) FetchSnapshot(*active);
    } catch (const std::bad_alloc&) {  // it is computed again
      active->snapshot = {};
      active->sequence->Reset();
      active->fetching = false;
      active->leader = 0;
    }
  }
}

void Engine::FetchSnapshot(Active& active) {
  const kvcache::PrefixCache::Progress progress = cache_->Fetch(active.snapshot);
  if (progress == kvcache::PrefixCache::Progress::kLost) {  // a shorter one may be there
    active.snapshot = cache_->Find(active.request.tenant, active.tokens, active.Length() - 1);
    active.fetching = static_cast<bool>(active.snapshot);
  }
  if (progress != kvcache::PrefixCache::Progress::kReady) return;
  active.fetching = false;
  if (!cache_->Restore(active.snapshot, *active.sequence)) {
    active.snapshot = {};
  } else if (active.Length() == active.PromptLength()) {
    active.usage.cached_tokens = active.Fed();
    counted_.cached_tokens += active.Fed();
  }
}

/// Blocks for the first `tokens` tokens: free ones, then the cache's, then those of the sequences that came last. false: this one came last.
bool Engine::SecureBlocks(Active& active, std::int64_t tokens) {
  while (!active.sequence->Reserve(tokens)) {
    const std::int64_t missing = pool_->layout().Blocks(tokens) - static_cast<std::int64_t>(active.sequence->blocks().size());
    if (cache_->MakeRoom(missing, active.request.tenant) >= missing) continue;
    const bool pinned = std::any_of(running_.begin(), running_.end(), [](const ActivePointer& other) { return other->snapshot && !other->fetching; });
    for (const ActivePointer& other : running_) {
      if (!other->fetching) other->snapshot = {};
    }
    if (pinned) continue;
    Active* victim = WorstRunning(&active);
    Preempt(victim != nullptr ? *victim : active);
    if (victim == nullptr) return false;
  }
  return true;
}

/// The running sequence of the last rank, if it ranks behind `better_than`.
Engine::Active* Engine::WorstRunning(const Active* better_than) {
  Active* worst = nullptr;
  for (const ActivePointer& active : running_) {
    if (active->finish || !active->sequence) continue;
    if (worst == nullptr || worst->rank.Before(active->rank)) worst = active.get();
  }
  return worst != nullptr && better_than != nullptr && !better_than->rank.Before(worst->rank) ? nullptr : worst;
}

/// Its state is kept as a snapshot if there is room for one; if not, it is computed again, to the same bits.
void Engine::Preempt(Active& active) {
  if (active.Fed() > 0) KeepSnapshot(active, active.Fed());
  active.snapshot = {};
  active.fetching = false;
  active.leader = 0;
  active.drafts.clear();
  active.sequence.reset();
  ++counted_.preempted;
  const auto found = std::find_if(running_.begin(), running_.end(), [&](const ActivePointer& other) { return other.get() == &active; });
  CHECK(found != running_.end());
  ActivePointer moved = std::move(*found);
  running_.erase(found);
  StandInLine(std::move(moved));
}

}  // namespace baleen::engine

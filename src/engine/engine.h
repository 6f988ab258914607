#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "diagnostics/result.h"
#include "engine/inbox.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "kvcache/pool.h"
#include "kvcache/prefix_cache.h"
#include "model/transformer.h"

namespace baleen::engine {

/// The limits of an engine; what is beyond them is refused at submission or waits.
struct Options {
  std::int64_t sequences = 16;   // running at once
  std::int64_t step_rows = 256;  // rows of one step: how much of other prompts a token may wait for
  std::int64_t context = 0;      // tokens of one sequence
  std::int64_t blocks = 0;       // of the pool, for sequences and cache; 0 = every sequence at the full context
  std::int64_t draft_tokens = 0; // proposed by the model's drafter for each step of a sequence; 0 = no drafts
  std::int64_t draft_rows = 16;  // drafts are added while a step that writes has fewer rows: a full one has no use for guesses
  InboxLimits waiting;
  kvcache::PrefixCacheOptions cache;
  std::function<Clock::time_point()> now = Clock::now;
};

/// Counters since the start, and how things are now.
struct Statistics {
  static constexpr std::size_t kDraftPlaces = 16;

  std::int64_t running = 0, waiting = 0;
  std::int64_t submitted = 0, ended = 0, failed = 0, cancelled = 0, expired = 0, preempted = 0;
  std::int64_t steps = 0, prefill_tokens = 0, decode_tokens = 0, cached_tokens = 0;
  std::int64_t blocks = 0, used_blocks = 0, cached_blocks = 0;
  std::array<std::int64_t, kDraftPlaces> drafted_at{}, accepted_at{};  // by place in the draft
};

/// Many requests on one model: continuous batching, prefix cache, drafts, pre-emption. An answer depends on its request alone: not on
/// what else runs, on how it was scheduled, stopped and taken up again, or on what the cache held.
///
/// Submit, Cancel, Wait and statistics may be called from any thread; Step and Shutdown from one.
class Engine {
 public:
  /// What the model must be loaded with. draft_tokens beyond what its drafter gives are not used.
  static model::Limits ModelLimits(const Options& options) noexcept;
  /// Bytes of the pool that these options take.
  static std::uint64_t PoolBytes(const kvcache::Layout& layout, const Options& options) noexcept;

  /// Takes all memory. The model must outlive the engine. Errors: memory, a cache folder that cannot be used, limits the model was not
  /// loaded for.
  static Result<std::unique_ptr<Engine>> Create(model::Transformer& model, const Options& options);
  ~Engine();

  /// Errors, and no on_end then: an empty prompt, one that leaves no room in the context or in the pool, ids outside the vocabulary,
  /// impossible settings (InvalidInput); too much waits already, or the engine was shut down (ResourceError).
  Result<RequestId> Submit(Request request);

  /// Ends the request at the next step, with kCancelled. An unknown or ended id is ignored.
  void Cancel(RequestId id);

  /// Takes in what was submitted, computes one step and delivers its tokens. false: there was nothing to do.
  bool Step();

  /// Returns when there may be something to do, or after so long.
  void Wait(Clock::duration at_most);

  Statistics statistics() const;

  /// Ends every request with kCancelled, finishes the cache's writing and gives all blocks back; later submissions are refused.
  void Shutdown();

 private:
  struct Active;  // a request from submission to end
  using ActivePointer = std::unique_ptr<Active>;

  Engine(model::Transformer& model, const Options& options);
  Status CheckRequest(const Request& request) const;

  void TakeIn();
  void Refuse(Submission& submission);
  void StandInLine(ActivePointer active);
  void EndOverdue();
  void Admit();
  bool HasRoomFor(Active& next);
  bool Start(Active& next);
  void FollowLeader(Active& next);
  void FetchSnapshots();
  void FetchSnapshot(Active& active);
  bool SecureBlocks(Active& active, std::int64_t tokens);
  void Preempt(Active& active);
  Active* WorstRunning(const Active* better_than);

  void PlanTurns();
  std::int64_t MostRows(const Active& active) const noexcept;
  void Feed();
  void ChooseTokens();
  void ChooseFor(Active& active, const Turn& turn);
  bool Report(Active& active, std::span<const float> logits, std::int32_t token);
  void KeepSnapshots(Active& active, std::int64_t before);
  void KeepSnapshot(Active& active, std::int64_t length);
  void Propose();
  std::int64_t DraftsOfEach() const noexcept;
  void End(Active& active, Finish finish, std::optional<diagnostics::Error> error = {});
  void RemoveEnded();
  void Publish();

  model::Transformer* model_;
  Options options_;
  Inbox inbox_;
  std::unique_ptr<kvcache::Pool> pool_;
  std::unique_ptr<kvcache::PrefixCache> cache_;
  Chooser chooser_;
  Statistics counted_;
  std::vector<ActivePointer> running_, waiting_;  // waiting_ by rank
  std::vector<Candidate> candidates_;             // of running_, at the same places
  std::vector<Turn> turns_;
  std::vector<std::int32_t> step_tokens_, rows_wanted_;
  std::vector<model::Segment> segments_;
  std::vector<model::Proposal> proposals_;
  std::vector<std::uint32_t> constraint_bits_;
  std::vector<ScoredToken> likeliest_;
  mutable std::mutex published_mutex_;
  Statistics published_;
};

}  // namespace baleen::engine

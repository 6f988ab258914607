#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "completion/answer.h"
#include "completion/delta.h"
#include "completion/prompt.h"
#include "engine/request.h"

namespace baleen::completion {

/// New tokens where a request names no max_tokens: as the vendor's service counts them for chats with and without thinking, and as
/// OpenAI's reference does for raw prompts.
inline constexpr std::int64_t kThinkingTokens = 32768, kReplyTokens = 4096, kTextTokens = 16;

/// The two calls of an engine that a completion makes; see engine::Engine.
struct EngineCalls {
  std::function<Result<engine::RequestId>(engine::Request)> submit;
  std::function<void(engine::RequestId)> cancel;
};

struct CompletionUsage {
  std::int64_t prompt_tokens = 0, cached_tokens = 0;          // once, whatever n
  std::int64_t completion_tokens = 0, reasoning_tokens = 0;  // of all choices
};

/// What follows a completion while it grows. Called by the engine's thread, one Delta at a time; it must not call the engine, and should be
/// quick. A choice that the engine refused behind accepted ones gets its last Delta from the thread that called Start. Each choice gets
/// exactly one with `ended`; the first may come before Start has returned.
using OnDelta = std::function<void(Delta)>;

/// One request on its way through the engine. It must live until done(): the engine calls it back from Step. engine and model must outlive it.
/// Start, Cancel, done, running, request and prompt_tokens may be used by any thread; an answer once its last Delta was handed out; failure and Usage once done.
class Completion {
 public:
  /// Checks the rest, compiles the answer's form and submits n choices. Choice i draws with seed + i, the request's or else drawn_seed.
  /// Errors: those of BuildPrompt, ChooseGrammar and of submit.
  static Checked<std::unique_ptr<Completion>> Start(const EngineCalls& engine, const ServedModel& model, CompletionRequest request, std::uint64_t drawn_seed,
                                                    OnDelta on_delta = {});

  bool done() const noexcept { return running() == 0; }
  std::int64_t running() const noexcept { return running_.load(std::memory_order_acquire); }  // choices that have not ended
  void Cancel();

  const CompletionRequest& request() const noexcept { return request_; }
  std::int64_t prompt_tokens() const noexcept { return prompt_tokens_; }
  const std::vector<std::unique_ptr<Answer>>& answers() const noexcept { return answers_; }
  /// Once done: why a choice failed, which fails the request.
  const std::optional<RequestError>& failure() const noexcept { return failure_; }
  CompletionUsage Usage() const noexcept;

 private:
  Completion(const EngineCalls& engine, CompletionRequest request, OnDelta on_delta);
  engine::Request EngineRequest(const ServedModel& model, const Prompt& prompt, const std::optional<constraint::Grammar>& grammar, std::uint64_t seed);
  void End(std::int64_t choice, const engine::Ending& ending);
  void Fail(const RequestError& error);

  const EngineCalls* engine_;
  CompletionRequest request_;
  std::int64_t prompt_tokens_ = 0;
  text::ToolNames tools_;
  std::vector<std::unique_ptr<Answer>> answers_;
  std::vector<engine::RequestId> ids_;
  std::shared_ptr<const OnDelta> on_delta_;  // shared with the engine's requests: the last Delta is handed out when the completion may be gone
  std::atomic<std::int64_t> running_ = 0;
  std::mutex failing_;
  std::optional<RequestError> failure_;
};

}  // namespace baleen::completion

#include <algorithm>
#include <atomic>
#include <new>

#include "baleen/baleen.h"
#include "hardware/cpu.h"
#include "library/answer_defaults.h"
#include "library/answer_stream.h"
#include "library/chat_prompt.h"
#include "library/open_model.h"
#include "library/start_engine.h"
#include "text/utf8.h"

namespace baleen {

using checkpoint::DrafterKind;
using library::PublicError;

struct Engine::State {
  std::optional<text::Tokenizer> tokenizer;
  library::AnswerDefaults defaults;
  ModelFacts facts;
  Memory memory;
  std::atomic<std::int64_t> open = 0;  // requests that were accepted and have not ended
  std::atomic<bool> stop = false;
  library::RunningEngine running;  // last: its requests look at the others

  const text::Tokenizer* TokenizerOrNull() const { return tokenizer ? &*tokenizer : nullptr; }
  bool Step() {
    running.engine->Step();
    return open.load() > 0;
  }
};

namespace {

/// Counts a request as open for as long as the engine holds its on_end.
class OpenRequest {
 public:
  explicit OpenRequest(std::atomic<std::int64_t>& open) : open_(&open) { ++*open_; }
  OpenRequest(const OpenRequest&) = delete;
  OpenRequest& operator=(const OpenRequest&) = delete;
  ~OpenRequest() { --*open_; }

 private:
  std::atomic<std::int64_t>* open_;
};

constexpr std::chrono::milliseconds kIdleWait{1000};  // nothing depends on it: submissions, cancellations and Stop end a wait

/// The value or error of `make`; no exception leaves it.
template <typename T, typename Make>
Expected<T> Guarded(Make make) {
  try {
    Result<T> made = make();
    if (!made) return PublicError(std::move(made).error());
    return std::move(*made);
  } catch (const std::bad_alloc&) {
    return Error{ErrorKind::kResource, "expected memory of this machine, found no more; ask for less"};
  } catch (const std::exception& thrown) {
    return Error{ErrorKind::kResource, diagnostics::Quoted(thrown.what(), 300)};
  }
}

std::optional<DrafterKind> DrafterOf(Drafts drafts) {
  switch (drafts) {
    case Drafts::kOff:
      return DrafterKind::kNone;
    case Drafts::kMtp:
      return DrafterKind::kMtp;
    case Drafts::kDspark:
      return DrafterKind::kDspark;
    case Drafts::kAuto:
      break;
  }
  return std::nullopt;
}

std::optional<model::Arithmetic> ArithmeticOf(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kExact:
      return model::Arithmetic::kExact;
    case Arithmetic::kOfficial:
      return model::Arithmetic::kOfficial;
    case Arithmetic::kFast:
      return model::Arithmetic::kFast;
    case Arithmetic::kAuto:
      break;
  }
  return std::nullopt;
}

Drafts DraftsOf(DrafterKind kind) { return kind == DrafterKind::kMtp ? Drafts::kMtp : kind == DrafterKind::kDspark ? Drafts::kDspark : Drafts::kOff; }

Result<library::RunningEngine> Start(const Options& options) {
  TRY_ASSIGN(library::OpenedModel opened,
             library::OpenModel({.model = options.model,
                                 .arithmetic = ArithmeticOf(options.arithmetic),
                                 .threads = options.threads,
                                 .verify = options.verify}));
  return library::StartEngine(std::move(opened), {.parallel = options.parallel,
                                                  .context = options.context,
                                                  .step_rows = options.step_tokens,
                                                  .kv_bytes = options.attention_bytes,
                                                  .cache_dir = options.cache_folder,
                                                  .cache_bytes = options.cache_bytes,
                                                  .waiting_requests = options.waiting_requests,
                                                  .draft = DrafterOf(options.drafts)});
}

ModelFacts FactsOf(const library::RunningEngine& running, bool has_tokenizer) {
  const library::OpenedModel& opened = running.model;
  return {.folder = opened.folder.string(),
          .vocabulary = opened.checkpoint->config().vocab_size,
          .most_context = opened.checkpoint->config().max_positions,
          .has_tokenizer = has_tokenizer,
          .drafts = DraftsOf(opened.transformer->drafter()),
          .instruction_set = std::string(hardware::IsaName(opened.device->isa())),
          .threads = opened.device->workers().threads()};
}

Memory MemoryOf(const library::RunningEngine& running) {
  const model::MemoryPlan& plan = running.model.transformer->memory_plan();
  return {.weights_bytes = plan.Matrices(),
          .beyond_bytes = plan.BeyondWeights(0) + running.AttentionBytes(),
          .attention_bytes = running.AttentionBytes(),
          .attention_tokens = running.AttentionTokens(),
          .context = running.options.context};
}

diagnostics::Error NoTokenizer(const ModelFacts& facts) {
  return diagnostics::InvalidInput(diagnostics::Quoted(facts.folder, 300) + ": expected a tokenizer.json, found none; this model has ids and no text");
}

}  // namespace

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::Engine(Engine&&) noexcept = default;

Engine& Engine::operator=(Engine&& other) noexcept {
  if (this != &other) {
    Shutdown();
    state_ = std::move(other.state_);
  }
  return *this;
}

Engine::~Engine() { Shutdown(); }

Expected<Engine> Engine::Open(const Options& options) {
  return Guarded<Engine>([&]() -> Result<Engine> {
    auto state = std::make_unique<State>();
    TRY_ASSIGN(state->running, Start(options));
    const library::OpenedModel& opened = state->running.model;
    if (library::HasTokenizer(opened.folder)) {
      TRY_ASSIGN(state->tokenizer, library::LoadTokenizer(opened.folder));
    }
    TRY_ASSIGN(state->defaults, library::ReadAnswerDefaults(opened.folder, opened.checkpoint->config(), state->TokenizerOrNull()));
    state->facts = FactsOf(state->running, state->tokenizer.has_value());
    state->memory = MemoryOf(state->running);
    return Engine(std::move(state));
  });
}

const ModelFacts& Engine::model() const noexcept { return state_->facts; }
const Memory& Engine::memory() const noexcept { return state_->memory; }

Expected<std::vector<std::int32_t>> Engine::Tokenize(std::string_view text) const {
  return Guarded<std::vector<std::int32_t>>([&]() -> Result<std::vector<std::int32_t>> {
    if (!state_->tokenizer) return NoTokenizer(state_->facts);
    TRY(text::CheckUtf8(text, "text"));
    return state_->tokenizer->Encode(text);
  });
}

Expected<std::string> Engine::Detokenize(std::span<const std::int32_t> ids) const {
  return Guarded<std::string>([&]() -> Result<std::string> {
    if (!state_->tokenizer) return NoTokenizer(state_->facts);
    TRY(state_->tokenizer->CheckIds(ids));
    return state_->tokenizer->Decode(ids);
  });
}

Expected<std::vector<std::int32_t>> Engine::EncodeChat(const std::vector<Message>& messages, const ChatOptions& options) const {
  return Guarded<std::vector<std::int32_t>>([&]() -> Result<std::vector<std::int32_t>> {
    if (!state_->tokenizer) return NoTokenizer(state_->facts);
    return library::ChatPrompt(*state_->tokenizer, messages, options);
  });
}

Expected<RequestId> Engine::Submit(Request request) {
  return Guarded<RequestId>([&]() -> Result<RequestId> {
    TRY_ASSIGN(const auto stream, library::AnswerStream::Create(std::move(request), state_->defaults, state_->TokenizerOrNull()));
    engine::Request wanted = library::AnswerStream::EngineRequest(stream);
    wanted.on_end = [open = std::make_shared<OpenRequest>(state_->open), deliver = std::move(wanted.on_end)](const engine::Ending& ending) { deliver(ending); };
    return state_->running.engine->Submit(std::move(wanted));
  });
}

void Engine::Cancel(RequestId id) { state_->running.engine->Cancel(id); }

bool Engine::Step() { return state_->Step(); }

void Engine::Wait(std::chrono::milliseconds at_most) {
  if (at_most.count() > 0) state_->running.engine->Wait(std::min(at_most, std::chrono::milliseconds(std::chrono::hours(24))));
}

void Engine::RunUntilIdle() {
  while (state_->open.load() > 0) state_->Step();
}

void Engine::Run() {
  while (!state_->stop.exchange(false)) {
    if (!state_->Step()) state_->running.engine->Wait(kIdleWait);
  }
}

void Engine::Stop() {
  state_->stop = true;
  state_->running.engine->Cancel(0);  // no request has this id: it only ends a wait
}

Statistics Engine::statistics() const {
  const engine::Statistics now = state_->running.engine->statistics();
  Statistics statistics{.running = now.running,
                        .waiting = now.waiting,
                        .submitted = now.submitted,
                        .ended = now.ended,
                        .failed = now.failed,
                        .cancelled = now.cancelled,
                        .expired = now.expired,
                        .preempted = now.preempted,
                        .steps = now.steps,
                        .prefill_tokens = now.prefill_tokens,
                        .decode_tokens = now.decode_tokens,
                        .cached_tokens = now.cached_tokens,
                        .blocks = now.blocks,
                        .used_blocks = now.used_blocks,
                        .cached_blocks = now.cached_blocks};
  std::copy_n(now.drafted_at.begin(), std::min(now.drafted_at.size(), statistics.drafted_at.size()), statistics.drafted_at.begin());
  std::copy_n(now.accepted_at.begin(), std::min(now.accepted_at.size(), statistics.accepted_at.size()), statistics.accepted_at.begin());
  return statistics;
}

void Engine::Shutdown() {
  if (state_ != nullptr && state_->running.engine != nullptr) state_->running.engine->Shutdown();
}

}  // namespace baleen

#include "engine/engine.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "diagnostics/check.h"
#include "diagnostics/log.h"
#include "engine/active.h"
#include "engine/likeliest.h"

namespace baleen::engine {

using diagnostics::InvalidInput;

namespace {

double Seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

std::int64_t PoolBlocks(const kvcache::Layout& layout, const Options& options) noexcept {
  return options.blocks > 0 ? options.blocks : options.sequences * layout.Blocks(options.context);
}

}  // namespace

model::Limits Engine::ModelLimits(const Options& options) noexcept {
  const std::int64_t decode_rows = options.sequences * (1 + options.draft_tokens);
  return {.rows = std::max(options.step_rows, decode_rows),
          .context = options.context,
          .logit_rows = decode_rows,
          .segments = options.sequences,
          .draft_tokens = options.draft_tokens};
}

std::uint64_t Engine::PoolBytes(const kvcache::Layout& layout, const Options& options) noexcept {
  return static_cast<std::uint64_t>(PoolBlocks(layout, options)) * layout.BlockBytes() + static_cast<std::uint64_t>(options.sequences) * layout.StateBytes();
}

Result<std::unique_ptr<Engine>> Engine::Create(model::Transformer& model, const Options& options) {
  if (options.sequences < 1 || options.context < 1) {
    return InvalidInput("an engine runs at least 1 sequence of at least 1 token, asked for " + std::to_string(options.sequences) + " of " +
                        std::to_string(options.context));
  }
  const model::Limits wanted = ModelLimits(options), &have = model.limits();
  CHECK(have.rows >= wanted.rows && have.context >= wanted.context && have.logit_rows >= wanted.logit_rows && have.segments >= wanted.segments);
  std::unique_ptr<Engine> engine(new Engine(model, options));
  TRY_ASSIGN(engine->pool_, kvcache::Pool::Create(model.cache_layout(), PoolBlocks(model.cache_layout(), options), options.sequences));
  TRY_ASSIGN(engine->cache_, kvcache::PrefixCache::Create(*engine->pool_, options.cache));
  engine->Publish();
  return engine;
}

Engine::Engine(model::Transformer& model, const Options& options)
    : model_(&model), options_(options), inbox_(options.waiting), chooser_(model.config().vocab_size) {
  options_.draft_tokens = std::min(options.draft_tokens, model.has_drafter() ? model.limits().draft_tokens : 0);
  const auto most = static_cast<std::size_t>(ModelLimits(options).rows);
  step_tokens_.reserve(most);
  rows_wanted_.reserve(most);
  const auto sequences = static_cast<std::size_t>(options.sequences);
  running_.reserve(sequences);
  candidates_.reserve(sequences);
  turns_.reserve(sequences);
  segments_.reserve(sequences);
  proposals_.reserve(sequences);
  constraint_bits_.resize(static_cast<std::size_t>((model.config().vocab_size + 31) / 32));
  likeliest_.resize(static_cast<std::size_t>(std::min(kMostLikeliest, model.config().vocab_size)));
}

Engine::~Engine() { Shutdown(); }

bool Engine::Step() {
  TakeIn();
  EndOverdue();
  Admit();
  FetchSnapshots();
  PlanTurns();
  if (!turns_.empty()) {
    Feed();
    ChooseTokens();
    Propose();
  }
  RemoveEnded();
  Publish();
  return !running_.empty() || !waiting_.empty();
}

/// One forward pass over every turn: known tokens, then drafted ones; logits behind the last known token and behind every draft.
void Engine::Feed() {
  step_tokens_.clear();
  rows_wanted_.clear();
  segments_.clear();
  for (const Turn& turn : turns_) {
    Active& active = *running_[static_cast<std::size_t>(turn.candidate)];
    const auto first = active.tokens.begin() + active.Fed();
    active.first_logit_row = static_cast<std::int64_t>(rows_wanted_.size());
    step_tokens_.insert(step_tokens_.end(), first, first + turn.rows);
    if (turn.rows == active.Left()) {
      for (std::int64_t row = 0; row <= turn.drafts; ++row) rows_wanted_.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(step_tokens_.size()) - 1 + row));
    }
    step_tokens_.insert(step_tokens_.end(), active.drafts.begin(), active.drafts.begin() + turn.drafts);
    segments_.push_back({&*active.sequence, turn.rows + turn.drafts});
    (active.Length() == active.PromptLength() || turn.rows > 1 ? counted_.prefill_tokens : counted_.decode_tokens) += turn.rows;
  }
  model_->Forward({step_tokens_, segments_, rows_wanted_, {}});
  ++counted_.steps;
}

Result<RequestId> Engine::Submit(Request request) {
  TRY(CheckRequest(request));
  return inbox_.Submit(std::move(request), options_.now());
}

Status Engine::CheckRequest(const Request& request) const {
  const auto length = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t vocab = model_->config().vocab_size;
  if (length == 0) return InvalidInput("prompt: expected at least one token, found none");
  if (length >= options_.context) {
    return InvalidInput("prompt: expected at most " + std::to_string(options_.context - 1) + " tokens (the context is " + std::to_string(options_.context) +
                        ", and the answer needs room too), found " + std::to_string(length) + "; shorten it or start with a longer context");
  }
  for (std::size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] >= 0 && request.prompt[i] < vocab) continue;
    return InvalidInput("prompt, token " + std::to_string(i) + ": expected an id from 0 to " + std::to_string(vocab - 1) + ", found " +
                        std::to_string(request.prompt[i]));
  }
  if (request.max_tokens < 0) return InvalidInput("max_tokens: expected at least 0, found " + std::to_string(request.max_tokens));
  if (request.likeliest && (*request.likeliest < 0 || *request.likeliest > kMostLikeliest)) {
    return InvalidInput("top_logprobs: expected 0 to " + std::to_string(kMostLikeliest) + ", found " + std::to_string(*request.likeliest));
  }
  if (!request.allowed.empty() && static_cast<std::int64_t>(request.allowed.size()) != vocab) {
    return InvalidInput("expected a mask of " + std::to_string(vocab) + " tokens, found one of " + std::to_string(request.allowed.size()));
  }
  const std::int64_t room = options_.context - length;
  const std::int64_t most = length + (request.max_tokens == 0 ? room : std::min(request.max_tokens, room));
  if (pool_->layout().Blocks(most) > pool_->blocks()) {
    return InvalidInput("prompt and answer may need " + std::to_string(most) + " tokens, and the memory for attention state holds " +
                        std::to_string(pool_->blocks() * pool_->block_tokens()) + "; ask for fewer (max_tokens) or start with more memory");
  }
  return CheckSampling(request.sampling, vocab);
}

void Engine::Cancel(RequestId id) { inbox_.Cancel(id); }

void Engine::Wait(Clock::duration at_most) { inbox_.Wait(at_most); }

Statistics Engine::statistics() const {
  const std::lock_guard lock(published_mutex_);
  return published_;
}

void Engine::Publish() {
  const auto going_on = [](const ActivePointer& active) { return !active->finish; };
  counted_.running = std::count_if(running_.begin(), running_.end(), going_on);
  counted_.waiting = std::count_if(waiting_.begin(), waiting_.end(), going_on);
  counted_.blocks = pool_->blocks();
  counted_.used_blocks = pool_->blocks() - pool_->free_blocks();
  counted_.cached_blocks = cache_->cached_blocks();
  const std::lock_guard lock(published_mutex_);
  published_ = counted_;
}

void Engine::End(Active& active, Finish finish, std::optional<diagnostics::Error> error) {
  if (active.finish) return;
  active.finish = finish;
  active.error = std::move(error);
  active.usage.prompt_tokens = active.PromptLength();
  active.usage.completion_tokens = active.Length() - active.PromptLength();
  active.usage.total_seconds = Seconds(options_.now() - active.submitted);
  ++counted_.ended;
  counted_.failed += finish == Finish::kFailed;
  counted_.cancelled += finish == Finish::kCancelled;
  counted_.expired += finish == Finish::kExpired;
}

/// Frees what the ended requests hold, counts them where statistics() shows it, and only then tells their owners: who was told of an end finds it counted.
void Engine::RemoveEnded() {
  bool any = false;
  for (auto* list : {&running_, &waiting_}) {
    for (const ActivePointer& active : *list) {
      if (!active->finish) continue;
      any = true;
      if (!active->started) inbox_.Leave(active->PromptLength());
      active->snapshot = {};
      active->sequence.reset();
    }
  }
  if (!any) return;
  Publish();
  for (auto* list : {&running_, &waiting_}) {
    for (ActivePointer& active : *list) {
      if (!active->finish) continue;
      const ActivePointer ended = std::move(active);
      try {
        if (ended->request.on_end) ended->request.on_end({*ended->finish, ended->usage, std::move(ended->error)});
      } catch (const std::exception& e) {
        diagnostics::Warn(std::string("a request's on_end threw: ") + e.what());
      }
    }
    std::erase(*list, nullptr);
  }
}

void Engine::Shutdown() {
  inbox_.Close();
  if (cache_ == nullptr) return;
  TakeIn();
  for (const ActivePointer& active : running_) End(*active, Finish::kCancelled);
  for (const ActivePointer& active : waiting_) End(*active, Finish::kCancelled);
  RemoveEnded();
  cache_->Flush();
  cache_->Clear();
  Publish();
}

}  // namespace baleen::engine

#include "completion/completion.h"

#include <algorithm>

#include "completion/grammar.h"
#include "text/json_python.h"
#include "text/special_tokens.h"

namespace baleen::completion {
namespace {

engine::Sampling SamplingOf(const ServedModel& model, const SamplingWishes& wishes, std::uint64_t seed) {
  engine::Sampling sampling = model.sampling;
  sampling.temperature = wishes.temperature.value_or(sampling.temperature);
  sampling.top_p = wishes.top_p.value_or(sampling.top_p);
  sampling.top_k = wishes.top_k;
  sampling.min_p = wishes.min_p.value_or(0);
  sampling.frequency_penalty = wishes.frequency_penalty;
  sampling.presence_penalty = wishes.presence_penalty;
  for (const auto& [id, bias] : wishes.logit_bias) sampling.logit_bias.push_back({.id = id, .bias = bias});
  sampling.seed = seed;
  return sampling;
}

std::int64_t MostTokens(const CompletionRequest& request, AnswerForm form) {
  if (request.max_tokens) return *request.max_tokens;
  if (form == AnswerForm::kPlain) return kTextTokens;
  return form == AnswerForm::kThinking ? kThinkingTokens : kReplyTokens;
}

// tool_choice none: the tools stay in the prompt, so that it is the same as before, but no block can begin.
std::vector<std::uint8_t> AllowedIds(const ServedModel& model, const CompletionRequest& request) {
  std::vector<std::uint8_t> allowed = model.allowed;
  const std::optional<std::int32_t> dsml = model.tokenizer->Find(text::kDsml);
  if (request.tools.empty() || request.tool_choice.kind != ToolChoice::Kind::kNone || !dsml) return allowed;
  if (allowed.empty()) allowed.assign(static_cast<std::size_t>(model.vocab_size), 1);
  allowed[static_cast<std::size_t>(*dsml)] = 0;
  return allowed;
}

text::ToolNames NamesOf(const std::vector<Tool>& tools) {
  text::ToolNames names;
  for (const Tool& tool : tools) {
    std::vector<std::string>& properties = names[tool.name];
    const Result<text::JsonValue> schema = text::ParseJson(tool.parameters_json);
    const text::JsonValue* described = schema ? schema->Find("properties") : nullptr;
    if (described == nullptr || described->AsObject() == nullptr) continue;
    for (const text::JsonMember& member : *described->AsObject()) properties.push_back(member.key);
  }
  return names;
}

// What the engine does not take now it may take later; what it never takes is the prompt's fault.
RequestError RefusalOf(const CompletionRequest& request, const diagnostics::Error& error) {
  if (error.kind == diagnostics::ErrorKind::kResource) return Refuse(503, "", error.message, "overloaded");
  return RefuseFor(request.kind == CompletionRequest::Kind::kChat ? "messages" : "prompt", error);
}

RequestError FailureOf(const CompletionRequest& request, const engine::Ending& ending) {
  if (ending.error && ending.error->kind == diagnostics::ErrorKind::kUnsupported) {  // what was asked for leaves no token to choose
    const std::string field = !request.sampling.logit_bias.empty() ? "logit_bias" : request.response_format.kind == ResponseFormat::Kind::kText ? "tools" : "response_format";
    return Refuse(422, field, field + ": " + ending.error->message, "unsupported");
  }
  const std::string why = ending.error ? ending.error->message : "the request was cancelled";
  return Refuse(ending.finish == engine::Finish::kExpired ? 504 : 500, "", "the answer could not be finished: " + why, "failed");
}

}  // namespace

Completion::Completion(const EngineCalls& engine, CompletionRequest request, OnDelta on_delta)
    : engine_(&engine), request_(std::move(request)), tools_(NamesOf(request_.tools)), on_delta_(std::make_shared<const OnDelta>(std::move(on_delta))) {}

engine::Request Completion::EngineRequest(const ServedModel& model, const Prompt& prompt, const std::optional<constraint::Grammar>& grammar, std::uint64_t seed) {
  engine::Request out;
  out.prompt = prompt.ids;
  out.sampling = SamplingOf(model, request_.sampling, seed);
  out.allowed = AllowedIds(model, request_);
  if (!request_.ignore_eos || grammar) out.end_ids = model.end_ids;  // a form ends where it is complete
  out.max_tokens = std::min(MostTokens(request_, prompt.form), model.context - static_cast<std::int64_t>(prompt.ids.size()));
  out.likeliest = request_.logprobs;
  if (grammar) out.constraint = StartGrammar(model, *grammar, prompt.form);
  out.tenant = request_.tenant;
  out.deadlines = request_.deadlines;
  Answer* answer = answers_.emplace_back(std::make_unique<Answer>(*model.tokenizer, prompt.form, request_.stop, tools_, request_.logprobs.has_value())).get();
  const auto choice = static_cast<std::int64_t>(answers_.size()) - 1;
  const bool ignores_end = out.end_ids.empty();
  out.on_token = [answer, choice, ignores_end, &model, on_delta = on_delta_](const engine::TokenEvent& event) {
    // An end token that does not end the answer is no text of it.
    const bool end = ignores_end && std::find(model.end_ids.begin(), model.end_ids.end(), event.token.id) != model.end_ids.end();
    Delta delta{.choice = choice, .events = {}, .tokens = {}};
    const bool go_on = end ? answer->Skip(event, delta) : answer->Push(event, delta);
    if (*on_delta && !(delta.events.empty() && delta.tokens.empty())) (*on_delta)(std::move(delta));
    return go_on;
  };
  out.on_end = [this, choice](const engine::Ending& ending) { End(choice, ending); };
  return out;
}

Checked<std::unique_ptr<Completion>> Completion::Start(const EngineCalls& engine, const ServedModel& model, CompletionRequest request, std::uint64_t drawn_seed,
                                                         OnDelta on_delta) {
  TRY_ASSIGN(const Prompt prompt, BuildPrompt(model, request));
  TRY_ASSIGN(const std::optional<constraint::Grammar> grammar, ChooseGrammar(model, request));
  const std::uint64_t seed = request.sampling.seed.value_or(drawn_seed);
  std::unique_ptr<Completion> completion(new Completion(engine, std::move(request), std::move(on_delta)));
  completion->prompt_tokens_ = static_cast<std::int64_t>(prompt.ids.size());
  const std::int64_t n = completion->request_.n;
  // The engine calls back from the first submit on: until then everything it uses is there.
  std::vector<engine::Request> choices;
  for (std::int64_t i = 0; i < n; ++i) choices.push_back(completion->EngineRequest(model, prompt, grammar, seed + static_cast<std::uint64_t>(i)));
  completion->running_ = n;
  for (std::int64_t i = 0; i < n; ++i) {
    Result<engine::RequestId> id = engine.submit(std::move(choices[static_cast<std::size_t>(i)]));
    if (!id) {
      const RequestError error = RefusalOf(completion->request_, id.error());
      if (i == 0) return error;
      completion->Fail(error);
      completion->Cancel();  // what runs already calls back: the completion must stay until it has ended
      for (std::int64_t refused = i; refused < n; ++refused) completion->End(refused, {.finish = engine::Finish::kCancelled, .usage = {}, .error = {}});
      break;
    }
    completion->ids_.push_back(*id);
  }
  return completion;
}

void Completion::Cancel() {
  for (const engine::RequestId id : ids_) engine_->cancel(id);
}

void Completion::Fail(const RequestError& error) {
  const std::lock_guard lock(failing_);
  if (!failure_) failure_ = error;
}

void Completion::End(std::int64_t choice, const engine::Ending& ending) {
  Answer& answer = *answers_[static_cast<std::size_t>(choice)];
  Delta delta{.choice = choice, .events = {}, .tokens = {}};
  answer.End(ending, delta);
  if (!answer.good()) Fail(FailureOf(request_, ending));
  const std::shared_ptr<const OnDelta> on_delta = on_delta_;
  running_.fetch_sub(1, std::memory_order_acq_rel);  // whoever sees the last one go may destroy the completion
  if (*on_delta) (*on_delta)(std::move(delta));
}

CompletionUsage Completion::Usage() const noexcept {
  CompletionUsage usage;
  for (const auto& answer : answers_) {
    if (!answer->ended()) continue;
    const engine::Usage& one = answer->ending().usage;
    if (usage.prompt_tokens == 0) {
      usage.prompt_tokens = one.prompt_tokens;
      usage.cached_tokens = one.cached_tokens;
    }
    usage.completion_tokens += one.completion_tokens;
    usage.reasoning_tokens += answer->reasoning_tokens();
  }
  return usage;
}

}  // namespace baleen::completion

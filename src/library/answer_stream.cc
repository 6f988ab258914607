#include "library/answer_stream.h"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "text/special_tokens.h"
#include "text/utf8.h"

namespace baleen::library {
namespace {

using completion::AnswerForm;
using diagnostics::InvalidInput;

std::uint64_t DrawSeed() { return std::uint64_t{std::random_device{}()} << 32 | std::random_device{}(); }

/// The answer is read as the prompt ends.
AnswerForm FormOf(const std::vector<std::int32_t>& prompt, const text::Tokenizer* tokenizer) {
  if (tokenizer == nullptr || prompt.empty()) return AnswerForm::kPlain;
  if (tokenizer->Find(text::kThinkingStart) == prompt.back()) return AnswerForm::kThinking;
  return tokenizer->Find(text::kThinkingEnd) == prompt.back() ? AnswerForm::kReply : AnswerForm::kPlain;
}

Status CheckStops(const std::vector<std::string>& stops, const text::Tokenizer* tokenizer) {
  if (!stops.empty() && tokenizer == nullptr) return InvalidInput("stop: expected a model with a tokenizer.json, found none; stop texts need one");
  if (stops.size() > kMostStopTexts) {
    return InvalidInput("stop: expected at most " + std::to_string(kMostStopTexts) + " texts, found " + std::to_string(stops.size()));
  }
  for (const std::string& stop : stops) {
    if (stop.empty()) return InvalidInput("stop: expected texts, found an empty one; leave it out to end at the model's own end");
    TRY(text::CheckUtf8(stop, "stop"));
  }
  return {};
}

engine::Sampling SamplingOf(const Sampling& wanted, const AnswerDefaults& defaults, std::uint64_t seed) {
  engine::Sampling sampling{.temperature = wanted.temperature.value_or(defaults.temperature),
                            .top_p = wanted.top_p.value_or(defaults.top_p),
                            .seed = seed,
                            .top_k = wanted.top_k,
                            .min_p = wanted.min_p,
                            .frequency_penalty = wanted.frequency_penalty,
                            .presence_penalty = wanted.presence_penalty};
  for (const LogitBias& bias : wanted.logit_bias) sampling.logit_bias.push_back({.id = bias.id, .bias = bias.bias});
  return sampling;
}

/// Within what the engine's clock can count.
std::optional<engine::Clock::duration> Bounded(const std::optional<std::chrono::milliseconds>& limit) {
  constexpr std::chrono::milliseconds kMost = std::chrono::years(10);
  if (!limit) return std::nullopt;
  return std::clamp(*limit, std::chrono::milliseconds(0), kMost);
}

Finish PublicFinish(engine::Finish finish, bool stop_text) {
  switch (finish) {
    case engine::Finish::kEndToken:
      return Finish::kEndToken;
    case engine::Finish::kLength:
      return Finish::kLength;
    case engine::Finish::kStopped:
      return stop_text ? Finish::kStopText : Finish::kStopped;
    case engine::Finish::kCancelled:
      return Finish::kCancelled;
    case engine::Finish::kExpired:
      return Finish::kExpired;
    case engine::Finish::kFailed:
      break;
  }
  return Finish::kFailed;
}

Usage PublicUsage(const engine::Usage& usage) {
  return {.prompt_tokens = usage.prompt_tokens,
          .cached_tokens = usage.cached_tokens,
          .completion_tokens = usage.completion_tokens,
          .drafted_tokens = usage.drafted_tokens,
          .accepted_tokens = usage.accepted_tokens,
          .queue_seconds = usage.queue_seconds,
          .first_token_seconds = usage.first_token_seconds,
          .total_seconds = usage.total_seconds};
}

}  // namespace

Error PublicError(diagnostics::Error error) {
  const auto kind = [&] {
    switch (error.kind) {
      case diagnostics::ErrorKind::kInvalidInput:
        return ErrorKind::kInvalidInput;
      case diagnostics::ErrorKind::kNotFound:
        return ErrorKind::kNotFound;
      case diagnostics::ErrorKind::kUnsupported:
        return ErrorKind::kUnsupported;
      case diagnostics::ErrorKind::kResource:
        break;
    }
    return ErrorKind::kResource;
  }();
  return {kind, std::move(error.message)};
}

AnswerStream::AnswerStream(Request request, const AnswerDefaults& defaults, const text::Tokenizer* tokenizer)
    : request_(std::move(request)),
      defaults_(&defaults),
      seed_(request_.sampling.seed ? *request_.sampling.seed : DrawSeed()),
      text_(tokenizer, FormOf(request_.prompt, tokenizer), request_.stop) {}

Result<std::shared_ptr<AnswerStream>> AnswerStream::Create(Request request, const AnswerDefaults& defaults, const text::Tokenizer* tokenizer) {
  TRY(CheckStops(request.stop, tokenizer));
  return std::shared_ptr<AnswerStream>(new AnswerStream(std::move(request), defaults, tokenizer));
}

engine::Request AnswerStream::EngineRequest(const std::shared_ptr<AnswerStream>& stream) {
  Request& wanted = stream->request_;
  const AnswerDefaults& defaults = *stream->defaults_;
  engine::Request request;
  request.prompt = std::move(wanted.prompt);
  request.sampling = SamplingOf(wanted.sampling, defaults, stream->seed_);
  request.allowed = defaults.allowed;
  if (!wanted.ignore_end) request.end_ids = defaults.end_ids;
  request.max_tokens = wanted.max_tokens;
  request.likeliest = wanted.likeliest;
  request.priority = wanted.priority;
  request.deadlines = {
      .queue = Bounded(wanted.deadlines.queue), .first_token = Bounded(wanted.deadlines.first_token), .total = Bounded(wanted.deadlines.total)};
  request.tenant = std::move(wanted.tenant);
  request.on_token = [stream](const engine::TokenEvent& event) { return stream->OnToken(event); };
  request.on_end = [stream](const engine::Ending& ending) { stream->OnEnd(ending); };
  return request;
}

template <typename Call>
void AnswerStream::Guard(const char* name, Call call) {
  try {
    call();
  } catch (const std::exception& thrown) {
    fault_ = {ErrorKind::kInvalidInput, std::string(name) + ": expected no exception, found one: " + diagnostics::Quoted(thrown.what(), 300)};
  } catch (...) {
    fault_ = {ErrorKind::kInvalidInput, std::string(name) + ": expected no exception, found one of an unknown type"};
  }
}

void AnswerStream::Show(const std::vector<text::ReplyEvent>& events) {
  for (const text::ReplyEvent& event : events) {
    const bool reasoning = event.kind == text::ReplyEvent::Kind::kReasoning;
    if ((!reasoning && event.kind != text::ReplyEvent::Kind::kContent) || !request_.on_text || fault_) continue;
    Guard("on_text", [&] { request_.on_text({.text = event.text, .reasoning = reasoning}); });
  }
}

bool AnswerStream::OnToken(const engine::TokenEvent& event) {
  const std::int32_t id = event.token.id;
  bool go_on = true;
  if (request_.on_token) {
    likeliest_.clear();
    for (const engine::ScoredToken& token : event.likeliest) likeliest_.push_back({token.id, token.log_probability});
    const TokenEvent shown{.token = {id, event.token.log_probability}, .likeliest = likeliest_, .ends = event.ends};
    Guard("on_token", [&] { go_on = request_.on_token(shown); });
  }
  const bool end = std::find(defaults_->end_ids.begin(), defaults_->end_ids.end(), id) != defaults_->end_ids.end();
  if (!end && !fault_) Show(text_.Push(id));
  return go_on && !fault_ && !text_.stopped();
}

void AnswerStream::OnEnd(const engine::Ending& ending) {
  Show(text_.Finish());
  Ending end{.finish = PublicFinish(ending.finish, text_.stopped()), .usage = PublicUsage(ending.usage), .seed = seed_};
  if (ending.error) end.error = PublicError(*ending.error);
  if (fault_) {
    end.finish = Finish::kFailed;
    end.error = fault_;
  }
  const text::ParsedReply& reply = text_.reply();
  end.reasoning = reply.reasoning_content;
  end.content = reply.content;
  for (const text::ParsedCall& call : reply.tool_calls) end.tool_calls.push_back({.name = call.name, .arguments = call.arguments});
  if (request_.on_end) Guard("on_end", [&] { request_.on_end(end); });
}

}  // namespace baleen::library

#include "apps/chat_session.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "apps/answer_text.h"
#include "apps/interrupt.h"
#include "library/answer_defaults.h"
#include "plan/counts.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kDefaultContext = 32768;  // longer ones are asked for: their memory is taken at the start

double Seconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

std::string Scaled(std::uint64_t count) {
  char text[32];
  const auto number = static_cast<double>(count);
  if (number >= 1e12) {
    std::snprintf(text, sizeof text, "%.2fT", number / 1e12);
  } else if (number >= 1e9) {
    std::snprintf(text, sizeof text, "%.1fB", number / 1e9);
  } else {
    std::snprintf(text, sizeof text, "%.1fM", number / 1e6);
  }
  return text;
}

// A hub id as it was written; else the folder's own name.
std::string NameOf(const ModelFlags& flags, const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!flags.model.empty() && !std::filesystem::exists(flags.model, ignored)) return flags.model;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(folder, ignored);
  return whole.filename().empty() ? folder.string() : whole.filename().string();
}

text::Message MessageOf(const text::ParsedReply& reply) {
  text::Message message{.role = "assistant", .content = reply.content, .reasoning_content = reply.reasoning_content};
  for (const text::ParsedCall& call : reply.tool_calls) message.tool_calls.push_back({.id = "", .name = call.name, .arguments = call.arguments});
  return message;
}

}  // namespace

Result<std::unique_ptr<ChatSession>> ChatSession::Open(const ModelFlags& model, const SamplingFlags& sampling) {
  TRY(CheckSamplingFlags(sampling));
  std::unique_ptr<ChatSession> session(new ChatSession);
  TRY_ASSIGN(session->opened_, OpenCheckpoint(model));
  library::OpenedModel& opened = session->opened_;
  const checkpoint::ModelConfig& config = opened.checkpoint->config();
  TRY_ASSIGN(text::Tokenizer tokenizer, library::LoadTokenizer(opened.folder));
  session->tokenizer_ = std::make_unique<text::Tokenizer>(std::move(tokenizer));
  TRY_ASSIGN(session->settings_, MakeSettings(sampling, opened.folder, config, session->tokenizer_.get()));
  TRY_ASSIGN(std::int64_t context, ContextLimit(sampling, config));
  if (sampling.context == 0) context = std::min(context, kDefaultContext);
  TRY(LoadTransformer(opened, model, {.rows = PrefillRows(opened, context), .context = context, .logit_rows = 1, .segments = 1}));
  TRY_ASSIGN(engine::Generation generation, engine::Generation::Create(*opened.transformer));
  session->generation_ = std::make_unique<engine::Generation>(std::move(generation));
  TRY_ASSIGN(engine::Sampler sampler, engine::Sampler::Create(session->settings_.sampling, config.vocab_size, session->settings_.allowed));
  session->sampler_ = std::make_unique<engine::Sampler>(std::move(sampler));
  session->name_ = NameOf(model, opened.folder);
  session->system_ = sampling.system;
  session->max_tokens_ = sampling.max_tokens;
  session->stops_ = sampling.stop;
  session->Reset();
  return session;
}

void ChatSession::Reset() {
  messages_.clear();
  if (!system_.empty()) messages_.push_back({.role = "system", .content = system_});
  generation_->Reset();
}

Result<std::vector<std::int32_t>> ChatSession::Prompt(const text::Messages& messages) const {
  TRY_ASSIGN(const std::string prompt, text::RenderPrompt({.messages = messages, .encoding = settings_.encoding, .thinking = settings_.thinking}));
  return tokenizer_->Encode(prompt);
}

Status ChatSession::Replace(text::Messages messages) {
  TRY(Prompt(messages));
  messages_ = std::move(messages);
  generation_->Reset();
  return {};
}

Result<ChatAnswer> ChatSession::Answer(const std::string& message, bool stream) {
  TRY(text::CheckUtf8(message, "message"));
  text::Messages messages = messages_;
  messages.push_back({.role = "user", .content = message});
  TRY_ASSIGN(const std::vector<std::int32_t> prompt, Prompt(messages));
  if (static_cast<std::int64_t>(prompt.size()) >= context()) {
    return InvalidInput("the context is full: the conversation with this message has " + std::to_string(prompt.size()) + " tokens, the context " +
                        std::to_string(context()) +
                        ", and the answer needs room too; /reset starts a new conversation, --context N makes room for a longer one");
  }
  Result<ChatAnswer> answer = Continue(prompt, stream);
  if (!answer) {
    generation_->Reset();  // its logits are not those of a whole prompt
    return answer;
  }
  if (answer->written_tokens > 0) {
    messages.push_back(MessageOf(answer->reply));
    messages_ = std::move(messages);
  }
  return answer;
}

Result<ChatAnswer> ChatSession::Continue(const std::vector<std::int32_t>& prompt, bool stream) {
  const bool thinks = settings_.thinking != text::Thinking::kOff;
  AnswerText text(tokenizer_.get(), thinks ? AnswerForm::kThinking : AnswerForm::kReply, stops_);
  AnswerPrinter printer(true);
  ChatAnswer answer{.prompt_tokens = static_cast<std::int64_t>(prompt.size())};
  Status shown;
  const auto show = [&](const std::vector<text::ReplyEvent>& events) {
    if (shown && stream) shown = printer.Show(events);
  };
  const auto on_token = [&](std::int32_t id) {
    ++answer.written_tokens;
    if (std::find(settings_.end_ids.begin(), settings_.end_ids.end(), id) == settings_.end_ids.end()) show(text.Push(id));
    return shown.has_value() && !text.stopped() && !InterruptWatch::Seen();
  };
  const Clock::time_point begin = Clock::now();
  TRY_ASSIGN(const engine::Prefilled prefilled, generation_->Prefill(prompt, [] { return !InterruptWatch::Seen(); }));
  const Clock::time_point filled = Clock::now();
  answer.finish = engine::Finish::kStopped;
  if (prefilled.whole) {
    TRY_ASSIGN(answer.finish, generation_->Decode(*sampler_, settings_.end_ids, max_tokens_, on_token));
  }
  answer.reused_tokens = prefilled.reused;
  answer.prefill_seconds = Seconds(begin, filled);
  answer.decode_seconds = Seconds(filled, Clock::now());
  show(text.Finish());
  TRY(std::move(shown));
  if (stream) TRY(printer.Finish());
  answer.reply = text.reply();
  return answer;
}

std::string ChatSession::Description() const {
  const plan::ParameterCounts counts = plan::CountParameters(opened_.checkpoint->config());
  return name_ + ": " + Scaled(counts.total) + " parameters (" + Scaled(counts.active) + " active), context " + std::to_string(context()) + " tokens";
}

}  // namespace baleen::apps

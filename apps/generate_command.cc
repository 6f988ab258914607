// baleen generate: one prompt, one answer.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

#include "apps/answer_text.h"
#include "apps/commands.h"
#include "apps/interrupt.h"
#include "apps/message_file.h"
#include "apps/open_model.h"
#include "apps/sampling_flags.h"
#include "apps/token_file.h"
#include "diagnostics/log.h"
#include "engine/generation.h"
#include "library/answer_defaults.h"
#include "text/json_python.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;
using Clock = std::chrono::steady_clock;

struct GenerateFlags {
  ModelFlags model;
  SamplingFlags sampling;
  std::optional<std::string> prompt, messages, tokens;
  bool raw = false, json = false;
};

struct Timings {
  double load = 0, prefill = 0, decode = 0;  // seconds
};

/// Everything that one run has made.
struct Generated {
  std::vector<std::int32_t> tokens;
  std::int64_t prompt_tokens = 0;
  engine::Finish finish = engine::Finish::kLength;
  Timings timings;
};

double Seconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

Status CheckFlags(const GenerateFlags& flags) {
  const int sources = flags.prompt.has_value() + flags.messages.has_value() + flags.tokens.has_value();
  if (sources != 1) {
    return InvalidInput("generate: expected exactly one of --prompt, --messages and --tokens, found " + std::to_string(sources) + "; name one prompt");
  }
  if (flags.raw && !flags.prompt) return InvalidInput("--raw: expected beside --prompt only; messages are always encoded, ids never");
  if (!flags.sampling.system.empty() && (flags.raw || !flags.prompt))
    return InvalidInput("--system: expected beside an encoded --prompt only; messages hold their own system message");
  if (flags.prompt && flags.prompt->empty()) return InvalidInput("--prompt: expected a text, found an empty one");
  if (flags.prompt) TRY(text::CheckUtf8(*flags.prompt, "--prompt"));
  return CheckSamplingFlags(flags.sampling);
}

Result<text::Messages> PromptMessages(const GenerateFlags& flags) {
  if (flags.messages) return ReadMessageFile(*flags.messages);
  text::Messages messages;
  if (!flags.sampling.system.empty()) messages.push_back({.role = "system", .content = flags.sampling.system});
  messages.push_back({.role = "user", .content = *flags.prompt});
  return messages;
}

Result<std::vector<std::int32_t>> PromptIds(const GenerateFlags& flags, const Settings& settings, const text::Tokenizer* tokenizer, std::int64_t vocab_size) {
  if (flags.tokens) return ReadTokenFile(*flags.tokens, vocab_size);
  if (flags.raw) return tokenizer->Encode(*flags.prompt);
  TRY_ASSIGN(const text::Messages messages, PromptMessages(flags));
  const Result<std::string> prompt = text::RenderPrompt({.messages = messages, .encoding = settings.encoding, .thinking = settings.thinking});
  if (!prompt) return InvalidInput((flags.messages ? diagnostics::Quoted(*flags.messages, 300) : "--prompt") + ": " + prompt.error().message);
  return tokenizer->Encode(*prompt);
}

AnswerForm FormOf(const GenerateFlags& flags, const text::Tokenizer* tokenizer, std::int32_t last_prompt_id) {
  if (flags.raw) return AnswerForm::kPlain;
  return tokenizer != nullptr && tokenizer->Find(text::kThinkingStart) == last_prompt_id ? AnswerForm::kThinking : AnswerForm::kReply;
}

// The tokenizer, or nothing where only ids are asked for and the folder has none.
Result<std::optional<text::Tokenizer>> TokenizerFor(const GenerateFlags& flags, const std::filesystem::path& folder) {
  if (flags.tokens && !library::HasTokenizer(folder)) {
    if (!flags.sampling.stop.empty()) return InvalidInput("--stop: expected a model with a tokenizer.json, found none; stop texts need one");
    diagnostics::Note("the model has no tokenizer.json: the answer is given as ids, without text");
    return std::optional<text::Tokenizer>();
  }
  TRY_ASSIGN(text::Tokenizer tokenizer, library::LoadTokenizer(folder));
  return std::optional<text::Tokenizer>(std::move(tokenizer));
}

std::string_view FinishReason(const Generated& generated, const AnswerText& answer) {
  if (generated.finish == engine::Finish::kLength) return "length";
  return answer.reply().tool_calls.empty() || answer.stopped() ? "stop" : "tool_calls";
}

std::string Rate(std::int64_t tokens, double seconds) { return text::WritePythonFloat(seconds > 0 ? static_cast<double>(tokens) / seconds : 0); }

std::string AnswerJson(const Generated& generated, const AnswerText& answer) {
  std::string ids;
  for (const std::int32_t id : generated.tokens) ids += (ids.empty() ? "" : ", ") + std::to_string(id);
  const std::string parts = text::WriteReplyJson(answer.reply());  // an object: its members are taken over
  const auto count = static_cast<std::int64_t>(generated.tokens.size());
  const Timings& t = generated.timings;
  return "{\"tokens\": [" + ids + "], \"text\": " + text::QuoteJson(answer.raw()) + ", " + parts.substr(1, parts.size() - 2) + ", \"finish_reason\": \"" +
         std::string(FinishReason(generated, answer)) + "\", \"usage\": {\"prompt_tokens\": " + std::to_string(generated.prompt_tokens) +
         ", \"completion_tokens\": " + std::to_string(count) + ", \"total_tokens\": " + std::to_string(generated.prompt_tokens + count) +
         "}, \"timings\": {\"load_seconds\": " + text::WritePythonFloat(t.load) + ", \"prefill_seconds\": " + text::WritePythonFloat(t.prefill) +
         ", \"prefill_tokens_per_second\": " + Rate(generated.prompt_tokens, t.prefill) + ", \"decode_seconds\": " + text::WritePythonFloat(t.decode) +
         ", \"decode_tokens_per_second\": " + Rate(count, t.decode) + "}}\n";
}

/// Prefills and decodes; streams to standard output unless --json.
Result<Generated> Continue(model::Transformer& model, const GenerateFlags& flags, Settings settings, const std::vector<std::int32_t>& prompt, bool with_text,
                           AnswerText& answer) {
  TRY_ASSIGN(engine::Generation generation, engine::Generation::Create(model));
  TRY_ASSIGN(engine::Sampler sampler, engine::Sampler::Create(settings.sampling, model.config().vocab_size, std::move(settings.allowed)));
  AnswerPrinter printer(true);
  Generated out{.prompt_tokens = static_cast<std::int64_t>(prompt.size())};
  Status shown;
  const auto show = [&](const std::vector<text::ReplyEvent>& events) {
    if (shown && !flags.json) shown = printer.Show(events);
  };
  const auto on_token = [&](std::int32_t id) {
    out.tokens.push_back(id);
    const bool end = std::find(settings.end_ids.begin(), settings.end_ids.end(), id) != settings.end_ids.end();
    if (!end) show(answer.Push(id));
    if (!with_text && !flags.json && shown) shown = WriteStandardOutput((out.tokens.size() > 1 ? " " : "") + std::to_string(id));
    return shown.has_value() && !answer.stopped() && !InterruptWatch::Seen();
  };
  const InterruptWatch watch;
  const Clock::time_point begin = Clock::now();
  TRY_ASSIGN(const engine::Prefilled prefilled, generation.Prefill(prompt, [] { return !InterruptWatch::Seen(); }));
  const Clock::time_point filled = Clock::now();
  if (prefilled.whole) {
    TRY_ASSIGN(out.finish, generation.Decode(sampler, settings.end_ids, flags.sampling.max_tokens, on_token));
  } else {
    out.finish = engine::Finish::kStopped;
  }
  out.timings = {.prefill = Seconds(begin, filled), .decode = Seconds(filled, Clock::now())};
  show(answer.Finish());
  TRY(std::move(shown));
  if (!flags.json) TRY(printer.Finish());
  if (InterruptWatch::Seen()) diagnostics::Note("stopped by Ctrl-C after " + std::to_string(out.tokens.size()) + " tokens");
  return out;
}

Status Generate(const GenerateFlags& flags) {
  TRY(CheckFlags(flags));
  const Clock::time_point begin = Clock::now();
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(flags.model));
  const checkpoint::ModelConfig& config = opened.checkpoint->config();
  TRY_ASSIGN(const std::optional<text::Tokenizer> found, TokenizerFor(flags, opened.folder));
  const text::Tokenizer* tokenizer = found ? &*found : nullptr;
  TRY_ASSIGN(Settings settings, MakeSettings(flags.sampling, opened.folder, config, tokenizer));
  TRY_ASSIGN(const std::int64_t most, ContextLimit(flags.sampling, config));
  TRY_ASSIGN(const std::vector<std::int32_t> prompt, PromptIds(flags, settings, tokenizer, config.vocab_size));
  const auto count = static_cast<std::int64_t>(prompt.size());
  if (count == 0) return InvalidInput("prompt: expected at least one token, found none");
  if (count > most) {
    return InvalidInput("prompt: expected at most " + std::to_string(most) + " tokens (the context), found " + std::to_string(count) +
                        "; shorten the prompt or, where the model allows it, raise --context");
  }
  const std::int64_t context = flags.sampling.max_tokens < most - count ? count + flags.sampling.max_tokens : most;
  TRY(LoadTransformer(opened, flags.model, {.rows = PrefillRows(opened, count), .context = context, .logit_rows = 1, .segments = 1}));
  const double load = Seconds(begin, Clock::now());
  AnswerText answer(tokenizer, FormOf(flags, tokenizer, prompt.back()), flags.sampling.stop);
  TRY_ASSIGN(Generated generated, Continue(*opened.transformer, flags, std::move(settings), prompt, tokenizer != nullptr, answer));
  generated.timings.load = load;
  return flags.json ? WriteStandardOutput(AnswerJson(generated, answer)) : Status();
}

}  // namespace

void AddGenerateCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command = app.add_subcommand("generate", "Answer one prompt; the text is streamed to standard output, thinking first.");
  AddModelFlags(*command, flags->model, false);
  command->add_option("--prompt", flags->prompt, "One message of the user, encoded as a chat (as it stands with --raw)");
  command->add_option("--messages", flags->messages, "File with a JSON array of messages; - is standard input");
  command->add_option("--tokens", flags->tokens, "File with a JSON array of ids, taken as they are; needs no tokenizer.json");
  command->add_flag("--raw", flags->raw, "Continue the text of --prompt itself: no chat encoding, no begin token but one written in it");
  command->add_flag("--json", flags->json, "One JSON object at the end: tokens, text, reasoning_content, content, tool_calls, finish_reason, usage, timings");
  AddSamplingFlags(*command, flags->sampling);
  command->footer(
      "Ctrl-C ends the answer: what was written stays, the exit code is 0. Pressed again two seconds later it ends the program.\n\nExamples:\n"
      "  baleen generate --model models/plankton --prompt '35+4' --temperature 0\n"
      "  baleen generate --model models/plankton --messages chat.json --think high --json\n"
      "  baleen generate --model models/plankton --tokens prompt.json --max-tokens 20 --seed 7 --top-p 0.9\n"
      "  baleen generate --model models/plankton --raw --prompt 'Once upon a time' --stop '.'");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return Generate(*flags); }); });
}

}  // namespace baleen::apps

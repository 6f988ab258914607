#include "apps/sampling_flags.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>
#include <string_view>

#include "library/answer_defaults.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;

constexpr std::size_t kMostStops = 64;

// The parser of flags would take -1 for 2^64 - 1, and the largest number for everything beyond it.
template <typename Number>
CLI::Validator WholeNumber(Number least) {
  const auto fault = [least](const std::string& text) {
    Number value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code == std::errc() && end == text.data() + text.size() && value >= least) return std::string();
    return "expected a whole number from " + std::to_string(least) + " to " + std::to_string(std::numeric_limits<Number>::max()) + ", found '" +
           diagnostics::Quoted(text) + "'";
  };
  return CLI::Validator(fault, "");
}

CLI::Validator RealNumber() {
  const auto fault = [](const std::string& text) {
    double value = 0;
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const auto [end, code] = std::from_chars(begin, text.data() + text.size(), value);
    if (code == std::errc() && end == text.data() + text.size()) return std::string();
    return "expected a number, found '" + diagnostics::Quoted(text) + "'";
  };
  return CLI::Validator(fault, "");
}

// The sampler takes a top_p of 0 too; written by hand it is more likely a slip.
Status CheckNumbers(const engine::Sampling& sampling, std::int64_t vocab_size) {
  if (sampling.top_p == 0) return InvalidInput("top_p: expected a number above 0 and at most 1, found 0; 1 keeps every token");
  return engine::CheckSampling(sampling, vocab_size);
}

// ID=VALUE
Result<engine::LogitBias> ParseLogitBias(const std::string& text) {
  engine::LogitBias bias;
  const char* end = text.data() + text.size();
  const auto id = std::from_chars(text.data(), end, bias.id);
  if (id.ec == std::errc() && id.ptr != end && *id.ptr == '=') {
    const char* begin = id.ptr + 1 + (std::string_view(id.ptr + 1, end).starts_with('+') ? 1 : 0);
    const auto value = std::from_chars(begin, end, bias.bias);
    if (value.ec == std::errc() && value.ptr == end) return bias;
  }
  return InvalidInput("--logit-bias: expected ID=VALUE such as 17=-100, found '" + diagnostics::Quoted(text) + "'");
}

Result<engine::Sampling> SamplingOf(const SamplingFlags& flags) {
  engine::Sampling sampling{.temperature = flags.temperature.value_or(1),
                            .top_p = flags.top_p.value_or(1),
                            .top_k = flags.top_k,
                            .min_p = flags.min_p,
                            .frequency_penalty = flags.frequency_penalty,
                            .presence_penalty = flags.presence_penalty};
  for (const std::string& text : flags.logit_bias) {
    TRY_ASSIGN(const engine::LogitBias bias, ParseLogitBias(text));
    sampling.logit_bias.push_back(bias);
  }
  return sampling;
}

// The field's name in front of the message becomes the flag's.
Status CheckFlagNumbers(const engine::Sampling& sampling, std::int64_t vocab_size) {
  const Status fits = CheckNumbers(sampling, vocab_size);
  if (fits) return {};
  std::string message = "--" + fits.error().message;
  std::replace(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(std::min(message.find(':'), message.size())), '_', '-');
  return InvalidInput(message);
}

}  // namespace

void AddSamplingFlags(CLI::App& command, SamplingFlags& flags) {
  command.add_option("--think", flags.think, "off, low, high or max: how much the model thinks before it answers")
      ->check(CLI::IsMember({"off", "low", "high", "max"}))
      ->capture_default_str();
  command.add_option("--system", flags.system, "A system message in front of the conversation");
  command.add_option("--encoding", flags.encoding, "april (preview releases) or 0731 (since)")->check(CLI::IsMember({"april", "0731"}))->capture_default_str();
  command.add_option("--temperature", flags.temperature, "0 = always the likeliest token (default: generation_config.json, else 1)")->check(RealNumber());
  command.add_option("--top-p", flags.top_p, "Keep the likeliest tokens up to this probability, (0, 1] (default: generation_config.json, else 1)")
      ->check(RealNumber());
  command.add_option("--top-k", flags.top_k, "Keep so many of the likeliest tokens; 0 = all")
      ->check(WholeNumber<std::int64_t>(0))
      ->capture_default_str();
  command.add_option("--min-p", flags.min_p, "Keep tokens at least so many times as likely as the likeliest, 0 to 1")
      ->check(RealNumber())
      ->capture_default_str();
  command.add_option("--frequency-penalty", flags.frequency_penalty, "Taken off a token's logit for every time it stands in the answer, -2 to 2")
      ->check(RealNumber())
      ->capture_default_str();
  command.add_option("--presence-penalty", flags.presence_penalty, "Taken off a token's logit once if it stands in the answer, -2 to 2")
      ->check(RealNumber())
      ->capture_default_str();
  command
      .add_option("--logit-bias", flags.logit_bias,
                  "ID=VALUE: add VALUE, -100 to 100, to the logit of token ID (-100 forbids it); may be given several times")
      ->allow_extra_args(false);
  command.add_option("--seed", flags.seed, "Same seed, same answer (default: drawn)")->check(WholeNumber<std::uint64_t>(0));
  command.add_option("--max-tokens", flags.max_tokens, "At most so many new tokens, thinking included")
      ->check(WholeNumber<std::int64_t>(1))
      ->capture_default_str();
  command.add_option("--context", flags.context, "Tokens of prompt and answer together (at most max_position_embeddings of the model)")
      ->check(WholeNumber<std::int64_t>(1));
  command.add_option("--stop", flags.stop, "End in front of this text, wherever it stands, thinking included; may be given several times")
      ->allow_extra_args(false);
}

Status CheckSamplingFlags(const SamplingFlags& flags) {
  TRY_ASSIGN(const engine::Sampling sampling, SamplingOf(flags));
  TRY(CheckFlagNumbers(sampling, std::numeric_limits<std::int32_t>::max()));
  TRY(text::CheckUtf8(flags.system, "--system"));
  if (flags.stop.size() > kMostStops) {
    return InvalidInput("--stop: expected at most " + std::to_string(kMostStops) + " texts, found " + std::to_string(flags.stop.size()));
  }
  for (const std::string& stop : flags.stop) {
    if (stop.empty()) return InvalidInput("--stop: expected a text, found an empty one; leave the flag out to stop at the model's own end");
    TRY(text::CheckUtf8(stop, "--stop"));
  }
  return {};
}

Result<Settings> MakeSettings(const SamplingFlags& flags, const std::filesystem::path& folder, const checkpoint::ModelConfig& config,
                              const text::Tokenizer* tokenizer) {
  TRY(CheckSamplingFlags(flags));
  Settings settings;
  TRY_ASSIGN(settings.sampling, SamplingOf(flags));
  TRY(CheckFlagNumbers(settings.sampling, config.vocab_size));
  settings.sampling.seed = flags.seed ? *flags.seed : std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  TRY_ASSIGN(library::AnswerDefaults defaults, library::ReadAnswerDefaults(folder, config, tokenizer));
  settings.sampling.temperature = flags.temperature.value_or(defaults.temperature);
  settings.sampling.top_p = flags.top_p.value_or(defaults.top_p);
  settings.end_ids = std::move(defaults.end_ids);
  settings.allowed = std::move(defaults.allowed);
  TRY_ASSIGN(settings.encoding, text::ParseEncoding(flags.encoding));
  TRY_ASSIGN(settings.thinking, text::ParseThinking(flags.think));
  return settings;
}

Result<std::int64_t> ContextLimit(const SamplingFlags& flags, const checkpoint::ModelConfig& config) {
  if (flags.context > config.max_positions) {
    return InvalidInput("--context: expected at most " + std::to_string(config.max_positions) + " tokens (max_position_embeddings of the model), found " +
                        std::to_string(flags.context));
  }
  return flags.context == 0 ? config.max_positions : flags.context;
}

}  // namespace baleen::apps

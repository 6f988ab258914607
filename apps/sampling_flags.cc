#include "apps/sampling_flags.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>
#include <span>
#include <string_view>

#include "hardware/file.h"
#include "text/json_python.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;
using text::JsonValue;

constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 20;
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

Status ReadNumber(const JsonValue& config, const char* key, const std::optional<double>& flag, double& number) {
  const JsonValue* value = config.Find(key);
  if (flag || value == nullptr || value->IsNull()) return {};
  if (const double* real = std::get_if<double>(&value->value)) {
    number = *real;
  } else if (const auto whole = value->AsInt64()) {
    number = static_cast<double>(*whole);
  } else {
    return InvalidInput(std::string("generation_config.json: ") + key + ": expected a number, found " + std::string(value->Kind()) + "; correct the file");
  }
  return {};
}

Status AddEndId(const JsonValue& value, std::vector<std::int32_t>& ids) {
  const auto id = value.AsInt64();
  if (!id || *id < 0 || *id > std::numeric_limits<std::int32_t>::max()) {
    return InvalidInput("generation_config.json: eos_token_id: expected an id or an array of ids, found " + diagnostics::Quoted(text::WriteJson(value)) +
                        "; correct the file");
  }
  ids.push_back(static_cast<std::int32_t>(*id));
  return {};
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

Status ReadGenerationConfig(const std::filesystem::path& folder, const SamplingFlags& flags, Settings& settings) {
  std::error_code ignored;
  const std::filesystem::path file = folder / "generation_config.json";
  if (!std::filesystem::exists(file, ignored)) return {};
  TRY_ASSIGN(const std::string json, hardware::ReadFile(file, kMostFileBytes));
  const Result<JsonValue> config = text::ParseJson(json);
  if (!config) return InvalidInput("generation_config.json: " + config.error().message + "; correct or remove the file");
  if (config->AsObject() == nullptr)
    return InvalidInput("generation_config.json: expected an object, found " + std::string(config->Kind()) + "; correct or remove the file");
  TRY(ReadNumber(*config, "temperature", flags.temperature, settings.sampling.temperature));
  TRY(ReadNumber(*config, "top_p", flags.top_p, settings.sampling.top_p));
  if (const Status fits = CheckNumbers({.temperature = settings.sampling.temperature, .top_p = settings.sampling.top_p}, 1); !fits) {
    return InvalidInput("generation_config.json: " + fits.error().message + "; correct or remove the file");
  }
  const JsonValue* sample = config->Find("do_sample");
  const bool* chosen = sample == nullptr ? nullptr : std::get_if<bool>(&sample->value);
  if (chosen != nullptr && !*chosen && !flags.temperature) settings.sampling.temperature = 0;
  const JsonValue* end = config->Find("eos_token_id");
  if (end == nullptr || end->IsNull()) return {};
  if (end->AsArray() == nullptr) return AddEndId(*end, settings.end_ids);
  for (const JsonValue& item : *end->AsArray()) TRY(AddEndId(item, settings.end_ids));
  return {};
}

// Ids that name no token of the tokenizer could not be shown, nor read back.
std::vector<std::uint8_t> AllowedIds(const text::Tokenizer& tokenizer, std::int64_t vocab_size) {
  std::vector<std::uint8_t> allowed(static_cast<std::size_t>(vocab_size));
  for (std::size_t id = 0; id < std::min(allowed.size(), tokenizer.VocabularySize()); ++id) {
    const auto one = static_cast<std::int32_t>(id);
    allowed[id] = !tokenizer.TokenBytes(one).empty() || tokenizer.CheckIds({&one, 1}).has_value();
  }
  return allowed;
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
  TRY(ReadGenerationConfig(folder, flags, settings));
  settings.end_ids.push_back(static_cast<std::int32_t>(config.eos_token));
  if (tokenizer != nullptr) {
    settings.end_ids.push_back(tokenizer->end_id());
    settings.allowed = AllowedIds(*tokenizer, config.vocab_size);
  }
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

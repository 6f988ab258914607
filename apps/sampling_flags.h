#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"
#include "engine/sampler.h"
#include "text/chat_encoding.h"
#include "text/tokenizer.h"

namespace baleen::apps {

/// The flags that generate and chat share: how the prompt is encoded and the answer chosen.
struct SamplingFlags {
  std::string think = "off", encoding = "0731", system;
  std::optional<double> temperature, top_p;
  std::int64_t top_k = 0;
  double min_p = 0, frequency_penalty = 0, presence_penalty = 0;
  std::vector<std::string> logit_bias;  // ID=VALUE
  std::optional<std::uint64_t> seed;
  std::int64_t max_tokens = 1024;
  std::int64_t context = 0;  // 0 = the command's own choice
  std::vector<std::string> stop;
};

/// Adds --think, --encoding, --system, --temperature, --top-p, --top-k, --min-p, --frequency-penalty, --presence-penalty, --logit-bias, --seed,
/// --max-tokens, --context and --stop.
void AddSamplingFlags(CLI::App& command, SamplingFlags& flags);

/// What flags, generation_config.json and the tokenizer say together.
struct Settings {
  engine::Sampling sampling;
  std::vector<std::uint8_t> allowed;  // ids that may be chosen; empty = all
  std::vector<std::int32_t> end_ids;
  text::Encoding encoding = text::Encoding::k0731;
  text::Thinking thinking = text::Thinking::kOff;
};

/// Errors in the flags themselves, found before a model is opened.
Status CheckSamplingFlags(const SamplingFlags& flags);

/// Flags win over generation_config.json (temperature, top_p, do_sample, eos_token_id), which need not exist. Without a seed one is drawn.
/// tokenizer may be null. Errors: those of the flags, a generation_config.json that cannot be read.
Result<Settings> MakeSettings(const SamplingFlags& flags, const std::filesystem::path& folder, const checkpoint::ModelConfig& config,
                              const text::Tokenizer* tokenizer);

/// --context, or as much as the model allows. Errors: more than that.
Result<std::int64_t> ContextLimit(const SamplingFlags& flags, const checkpoint::ModelConfig& config);

}  // namespace baleen::apps

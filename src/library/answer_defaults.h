#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"
#include "text/tokenizer.h"

namespace baleen::library {

/// A folder without one holds a model of ids and no text.
bool HasTokenizer(const std::filesystem::path& folder);

/// The tokenizer of a model's folder: tokenizer.json, and tokenizer_config.json if it is there; nothing else is read.
/// Errors: as of text::ParseTokenizer, with the folder in front; a missing, unreadable or overlong (256 MiB) file.
Result<text::Tokenizer> LoadTokenizer(const std::filesystem::path& folder);

/// What answers of a checkpoint are like where a request does not say.
struct AnswerDefaults {
  double temperature = 1, top_p = 1;
  std::vector<std::int32_t> end_ids;
  std::vector<std::uint8_t> allowed;  // [vocab] 0 = an id without a token; empty = every id
};

/// From generation_config.json (temperature, top_p, do_sample, eos_token_id), which need not exist, the config and the tokenizer, which
/// may be null. Errors: a file that cannot be read, a number out of range, a top_p of 0.
Result<AnswerDefaults> ReadAnswerDefaults(const std::filesystem::path& folder, const checkpoint::ModelConfig& config, const text::Tokenizer* tokenizer);

}  // namespace baleen::library

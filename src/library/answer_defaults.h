#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"
#include "text/tokenizer.h"

namespace baleen::library {

/// The tokenizer of a model's folder, or nothing where it has no tokenizer.json. Errors: as of text::ParseTokenizer, with the folder in
/// front; an unreadable or overlong (256 MiB) file.
Result<std::optional<text::Tokenizer>> LoadTokenizer(const std::filesystem::path& folder);

/// What answers of a checkpoint are like where a request does not say.
struct AnswerDefaults {
  double temperature = 1, top_p = 1;
  std::vector<std::int32_t> end_ids;
  std::vector<std::uint8_t> allowed;  // [vocab] 0 = an id without a token; empty = every id
};

/// From generation_config.json (temperature, top_p, do_sample, eos_token_id), which need not exist, the config and the tokenizer, which
/// may be null. Errors: a file that cannot be read, a number out of range.
Result<AnswerDefaults> ReadAnswerDefaults(const std::filesystem::path& folder, const checkpoint::ModelConfig& config, const text::Tokenizer* tokenizer);

}  // namespace baleen::library

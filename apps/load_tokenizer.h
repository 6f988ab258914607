#pragma once

#include <filesystem>

#include "diagnostics/result.h"
#include "text/tokenizer.h"

namespace baleen::apps {

/// The tokenizer of a model's folder: tokenizer.json, and tokenizer_config.json if it is there; nothing else is read.
/// Errors: as of text::ParseTokenizer, with the folder in front; a missing, unreadable or overlong (256 MiB) file.
Result<text::Tokenizer> LoadTokenizer(const std::filesystem::path& folder);

}  // namespace baleen::apps

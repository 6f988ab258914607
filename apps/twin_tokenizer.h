#pragma once

#include <cstdint>
#include <string>

#include "diagnostics/result.h"

namespace baleen::apps {

/// tokenizer.json for a twin: the 256 byte tokens, the special tokens of §11.1 (at their official ids where the vocabulary reaches
/// them, else first) and the official pre-tokenizer; no merges. Errors: the vocabulary is too small for them.
Result<std::string> TwinTokenizer(std::int64_t vocab_size);

/// tokenizer_config.json beside it.
std::string TwinTokenizerConfig();

}  // namespace baleen::apps

#pragma once

#include <cstdint>
#include <vector>

#include "baleen/baleen.h"
#include "diagnostics/result.h"
#include "text/tokenizer.h"

namespace baleen::library {

/// The ids of the prompt that asks for the next answer. What messages bring is plain text in it. Errors: no messages, a text that is not
/// UTF-8, a tool that is not JSON, those of text::RenderPieces.
Result<std::vector<std::int32_t>> ChatPrompt(const text::Tokenizer& tokenizer, const std::vector<Message>& messages, const ChatOptions& options);

}  // namespace baleen::library

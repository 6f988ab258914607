#pragma once

#include <optional>
#include <string_view>

#include "text/chat_encoding.h"

namespace baleen::completion {

/// Thinking where a request asks for it, or says nothing, and names no effort.
inline constexpr text::Thinking kUsualThinking = text::Thinking::kHigh;

/// How much thinking a client's word for its effort means, in every dialect; nothing for an unknown word.
std::optional<text::Thinking> ThinkingOfEffort(std::string_view word) noexcept;

/// The words, for messages.
inline constexpr std::string_view kEffortWords = "low, high or max (or none, minimal, medium, xhigh, ultra)";

}  // namespace baleen::completion

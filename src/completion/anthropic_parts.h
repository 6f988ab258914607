#pragma once

#include "completion/anthropic_request.h"
#include "completion/fields.h"

namespace baleen::completion {

/// The parts of a Messages body that have a form of their own.

/// system and messages.
Checked<text::Messages> ReadAnthropicMessages(const Fields& body);

/// tools and tool_choice.
Checked<void> ReadAnthropicTools(const Fields& body, CompletionRequest& request);

}  // namespace baleen::completion

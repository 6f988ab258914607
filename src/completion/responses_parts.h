#pragma once

#include "completion/fields.h"
#include "completion/responses_request.h"

namespace baleen::completion {

/// The parts of a Responses body that have a form of their own.

/// instructions and input.
Checked<text::Messages> ReadResponsesInput(const Fields& body);

/// tools, tool_choice and parallel_tool_calls; also what of them is echoed.
Checked<void> ReadResponsesTools(const Fields& body, ResponsesRequest& request);

/// The arguments of a custom tool's call: {"input": TEXT}.
std::string CustomArguments(const std::string& input);

}  // namespace baleen::completion

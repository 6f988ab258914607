#pragma once

#include <memory>

#include "completion/openai_response.h"
#include "completion/response_writer.h"
#include "completion/responses_request.h"

namespace baleen::completion {

/// Writes the answer to /v1/responses, as events or as one body. What the model thought is an item of type reasoning, what it said a message, each
/// call a function_call (of a custom tool a custom_tool_call, whose input comes in one piece). Events are numbered from 0; the last is
/// response.completed, response.incomplete (the token limit) or response.failed, and there is no [DONE]. model must outlive the writer.
std::unique_ptr<ResponseWriter> MakeResponsesWriter(const ResponsesRequest& request, const ServedModel& model, ResponseNames names);

}  // namespace baleen::completion

#pragma once

#include <memory>

#include "completion/openai_response.h"
#include "completion/response_writer.h"

namespace baleen::completion {

/// Writes the answers to /v1/chat/completions and /v1/completions, as chunks or as one body. In a stream each choice begins with its role and ends
/// with its finish_reason; log-probabilities stand in the next chunk that has text. With stream_options.include_usage a last chunk without choices
/// has the usage. An error is a data line of its own, with nothing behind it. model must outlive the writer.
std::unique_ptr<ResponseWriter> MakeOpenAiWriter(const CompletionRequest& request, const ServedModel& model, ResponseNames names);

}  // namespace baleen::completion

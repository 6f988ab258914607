#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "completion/completion_request.h"
#include "completion/openai_response.h"
#include "completion/request_error.h"
#include "completion/response_writer.h"
#include "server/http.h"
#include "text/json_python.h"

namespace baleen::server {

/// A body that was read, and who writes its response.
struct ReadBody {
  completion::CompletionRequest request;
  std::function<std::unique_ptr<completion::ResponseWriter>(const completion::Completion&, const completion::ServedModel&, const completion::ResponseNames&)> make_writer;
};

/// One way to ask for completions: how its bodies are read, its responses written and its errors shaped.
struct Dialect {
  /// Checks the body too. vocab_size bounds the ids of logit_bias.
  std::function<completion::Checked<ReadBody>(const text::JsonValue& body, std::int64_t vocab_size)> read;
  std::string_view id_prefix;  // of a response's id: "chatcmpl-"
  bool messages = false;       // of the Anthropic family: its errors and model names
};

/// The body, status and headers of an error in the family of a path: the Anthropic shape for Messages, OpenAI's elsewhere. request_id: may be empty.
HttpResponse ErrorResponse(const completion::RequestError& error, bool messages, const std::string& request_id);

/// The word for programs where a status has no better one.
std::string ErrorCode(int status);

/// Whether a path belongs to the Messages API.
bool IsMessagesPath(std::string_view path) noexcept;

}  // namespace baleen::server

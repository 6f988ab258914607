#include "server/dialect.h"

#include "completion/anthropic_response.h"

namespace baleen::server {
namespace {

constexpr const char* kRetrySeconds = "2";  // where nobody knows better

bool MayTryAgain(int status) { return status == 429 || status == 503 || status == 529; }

}  // namespace

HttpResponse ErrorResponse(const completion::RequestError& error, bool messages, const std::string& request_id) {
  HttpResponse response;
  if (messages) {
    response = {completion::AnthropicStatus(error.status), completion::WriteAnthropicError(error, request_id)};
  } else {
    response = {error.status, completion::WriteOpenAiError(error)};
  }
  if (!request_id.empty()) response.headers.emplace_back(messages ? "request-id" : "x-request-id", request_id);
  if (response.status == 409) response.headers.emplace_back("x-should-retry", "false");  // SDKs take a conflict for one that passes
  if (MayTryAgain(response.status)) response.headers.emplace_back("retry-after", kRetrySeconds);
  return response;
}

std::string ErrorCode(int status) {
  switch (status) {
    case 401:
      return "invalid_api_key";
    case 404:
      return "not_found";
    case 405:
      return "method_not_allowed";
    case 413:
      return "request_too_large";
    case 503:
      return "overloaded";
    default:
      return status >= 500 ? "failed" : "invalid_request";
  }
}

bool IsMessagesPath(std::string_view path) noexcept { return path.starts_with("/v1/messages") || path.starts_with("/messages") || path.starts_with("/anthropic/"); }

}  // namespace baleen::server

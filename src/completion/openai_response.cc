#include "completion/openai_response.h"

#include "completion/logprobs.h"
#include "completion/response_writer.h"
#include "text/json_python.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;

std::string Calls(const Answer& answer, const std::string& response_id, std::size_t choice) {
  std::string calls;
  for (const text::ParsedCall& call : answer.reply().tool_calls) {
    const std::size_t index = static_cast<std::size_t>(&call - answer.reply().tool_calls.data());
    const std::string id = CallId(response_id, static_cast<std::int64_t>(choice), static_cast<std::int64_t>(index));
    calls += (calls.empty() ? "" : ", ") + ("{\"id\": " + QuoteJson(id)) + ", \"type\": \"function\", \"function\": {\"name\": " + QuoteJson(call.name) +
             ", \"arguments\": " + QuoteJson(call.arguments) + "}}";
  }
  return calls;
}

std::string ChatChoice(const Answer& answer, const text::Tokenizer& tokenizer, bool logprobs, const std::string& response_id, std::size_t index) {
  const text::ParsedReply& reply = answer.reply();
  const std::string calls = Calls(answer, response_id, index);
  std::string out = "{\"index\": " + std::to_string(index) + ", \"message\": {\"role\": \"assistant\", \"content\": " +
                    (reply.content.empty() && !calls.empty() ? "null" : QuoteJson(reply.content));
  if (answer.thinks()) out += ", \"reasoning_content\": " + QuoteJson(reply.reasoning_content);
  if (!calls.empty()) out += ", \"tool_calls\": [" + calls + "]";
  return out + "}, \"logprobs\": " + (logprobs ? ChatLogprobs(answer.tokens(), answer.thinks(), tokenizer) : "null") + ", \"finish_reason\": \"" + std::string(answer.FinishReason()) +
         "\"}";
}

std::string TextChoice(const Answer& answer, const text::Tokenizer& tokenizer, bool logprobs, std::size_t index) {
  std::size_t offset = 0;
  return "{\"text\": " + QuoteJson(answer.reply().content) + ", \"index\": " + std::to_string(index) +
         ", \"logprobs\": " + (logprobs ? TextLogprobs(answer.tokens(), tokenizer, offset) : "null") + ", \"finish_reason\": \"" + std::string(answer.FinishReason()) + "\"}";
}

std::string_view ErrorType(int status) {
  if (status == 401) return "authentication_error";
  if (status == 402) return "insufficient_quota";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

std::string WriteOpenAiUsage(const CompletionUsage& usage, bool chat) {
  std::string out = "{\"prompt_tokens\": " + std::to_string(usage.prompt_tokens) + ", \"completion_tokens\": " + std::to_string(usage.completion_tokens) +
                    ", \"total_tokens\": " + std::to_string(usage.prompt_tokens + usage.completion_tokens) +
                    ", \"prompt_tokens_details\": {\"cached_tokens\": " + std::to_string(usage.cached_tokens) + "}";
  if (chat) out += ", \"completion_tokens_details\": {\"reasoning_tokens\": " + std::to_string(usage.reasoning_tokens) + "}";
  return out + ", \"prompt_cache_hit_tokens\": " + std::to_string(usage.cached_tokens) +
         ", \"prompt_cache_miss_tokens\": " + std::to_string(usage.prompt_tokens - usage.cached_tokens) + "}";
}

std::string WriteOpenAiHead(std::string_view object, const ServedModel& model, const ResponseNames& names) {
  return "{\"id\": " + QuoteJson(names.id) + ", \"object\": \"" + std::string(object) + "\", \"created\": " + std::to_string(names.created) +
         ", \"model\": " + QuoteJson(model.name) + ", " + (names.fingerprint.empty() ? "" : "\"system_fingerprint\": " + QuoteJson(names.fingerprint) + ", ");
}

std::string WriteOpenAiBody(const Completion& completion, const ServedModel& model, const ResponseNames& names) {
  const bool chat = completion.request().kind == CompletionRequest::Kind::kChat;
  const bool logprobs = completion.request().logprobs.has_value();
  std::string choices;
  for (std::size_t i = 0; i < completion.answers().size(); ++i) {
    const Answer& answer = *completion.answers()[i];
    if (i > 0) choices += ", ";
    choices += chat ? ChatChoice(answer, *model.tokenizer, logprobs, names.id, i) : TextChoice(answer, *model.tokenizer, logprobs, i);
  }
  return WriteOpenAiHead(chat ? "chat.completion" : "text_completion", model, names) + "\"choices\": [" + choices + "], \"usage\": " +
         WriteOpenAiUsage(completion.Usage(), chat) + "}";
}

std::string WriteOpenAiError(const RequestError& error) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? std::string("null") : QuoteJson(text); };
  return "{\"error\": {\"message\": " + QuoteJson(error.message) + ", \"type\": \"" + std::string(ErrorType(error.status)) +
         "\", \"param\": " + text_or_null(error.param) + ", \"code\": " + text_or_null(error.code) + "}}";
}

}  // namespace baleen::completion

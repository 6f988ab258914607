#include "completion/openai_response.h"

#include <cmath>
#include <cstdio>

#include "completion/response_writer.h"
#include "text/json_python.h"
#include "text/utf8.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;

// The vendor's service writes -9999 for a probability of nothing, which JSON has no number for.
std::string LogProbability(double value) { return text::WritePythonFloat(std::isfinite(value) ? value : -9999.0); }

std::string ByteList(std::string_view bytes) {
  std::string list;
  for (const char byte : bytes) list += (list.empty() ? "" : ", ") + std::to_string(static_cast<unsigned char>(byte));
  return "[" + list + "]";
}

class LogprobsWriter {
 public:
  LogprobsWriter(const Answer& answer, const text::Tokenizer& tokenizer) : answer_(answer), tokenizer_(tokenizer) {}

  std::string Chat() const {
    std::string out = "{\"content\": " + List(false);
    if (answer_.thinks()) out += ", \"reasoning_content\": " + List(true);
    return out + "}";
  }

  // OpenAI's older form beside the newer one.
  std::string Text() const {
    std::string tokens, values, likeliest, offsets;
    std::size_t offset = 0;
    for (const SampledToken& token : answer_.tokens()) {
      const char* comma = tokens.empty() ? "" : ", ";
      tokens += comma + QuoteJson(TokenText(tokenizer_, token.token.id));
      values += comma + LogProbability(token.token.log_probability);
      offsets += comma + std::to_string(offset);
      offset += Characters(tokenizer_.TokenBytes(token.token.id));
      std::string alternatives;
      for (const engine::ScoredToken& other : token.likeliest) {
        alternatives += (alternatives.empty() ? "" : ", ") + QuoteJson(TokenText(tokenizer_, other.id)) + ": " + LogProbability(other.log_probability);
      }
      likeliest += comma + ("{" + alternatives + "}");
    }
    return "{\"tokens\": [" + tokens + "], \"token_logprobs\": [" + values + "], \"top_logprobs\": [" + likeliest + "], \"text_offset\": [" + offsets +
           "], \"content\": " + List(false) + "}";
  }

 private:
  // Code points that begin in the bytes.
  static std::size_t Characters(std::string_view bytes) {
    std::size_t count = 0;
    for (const char byte : bytes) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
    return count;
  }

  std::string Scored(const engine::ScoredToken& token) const {
    return "\"token\": " + QuoteJson(TokenText(tokenizer_, token.id)) + ", \"logprob\": " + LogProbability(token.log_probability) +
           ", \"bytes\": " + ByteList(tokenizer_.TokenBytes(token.id));
  }

  std::string List(bool reasoning) const {
    std::string list;
    for (const SampledToken& token : answer_.tokens()) {
      if (token.reasoning != reasoning) continue;
      std::string alternatives;
      for (const engine::ScoredToken& other : token.likeliest) alternatives += (alternatives.empty() ? "{" : ", {") + Scored(other) + "}";
      list += (list.empty() ? "{" : ", {") + Scored(token.token) + ", \"top_logprobs\": [" + alternatives + "]}";
    }
    return "[" + list + "]";
  }

  const Answer& answer_;
  const text::Tokenizer& tokenizer_;
};

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
  return out + "}, \"logprobs\": " + (logprobs ? LogprobsWriter(answer, tokenizer).Chat() : "null") + ", \"finish_reason\": \"" + std::string(answer.FinishReason()) +
         "\"}";
}

std::string TextChoice(const Answer& answer, const text::Tokenizer& tokenizer, bool logprobs, std::size_t index) {
  return "{\"text\": " + QuoteJson(answer.reply().content) + ", \"index\": " + std::to_string(index) +
         ", \"logprobs\": " + (logprobs ? LogprobsWriter(answer, tokenizer).Text() : "null") + ", \"finish_reason\": \"" + std::string(answer.FinishReason()) + "\"}";
}

std::string UsageJson(const CompletionUsage& usage, bool chat) {
  std::string out = "{\"prompt_tokens\": " + std::to_string(usage.prompt_tokens) + ", \"completion_tokens\": " + std::to_string(usage.completion_tokens) +
                    ", \"total_tokens\": " + std::to_string(usage.prompt_tokens + usage.completion_tokens) +
                    ", \"prompt_tokens_details\": {\"cached_tokens\": " + std::to_string(usage.cached_tokens) + "}";
  if (chat) out += ", \"completion_tokens_details\": {\"reasoning_tokens\": " + std::to_string(usage.reasoning_tokens) + "}";
  return out + ", \"prompt_cache_hit_tokens\": " + std::to_string(usage.cached_tokens) +
         ", \"prompt_cache_miss_tokens\": " + std::to_string(usage.prompt_tokens - usage.cached_tokens) + "}";
}

}  // namespace

std::string TokenText(const text::Tokenizer& tokenizer, std::int32_t id) {
  const std::string_view bytes = tokenizer.TokenBytes(id);
  if (bytes.empty()) return "id:" + std::to_string(id);
  if (text::FindInvalidUtf8(bytes) == std::string_view::npos) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(byte));
    text += escape;
  }
  return text;
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
  return "{\"id\": " + QuoteJson(names.id) + ", \"object\": \"" + (chat ? "chat.completion" : "text_completion") + "\", \"created\": " + std::to_string(names.created) +
         ", \"model\": " + QuoteJson(model.name) + ", \"choices\": [" + choices + "], \"usage\": " + UsageJson(completion.Usage(), chat) + "}";
}

std::string WriteOpenAiError(const RequestError& error) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? std::string("null") : QuoteJson(text); };
  return "{\"error\": {\"message\": " + QuoteJson(error.message) + ", \"type\": \"" + (error.status >= 500 ? "server_error" : "invalid_request_error") +
         "\", \"param\": " + text_or_null(error.param) + ", \"code\": " + text_or_null(error.code) + "}}";
}

}  // namespace baleen::completion

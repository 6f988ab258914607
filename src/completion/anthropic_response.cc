#include "completion/anthropic_response.h"

#include <optional>
#include <utility>

#include "completion/conversation.h"
#include "completion/event_stream.h"
#include "text/json_python.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;
using text::ReplyEvent;

enum class Block { kThinking, kText, kToolUse };

std::string UsageMembers(std::int64_t input, std::int64_t cached, std::int64_t output) {
  return "{\"input_tokens\": " + std::to_string(input) + ", \"cache_creation_input_tokens\": 0, \"cache_read_input_tokens\": " + std::to_string(cached) +
         ", \"output_tokens\": " + std::to_string(output) + "}";
}

std::string UsageJson(const CompletionUsage& usage) {
  return UsageMembers(usage.prompt_tokens - usage.cached_tokens, usage.cached_tokens, usage.completion_tokens);
}

// Its stop_reason and stop_sequence.
std::string StopMembers(const Answer& answer) {
  const std::string_view finish = answer.FinishReason();
  const bool stopped = !answer.stop_text().empty();
  const char* reason = stopped ? "stop_sequence" : finish == "length" ? "max_tokens" : finish == "tool_calls" ? "tool_use" : "end_turn";
  return "\"stop_reason\": \"" + std::string(reason) + "\", \"stop_sequence\": " + (stopped ? QuoteJson(answer.stop_text()) : "null");
}

std::string InputObject(const std::string& arguments) {
  const Result<text::JsonValue> value = text::ParseJson(arguments);
  const bool object = value && value->AsObject() != nullptr && !HasNonFinite(*value);
  return object ? text::WriteJson(*value) : "{\"arguments\": " + QuoteJson(arguments) + "}";
}

std::string_view ErrorType(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 529:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

class AnthropicWriter : public ResponseWriter {
 public:
  AnthropicWriter(const ServedModel& model, ResponseNames names) : model_(model), names_(std::move(names)) {}

  std::string Begin() override { return {}; }

  std::string Write(const Completion& completion, const Delta& delta) override {
    std::string out = Start(completion);
    for (const ReplyEvent& event : delta.events) out += WriteEvent(event);
    return out;
  }

  std::string End(const Completion& completion) override {
    std::string out = Start(completion);
    out += Close();
    return out + Event("message_delta", ", \"delta\": {" + StopMembers(*completion.answers().front()) + "}, \"usage\": " + UsageJson(completion.Usage())) +
           Event("message_stop", "");
  }

  std::string Fail(const RequestError& error) override {
    return NamedEvent("error", WriteAnthropicError(error, names_.request_id));
  }

  std::string KeepAlive() const override { return started_ ? Event("ping", "") : std::string(kKeepAliveComment); }

  std::string Body(const Completion& completion) override {
    const Answer& answer = *completion.answers().front();
    const text::ParsedReply& reply = answer.reply();
    std::string content;
    const auto add = [&](const std::string& block) { content += (content.empty() ? "" : ", ") + block; };
    if (!reply.reasoning_content.empty()) {
      add("{\"type\": \"thinking\", \"thinking\": " + QuoteJson(reply.reasoning_content) + ", \"signature\": " + QuoteJson(Signature()) + "}");
    }
    if (!reply.content.empty()) add("{\"type\": \"text\", \"text\": " + QuoteJson(reply.content) + "}");
    for (const text::ParsedCall& call : reply.tool_calls) add(ToolUse(call.name, InputObject(call.arguments)));
    return Message(content, StopMembers(answer), UsageJson(completion.Usage()));
  }

 private:
  // message_start, once. It waits for the completion, which knows how long the prompt is.
  std::string Start(const Completion& completion) {
    if (std::exchange(started_, true)) return {};
    const std::string usage = UsageMembers(completion.prompt_tokens(), 0, 0);
    return Event("message_start", ", \"message\": " + Message("", "\"stop_reason\": null, \"stop_sequence\": null", usage));
  }

  std::string WriteEvent(const ReplyEvent& event) {
    std::string out;
    switch (event.kind) {
      case ReplyEvent::Kind::kReasoning:
        out = Enter(Block::kThinking, "{\"type\": \"thinking\", \"thinking\": \"\", \"signature\": \"\"}");
        return out += Piece("\"thinking_delta\", \"thinking\": " + QuoteJson(event.text));
      case ReplyEvent::Kind::kContent:
        out = Enter(Block::kText, "{\"type\": \"text\", \"text\": \"\"}");
        return out += Piece("\"text_delta\", \"text\": " + QuoteJson(event.text));
      case ReplyEvent::Kind::kCallStart:
        out = Close();
        return out += Open(Block::kToolUse, ToolUse(event.text, "{}"));
      case ReplyEvent::Kind::kArguments:
        return Piece("\"input_json_delta\", \"partial_json\": " + QuoteJson(event.text));
      case ReplyEvent::Kind::kCallEnd:
        return Close();
      case ReplyEvent::Kind::kToolBlockStart:
        break;
    }
    return {};
  }

  // Goes on with the open block, or begins one.
  std::string Enter(Block block, const std::string& begun) {
    if (open_ == block) return {};
    std::string out = Close();
    return out += Open(block, begun);
  }

  std::string Open(Block block, const std::string& begun) {
    open_ = block;
    return Event("content_block_start", Index() + ", \"content_block\": " + begun);
  }

  std::string Piece(const std::string& delta) const { return Event("content_block_delta", Index() + ", \"delta\": {\"type\": " + delta + "}"); }

  std::string Close() {
    if (!open_) return {};
    std::string out;
    if (open_ == Block::kThinking) out = Piece("\"signature_delta\", \"signature\": " + QuoteJson(Signature()));
    out += Event("content_block_stop", Index());
    open_.reset();
    ++index_;
    return out;
  }

  std::string ToolUse(const std::string& name, const std::string& input) {
    return "{\"type\": \"tool_use\", \"id\": " + QuoteJson(CallId(names_.id, 0, calls_++)) + ", \"name\": " + QuoteJson(name) + ", \"input\": " + input + "}";
  }

  std::string Message(const std::string& content, const std::string& stop, const std::string& usage) const {
    return "{\"id\": " + QuoteJson(names_.id) + ", \"type\": \"message\", \"role\": \"assistant\", \"model\": " + QuoteJson(model_.name) + ", \"content\": [" + content +
           "], " + stop + ", \"usage\": " + usage + "}";
  }

  std::string Signature() const { return "unsigned_" + names_.id; }
  std::string Index() const { return ", \"index\": " + std::to_string(index_); }
  static std::string Event(const std::string& type, const std::string& members) { return NamedEvent(type, "{\"type\": \"" + type + "\"" + members + "}"); }

  const ServedModel& model_;
  ResponseNames names_;
  bool started_ = false;
  std::int64_t index_ = 0, calls_ = 0;
  std::optional<Block> open_;
};

}  // namespace

std::unique_ptr<ResponseWriter> MakeAnthropicWriter(const CompletionRequest&, const ServedModel& model, ResponseNames names) {
  return std::make_unique<AnthropicWriter>(model, std::move(names));
}

std::string WriteAnthropicError(const RequestError& error, const std::string& request_id) {
  return "{\"type\": \"error\", \"error\": {\"type\": \"" + std::string(ErrorType(AnthropicStatus(error.status))) + "\", \"message\": " + QuoteJson(error.message) +
         "}, \"request_id\": " + QuoteJson(request_id) + "}";
}

int AnthropicStatus(int status) noexcept {
  if (status == 422) return 400;
  return status == 503 ? 529 : status;
}

std::string WriteTokenCount(std::int64_t prompt_tokens) { return "{\"input_tokens\": " + std::to_string(prompt_tokens) + "}"; }

}  // namespace baleen::completion

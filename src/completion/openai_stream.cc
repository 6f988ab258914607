#include "completion/openai_stream.h"

#include <utility>
#include <vector>

#include "completion/event_stream.h"
#include "completion/logprobs.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;
using text::ReplyEvent;

class OpenAiWriter : public ResponseWriter {
 public:
  OpenAiWriter(const CompletionRequest& request, const ServedModel& model, ResponseNames names)
      : chat_(request.kind == CompletionRequest::Kind::kChat),
        logprobs_(request.logprobs.has_value()),
        thinks_(request.thinking != text::Thinking::kOff),
        usage_(request.stream_usage),
        model_(model),
        names_(std::move(names)),
        choices_(static_cast<std::size_t>(request.n)) {}

  std::string Begin() override {
    std::string out;
    for (std::size_t i = 0; chat_ && i < choices_.size(); ++i) out += Chunk(Choice(i, "{\"role\": \"assistant\", \"content\": \"\"}", "null", "null"), "null");
    return out;
  }

  std::string Write(const Completion& completion, const Delta& delta) override {
    const auto i = static_cast<std::size_t>(delta.choice);
    choices_[i].tokens.insert(choices_[i].tokens.end(), delta.tokens.begin(), delta.tokens.end());
    std::string out;
    for (const ReplyEvent& event : delta.events) out += WriteEvent(i, event);
    if (!delta.ended || !completion.answers()[i]->good()) return out;
    return out + Chunk(Choice(i, chat_ ? "{}" : "\"\"", TakeLogprobs(i), "\"" + std::string(completion.answers()[i]->FinishReason()) + "\""), "null");
  }

  std::string End(const Completion& completion) override {
    return (usage_ ? Chunk("", WriteOpenAiUsage(completion.Usage(), chat_)) : std::string()) + "data: [DONE]\n\n";
  }

  std::string Fail(const RequestError& error) override { return DataEvent(WriteOpenAiError(error)); }
  std::string KeepAlive() const override { return std::string(kKeepAliveComment); }
  std::string Body(const Completion& completion) override { return WriteOpenAiBody(completion, model_, names_); }

 private:
  struct State {
    std::int64_t calls = 0;
    std::vector<SampledToken> tokens;  // not written yet
    std::size_t offset = 0;            // characters written
  };

  std::string WriteEvent(std::size_t i, const ReplyEvent& event) {
    using Kind = ReplyEvent::Kind;
    State& state = choices_[i];
    if (!chat_) return event.kind == Kind::kContent ? Chunk(Choice(i, QuoteJson(event.text), TakeLogprobs(i), "null"), "null") : std::string();
    std::string delta;
    if (event.kind == Kind::kReasoning) {
      delta = "\"reasoning_content\": " + QuoteJson(event.text);
    } else if (event.kind == Kind::kContent) {
      delta = "\"content\": " + QuoteJson(event.text);
    } else if (event.kind == Kind::kCallStart) {
      const std::int64_t index = state.calls++;
      delta = "\"tool_calls\": [{\"index\": " + std::to_string(index) + ", \"id\": " + QuoteJson(CallId(names_.id, static_cast<std::int64_t>(i), index)) +
              ", \"type\": \"function\", \"function\": {\"name\": " + QuoteJson(event.text) + ", \"arguments\": \"\"}}]";
    } else if (event.kind == Kind::kArguments) {
      delta = "\"tool_calls\": [{\"index\": " + std::to_string(state.calls - 1) + ", \"function\": {\"arguments\": " + QuoteJson(event.text) + "}}]";
    } else {
      return {};
    }
    return Chunk(Choice(i, "{" + delta + "}", TakeLogprobs(i), "null"), "null");
  }

  std::string TakeLogprobs(std::size_t i) {
    State& state = choices_[i];
    if (!logprobs_ || state.tokens.empty()) return "null";
    const std::vector<SampledToken> tokens = std::exchange(state.tokens, {});
    return chat_ ? ChatLogprobs(tokens, thinks_, *model_.tokenizer) : TextLogprobs(tokens, *model_.tokenizer, state.offset);
  }

  // added: a chat's delta, or a text.
  std::string Choice(std::size_t i, const std::string& added, const std::string& logprobs, const std::string& finish) const {
    const std::string index = "\"index\": " + std::to_string(i);
    const std::string front = chat_ ? index + ", \"delta\": " + added : "\"text\": " + added + ", " + index;
    return "{" + front + ", \"logprobs\": " + logprobs + ", \"finish_reason\": " + finish + "}";
  }

  std::string Chunk(const std::string& choices, const std::string& usage) const {
    return DataEvent(WriteOpenAiHead(chat_ ? "chat.completion.chunk" : "text_completion", model_, names_) + "\"choices\": [" + choices + "]" +
                     (usage_ ? ", \"usage\": " + usage : "") + "}");
  }

  bool chat_, logprobs_, thinks_, usage_;
  const ServedModel& model_;
  ResponseNames names_;
  std::vector<State> choices_;
};

}  // namespace

std::unique_ptr<ResponseWriter> MakeOpenAiWriter(const CompletionRequest& request, const ServedModel& model, ResponseNames names) {
  return std::make_unique<OpenAiWriter>(request, model, std::move(names));
}

}  // namespace baleen::completion

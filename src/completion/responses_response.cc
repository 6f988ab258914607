#include "completion/responses_response.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "completion/event_stream.h"
#include "completion/logprobs.h"
#include "completion/responses_items.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;
using text::ReplyEvent;
using Kind = OutputItem::Kind;

std::string UsageJson(const CompletionUsage& usage) {
  return "{\"input_tokens\": " + std::to_string(usage.prompt_tokens) + ", \"input_tokens_details\": {\"cached_tokens\": " + std::to_string(usage.cached_tokens) +
         ", \"cache_write_tokens\": 0}, \"output_tokens\": " + std::to_string(usage.completion_tokens) +
         ", \"output_tokens_details\": {\"reasoning_tokens\": " + std::to_string(usage.reasoning_tokens) +
         "}, \"total_tokens\": " + std::to_string(usage.prompt_tokens + usage.completion_tokens) + "}";
}

std::string ErrorJson(const RequestError& error) {
  const char* code = error.status == 429 ? "rate_limit_exceeded" : error.status >= 500 ? "server_error" : "invalid_prompt";
  return "{\"code\": \"" + std::string(code) + "\", \"message\": " + QuoteJson(error.message) + "}";
}

// What a response is at one moment.
struct Moment {
  std::string_view status;
  std::string error = "null", incomplete = "null", usage = "null";
};

class ResponsesWriter : public ResponseWriter {
 public:
  ResponsesWriter(const ResponsesRequest& request, const ServedModel& model, ResponseNames names)
      : custom_tools_(request.custom_tools), model_(model), names_(std::move(names)) {
    const SamplingWishes& wishes = request.completion.sampling;
    echo_ = request.echo + "\"temperature\": " + text::WritePythonFloat(wishes.temperature.value_or(model.sampling.temperature)) +
            ", \"top_p\": " + text::WritePythonFloat(wishes.top_p.value_or(model.sampling.top_p)) + ", \"presence_penalty\": 0.0, \"frequency_penalty\": 0.0";
  }

  std::string Begin() override {
    const std::string response = ", \"response\": " + Response({.status = "in_progress"});
    const std::string created = Event("response.created", response);
    return created + Event("response.in_progress", response);
  }

  std::string Write(const Completion&, const Delta& delta) override {
    tokens_.insert(tokens_.end(), delta.tokens.begin(), delta.tokens.end());
    std::string out;
    for (const ReplyEvent& event : delta.events) out += WriteEvent(event);
    return out;
  }

  std::string End(const Completion& completion) override {
    const bool cut = IsCut(completion);
    const std::string out = Close(cut);
    return out + Event(cut ? "response.incomplete" : "response.completed", ", \"response\": " + Response(Ended(completion)));
  }

  std::string Fail(const RequestError& error) override {
    if (open_) written_.push_back(WriteItem(items_.back(), "incomplete"));
    open_ = false;
    return Event("response.failed", ", \"response\": " + Response({.status = "failed", .error = ErrorJson(error)}));
  }

  std::string KeepAlive() const override { return std::string(kKeepAliveComment); }

  std::string Body(const Completion& completion) override {
    const Answer& answer = *completion.answers().front();
    const text::ParsedReply& reply = answer.reply();
    if (!reply.reasoning_content.empty()) Add(Kind::kReasoning, {}).text = reply.reasoning_content;
    if (!reply.content.empty()) {
      Add(Kind::kMessage, {}).text = reply.content;
      tokens_ = answer.tokens();
      TakeLogprobs();
    }
    for (const text::ParsedCall& call : reply.tool_calls) Add(Kind::kCall, call.name).text = call.arguments;
    for (const OutputItem& item : items_) written_.push_back(WriteItem(item, ItemStatus(item, IsCut(completion) && &item == &items_.back())));
    return Response(Ended(completion));
  }

 private:
  static bool IsCut(const Completion& completion) { return completion.answers().front()->FinishReason() == "length"; }

  static Moment Ended(const Completion& completion) {
    Moment moment{.status = "completed", .usage = UsageJson(completion.Usage())};
    if (IsCut(completion)) {
      moment.status = "incomplete";
      moment.incomplete = "{\"reason\": \"max_output_tokens\"}";
    }
    return moment;
  }

  std::string WriteEvent(const ReplyEvent& event) {
    switch (event.kind) {
      case ReplyEvent::Kind::kReasoning:
        return WriteText(Kind::kReasoning, event.text);
      case ReplyEvent::Kind::kContent:
        return WriteText(Kind::kMessage, event.text);
      case ReplyEvent::Kind::kCallStart:
        return Open(Kind::kCall, event.text);
      case ReplyEvent::Kind::kArguments:
        items_.back().text += event.text;
        return items_.back().kind == Kind::kCall ? Event("response.function_call_arguments.delta", Place() + ", \"delta\": " + QuoteJson(event.text)) : "";
      case ReplyEvent::Kind::kCallEnd:
        return Close(false);
      case ReplyEvent::Kind::kToolBlockStart:
        break;
    }
    return {};
  }

  std::string WriteText(Kind kind, const std::string& text) {
    std::string out;
    if (!open_ || items_.back().kind != kind) out = Open(kind, {});
    OutputItem& item = items_.back();
    item.text += text;
    if (kind == Kind::kReasoning) {
      return out + Event("response.reasoning_text.delta", PartPlace() + ", \"delta\": " + QuoteJson(text));
    }
    const std::string logprobs = TakeLogprobs();
    return out + Event("response.output_text.delta", PartPlace() + ", \"delta\": " + QuoteJson(text) + ", \"logprobs\": [" + logprobs + "]");
  }

  // The log-probabilities of the tokens of the last item's text that were not taken before; the item keeps them too. A token behind the text is the
  // beginning of something else.
  std::string TakeLogprobs() {
    std::erase_if(tokens_, [](const SampledToken& token) { return token.reasoning; });
    std::size_t count = 0;
    for (; count < tokens_.size() && token_bytes_ < items_.back().text.size(); ++count) token_bytes_ += model_.tokenizer->TokenBytes(tokens_[count].token.id).size();
    const std::string list = LogprobList(std::span(tokens_).first(count), false, *model_.tokenizer);
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(count));
    const std::string inside = list.substr(1, list.size() - 2);
    std::string& all = items_.back().logprobs;
    all += (all.empty() || inside.empty() ? "" : ", ") + inside;
    return inside;
  }

  OutputItem& Add(Kind kind, const std::string& name) {
    const bool custom = kind == Kind::kCall && std::find(custom_tools_.begin(), custom_tools_.end(), name) != custom_tools_.end();
    const std::string number = names_.id.substr(names_.id.find_first_of("-_") + 1) + "_" + std::to_string(items_.size());
    OutputItem item{.kind = custom ? Kind::kCustomCall : kind, .id = {}, .call_id = {}, .name = name, .text = {}};
    item.id = (kind == Kind::kReasoning ? "rs_" : kind == Kind::kMessage ? "msg_" : custom ? "ctc_" : "fc_") + number;
    if (kind == Kind::kCall) item.call_id = CallId(names_.id, 0, calls_++);
    token_bytes_ = 0;
    return items_.emplace_back(std::move(item));
  }

  std::string Open(Kind kind, const std::string& name) {
    std::string out = Close(false);
    const OutputItem& item = Add(kind, name);
    open_ = true;
    out += Event("response.output_item.added", Index() + ", \"item\": " + WriteItem(item, "in_progress", true));
    if (kind != Kind::kCall) out += Event("response.content_part.added", PartPlace() + ", \"part\": " + WritePart(item, true));
    return out;
  }

  // Ends the open item, if there is one.
  std::string Close(bool cut) {
    if (!std::exchange(open_, false)) return {};
    OutputItem& item = items_.back();
    std::string out;
    if (item.kind == Kind::kCall) {
      out = Event("response.function_call_arguments.done", Place() + ", \"name\": " + QuoteJson(item.name) + ", \"arguments\": " + QuoteJson(item.text));
    } else if (item.kind == Kind::kCustomCall) {
      const std::string input = QuoteJson(CustomInput(item.text));
      out = Event("response.custom_tool_call_input.delta", Place() + ", \"delta\": " + input);
      out += Event("response.custom_tool_call_input.done", Place() + ", \"input\": " + input);
    } else {
      const bool message = item.kind == Kind::kMessage;
      if (message) TakeLogprobs();
      out = Event(message ? "response.output_text.done" : "response.reasoning_text.done",
                  PartPlace() + ", \"text\": " + QuoteJson(item.text) + (message ? ", \"logprobs\": [" + item.logprobs + "]" : ""));
      out += Event("response.content_part.done", PartPlace() + ", \"part\": " + WritePart(item));
    }
    if (!item.call_id.empty()) tokens_.clear();
    written_.push_back(WriteItem(item, ItemStatus(item, cut)));
    return out + Event("response.output_item.done", Index() + ", \"item\": " + written_.back());
  }

  std::string Index() const { return ", \"output_index\": " + std::to_string(items_.size() - 1); }
  std::string Place() const { return ", \"item_id\": " + QuoteJson(items_.back().id) + Index(); }
  std::string PartPlace() const { return Place() + ", \"content_index\": 0"; }

  std::string Event(const std::string& type, const std::string& members) {
    return NamedEvent(type, "{\"type\": \"" + type + "\", \"sequence_number\": " + std::to_string(sequence_number_++) + members + "}");
  }

  std::string Response(const Moment& moment) const {
    std::string output;
    for (const std::string& item : written_) output += (output.empty() ? "" : ", ") + item;
    return "{\"id\": " + QuoteJson(names_.id) + ", \"object\": \"response\", \"created_at\": " + std::to_string(names_.created) +
           ", \"completed_at\": null, \"status\": \"" + std::string(moment.status) + "\", \"error\": " + moment.error +
           ", \"incomplete_details\": " + moment.incomplete + ", \"model\": " + QuoteJson(model_.name) + ", \"output\": [" + output + "], " + echo_ +
           ", \"usage\": " + moment.usage + "}";
  }

  std::vector<std::string> custom_tools_;
  const ServedModel& model_;
  ResponseNames names_;
  std::string echo_;
  std::int64_t sequence_number_ = 0, calls_ = 0;
  std::vector<OutputItem> items_;
  std::vector<std::string> written_;  // the items that have ended
  bool open_ = false;                 // the last item has not
  std::vector<SampledToken> tokens_;  // whose log-probabilities are not written; none come where none were asked for
  std::size_t token_bytes_ = 0;       // of the last item's tokens that are written
};

}  // namespace

std::unique_ptr<ResponseWriter> MakeResponsesWriter(const ResponsesRequest& request, const ServedModel& model, ResponseNames names) {
  return std::make_unique<ResponsesWriter>(request, model, std::move(names));
}

}  // namespace baleen::completion

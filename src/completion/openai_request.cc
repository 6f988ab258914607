#include "completion/openai_request.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "completion/conversation.h"
#include "completion/efforts.h"
#include "completion/fields.h"
#include "completion/openai_parts.h"

namespace baleen::completion {
namespace {

using text::JsonValue;
using text::Thinking;

constexpr std::size_t kMostWordCharacters = 4096;

Checked<Thinking> ReadThinking(const Fields& body) {
  Thinking thinking = kUsualThinking;
  TRY_ASSIGN(const std::optional<std::string> effort, body.Text("reasoning_effort", kMostWordCharacters));
  if (effort) {
    const std::optional<Thinking> known = ThinkingOfEffort(*effort);
    if (!known) return body.WrongValue("reasoning_effort", kEffortWords);
    thinking = *known;
  }
  const JsonValue* value = body.Find("thinking");
  if (value == nullptr) return thinking;
  TRY_ASSIGN(const Fields fields, Fields::Of(value, "thinking"));
  TRY_ASSIGN(const std::optional<std::string> type, fields.Text("type", kMostWordCharacters));
  if (!type) return fields.WrongType("type", "enabled or disabled");
  if (*type == "disabled") return Thinking::kOff;
  if (*type != "enabled") return fields.WrongValue("type", "enabled or disabled");
  return thinking;  // the effort "none" counts beside an enabled one too
}

Checked<std::pair<std::int32_t, double>> ReadBias(const Fields& biases, const std::string& key, std::int64_t vocab_size) {
  std::int64_t id = -1;
  const char* end = key.data() + key.size();
  const auto [stop, fault] = std::from_chars(key.data(), end, id);
  if (fault != std::errc() || stop != end || id < 0 || id >= vocab_size || std::to_string(id) != key) {
    return Refuse(422, "logit_bias", "logit_bias: expected ids of the vocabulary (0 to " + std::to_string(vocab_size - 1) + ") as keys, found \"" +
                                         diagnostics::Quoted(key) + "\"; use ids of this model's tokenizer", "invalid_value");
  }
  TRY_ASSIGN(const std::optional<double> bias, biases.Number(key, -100, 100));
  return std::pair(static_cast<std::int32_t>(id), bias.value_or(0));
}

Checked<void> ReadSampling(const Fields& body, std::int64_t vocab_size, SamplingWishes& wishes) {
  TRY_ASSIGN(wishes.temperature, body.Number("temperature", 0, 2));
  TRY_ASSIGN(wishes.top_p, body.Number("top_p", 0, 1));
  TRY_ASSIGN(wishes.min_p, body.Number("min_p", 0, 1));
  TRY_ASSIGN(const std::optional<std::int64_t> top_k, body.Whole("top_k", -1, std::numeric_limits<std::int32_t>::max()));
  wishes.top_k = std::max<std::int64_t>(0, top_k.value_or(0));
  TRY_ASSIGN(const std::optional<double> frequency, body.Number("frequency_penalty", -2, 2));
  TRY_ASSIGN(const std::optional<double> presence, body.Number("presence_penalty", -2, 2));
  wishes.frequency_penalty = frequency.value_or(0);
  wishes.presence_penalty = presence.value_or(0);
  TRY_ASSIGN(wishes.seed, body.Bits64("seed"));
  const JsonValue* biases = body.Find("logit_bias");
  if (biases == nullptr) return {};
  TRY_ASSIGN(const Fields fields, Fields::Of(biases, "logit_bias"));
  for (const text::JsonMember& member : *biases->AsObject()) {
    TRY_ASSIGN(const auto bias, ReadBias(fields, member.key, vocab_size));
    wishes.logit_bias.push_back(bias);
  }
  return {};
}

Checked<void> ReadStops(const Fields& body, std::vector<std::string>& stops) {
  const JsonValue* value = body.Find("stop");
  if (value == nullptr) return {};
  const text::JsonArray* array = value->AsArray();
  if (array == nullptr) return AddStop(*value, "stop", stops);
  if (array->size() > kMostStops) {
    return Refuse(422, "stop", "stop: expected at most " + std::to_string(kMostStops) + " texts, found " + std::to_string(array->size()) + "; keep fewer",
                  "invalid_value");
  }
  for (const JsonValue& item : *array) TRY(AddStop(item, "stop[" + std::to_string(stops.size()) + "]", stops));
  return {};
}

Checked<void> ReadLength(const Fields& body, CompletionRequest& request) {
  TRY_ASSIGN(request.max_tokens, body.Whole("max_tokens", 1, kMostNewTokens));
  TRY_ASSIGN(const std::optional<std::int64_t> newer, body.Whole("max_completion_tokens", 1, kMostNewTokens));
  if (newer) request.max_tokens = request.max_tokens ? std::min(*request.max_tokens, *newer) : *newer;
  TRY_ASSIGN(const std::optional<bool> ignore_eos, body.Boolean("ignore_eos"));
  request.ignore_eos = ignore_eos.value_or(false);
  return {};
}

Checked<void> ReadStream(const Fields& body, CompletionRequest& request) {
  TRY_ASSIGN(const std::optional<bool> stream, body.Boolean("stream"));
  request.stream = stream.value_or(false);
  const JsonValue* options = body.Find("stream_options");
  if (options == nullptr) return {};
  TRY_ASSIGN(const Fields fields, Fields::Of(options, "stream_options"));
  TRY_ASSIGN(const std::optional<bool> usage, fields.Boolean("include_usage"));
  request.stream_usage = usage.value_or(false);
  return {};
}

Checked<void> ReadTenant(const Fields& body, CompletionRequest& request) {
  TRY_ASSIGN(const std::optional<std::string> user, body.Text("user", kMostTenantCharacters));
  TRY_ASSIGN(const std::optional<std::string> user_id, body.Text("user_id", kMostTenantCharacters));
  request.tenant = user_id.value_or(user.value_or(""));
  return {};
}

// Fields that change nothing here; a wrong type in one is still a client's mistake.
Checked<void> CheckWithoutEffect(const Fields& body) {
  TRY(body.Boolean("store"));
  for (const std::string_view key : {"service_tier", "safety_identifier", "prompt_cache_key", "verbosity"}) TRY(body.Text(key, kMostWordCharacters));
  if (const JsonValue* metadata = body.Find("metadata")) TRY(Fields::Of(metadata, "metadata"));
  return {};
}

Checked<CompletionRequest> ReadShared(const Fields& body, std::int64_t vocab_size) {
  CompletionRequest request;
  TRY_ASSIGN(std::optional<std::string> model, body.Text("model", kMostWordCharacters));
  request.model = std::move(model).value_or("");
  TRY_ASSIGN(const std::optional<std::int64_t> n, body.Whole("n", 1, kMostChoices));
  request.n = n.value_or(1);
  TRY(ReadLength(body, request));
  TRY(ReadSampling(body, vocab_size, request.sampling));
  TRY(ReadStops(body, request.stop));
  TRY(ReadStream(body, request));
  TRY(ReadTenant(body, request));
  TRY(CheckWithoutEffect(body));
  TRY(ReadOpenAiFormat(body, request));
  return request;
}

Checked<void> ReadChatLogprobs(const Fields& body, CompletionRequest& request) {
  TRY_ASSIGN(const std::optional<bool> wanted, body.Boolean("logprobs"));
  TRY_ASSIGN(const std::optional<std::int64_t> alternatives, body.Whole("top_logprobs", 0, kMostAlternatives));
  if (wanted.value_or(false)) {
    request.logprobs = alternatives.value_or(0);
  } else if (alternatives.value_or(0) > 0) {
    return body.WrongValue("top_logprobs", "logprobs: true beside it");
  }
  return {};
}

Checked<void> ReadTextLogprobs(const Fields& body, CompletionRequest& request) {
  const JsonValue* value = body.Find("logprobs");
  if (value != nullptr && std::holds_alternative<bool>(value->value)) return ReadChatLogprobs(body, request);
  TRY_ASSIGN(request.logprobs, body.Whole("logprobs", 0, kMostAlternatives));
  TRY_ASSIGN(const std::optional<std::int64_t> alternatives, body.Whole("top_logprobs", 0, kMostAlternatives));
  if (request.logprobs) request.logprobs = std::max(*request.logprobs, alternatives.value_or(0));
  return {};
}

Checked<std::vector<std::int32_t>> ReadIds(const text::JsonArray& array, std::int64_t vocab_size) {
  std::vector<std::int32_t> ids;
  ids.reserve(array.size());
  for (const JsonValue& item : array) {
    const std::string place = "prompt[" + std::to_string(ids.size()) + "]";
    if (!IsWhole(item)) return WrongTypeAt(place, "an id", &item);
    const std::optional<std::int64_t> id = WholeOf(item);
    if (!id || *id < 0 || *id >= vocab_size) return WrongValueAt(place, "an id of the vocabulary (0 to " + std::to_string(vocab_size - 1) + ")", item);
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

Checked<void> ReadPrompt(const Fields& body, std::int64_t vocab_size, CompletionRequest& request) {
  constexpr std::string_view kExpected = "a string or an array of ids";
  const JsonValue* prompt = body.Find("prompt");
  if (prompt != nullptr && prompt->AsArray() != nullptr && prompt->AsArray()->size() == 1) {
    const JsonValue& only = prompt->AsArray()->front();
    if (only.AsString() != nullptr || only.AsArray() != nullptr) prompt = &only;
  }
  if (prompt != nullptr && prompt->AsString() != nullptr) {
    request.prompt = *prompt->AsString();
  } else if (prompt != nullptr && prompt->AsArray() != nullptr) {
    const text::JsonArray& array = *prompt->AsArray();
    if (!array.empty() && (array.front().AsString() != nullptr || array.front().AsArray() != nullptr)) {
      return Refuse(400, "prompt", "prompt: expected one prompt, found " + std::to_string(array.size()) + "; send each as a request of its own", "unsupported");
    }
    TRY_ASSIGN(request.prompt, ReadIds(array, vocab_size));
  } else {
    return body.WrongType("prompt", kExpected);
  }
  const bool filled = body.Find("suffix") != nullptr;  // the gap may be at the very beginning
  if (!filled && std::visit([](const auto& given) { return given.empty(); }, request.prompt)) return body.WrongValue("prompt", "at least one token");
  return {};
}

Checked<void> ReadSuffix(const Fields& body, CompletionRequest& request) {
  TRY_ASSIGN(request.suffix, body.Text("suffix", std::string::npos));
  if (!request.suffix || request.suffix->empty()) {
    request.suffix.reset();
    return {};
  }
  if (std::holds_alternative<std::string>(request.prompt)) return {};
  return Refuse(400, "suffix", "suffix: expected a prompt that is a string beside it, found ids; send the text in front of the gap as a string", "invalid_value");
}

// What other servers can do with a raw prompt and this one cannot.
Checked<void> CheckUnsupported(const Fields& body, const CompletionRequest& request) {
  TRY_ASSIGN(const std::optional<bool> echo, body.Boolean("echo"));
  if (echo.value_or(false)) return body.WrongValue("echo", "false (the prompt is not repeated)");
  TRY_ASSIGN(const std::optional<std::int64_t> best_of, body.Whole("best_of", 1, kMostChoices));
  if (best_of && *best_of != request.n) return body.WrongValue("best_of", "the same number as n");
  return {};
}

// What tools has replaced.
Checked<void> CheckOldFunctions(const Fields& body) {
  for (const auto& [old, newer] : {std::pair("functions", "tools"), std::pair("function_call", "tool_choice")}) {
    if (body.Find(old) == nullptr) continue;
    return Refuse(400, old, std::string(old) + ": expected none, found " + std::string(body.Find(old)->Kind()) + "; use " + newer, "unsupported");
  }
  return {};
}

}  // namespace

Checked<void> AddStop(const JsonValue& value, const std::string& place, std::vector<std::string>& stops) {
  const std::string* stop = value.AsString();
  if (stop == nullptr) return WrongTypeAt(place, "a string, or an array of strings", &value);
  if (stop->empty()) return WrongValueAt(place, "a text that is not empty", value);
  TRY(CheckLength(*stop, place, kMostStopCharacters));
  stops.push_back(*stop);
  return {};
}

Checked<CompletionRequest> ReadOpenAiChat(const JsonValue& body, std::int64_t vocab_size, OpenAiRules rules) {
  TRY_ASSIGN(const Fields fields, Fields::Of(&body, "body"));
  const Fields top(body, "");
  TRY(CheckOldFunctions(top));
  TRY_ASSIGN(text::Messages messages, ReadOpenAiMessages(top, rules));
  TRY_ASSIGN(CompletionRequest request, ReadShared(top, vocab_size));
  request.kind = CompletionRequest::Kind::kChat;
  request.messages = std::move(messages);
  TRY_ASSIGN(request.thinking, ReadThinking(top));
  TRY(ReadChatLogprobs(top, request));
  TRY(ReadOpenAiTools(top, request));
  return request;
}

Checked<CompletionRequest> ReadOpenAiText(const JsonValue& body, std::int64_t vocab_size) {
  TRY_ASSIGN(const Fields fields, Fields::Of(&body, "body"));
  const Fields top(body, "");
  TRY_ASSIGN(CompletionRequest request, ReadShared(top, vocab_size));
  request.kind = CompletionRequest::Kind::kText;
  TRY(ReadPrompt(top, vocab_size, request));
  TRY(ReadSuffix(top, request));
  TRY(ReadTextLogprobs(top, request));
  TRY(CheckUnsupported(top, request));
  return request;
}

}  // namespace baleen::completion

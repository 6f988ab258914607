#include "completion/anthropic_request.h"

#include <limits>

#include "completion/anthropic_parts.h"
#include "completion/conversation.h"
#include "completion/efforts.h"
#include "completion/openai_parts.h"

namespace baleen::completion {
namespace {

using text::JsonValue;
using text::Thinking;

constexpr std::size_t kMostWordCharacters = 4096;

Checked<void> ReadSchema(const Fields& object, std::string_view key, CompletionRequest& request) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr) return {};
  TRY_ASSIGN(const Fields format, Fields::Of(value, object.Path(key)));
  TRY_ASSIGN(const std::optional<std::string> type, format.Text("type", kMostWordCharacters));
  if (!type) return format.WrongType("type", "json_schema");
  if (*type != "json_schema") return format.WrongValue("type", "json_schema");
  TRY_ASSIGN(const Fields schema, Fields::Of(format.Find("schema"), format.Path("schema")));
  request.response_format = {.kind = ResponseFormat::Kind::kJsonSchema, .schema_json = text::WriteJson(*format.Find("schema")), .strict = true};
  return {};
}

// thinking decides; an effort alone asks for thinking too.
Checked<void> ReadThinking(const Fields& body, CompletionRequest& request) {
  constexpr std::string_view kTypes = "enabled, adaptive, between_tools or disabled";
  std::optional<Thinking> effort;
  if (const JsonValue* value = body.Find("output_config")) {
    TRY_ASSIGN(const Fields config, Fields::Of(value, "output_config"));
    TRY_ASSIGN(const std::optional<std::string> word, config.Text("effort", kMostWordCharacters));
    if (word) effort = ThinkingOfEffort(*word);
    if (word && !effort) return config.WrongValue("effort", kEffortWords);
    TRY(ReadSchema(config, "format", request));
  }
  request.thinking = effort.value_or(Thinking::kOff);
  const JsonValue* value = body.Find("thinking");
  if (value == nullptr) return {};
  TRY_ASSIGN(const Fields thinking, Fields::Of(value, "thinking"));
  TRY_ASSIGN(const std::optional<std::string> type, thinking.Text("type", kMostWordCharacters));
  if (!type) return thinking.WrongType("type", kTypes);
  if (*type != "enabled" && *type != "adaptive" && *type != "between_tools" && *type != "disabled") return thinking.WrongValue("type", kTypes);
  TRY(thinking.Whole("budget_tokens", 0, kMostNewTokens));
  request.thinking = *type == "disabled" ? Thinking::kOff : effort.value_or(kUsualThinking);
  return {};
}

Checked<void> ReadStops(const Fields& body, std::vector<std::string>& stops) {
  const JsonValue* value = body.Find("stop_sequences");
  if (value == nullptr) return {};
  const text::JsonArray* array = value->AsArray();
  if (array == nullptr) return body.WrongType("stop_sequences", "an array of strings");
  if (array->size() > kMostStops) {
    return Refuse(422, "stop_sequences", "stop_sequences: expected at most " + std::to_string(kMostStops) + " texts, found " + std::to_string(array->size()) +
                                             "; keep fewer", "invalid_value");
  }
  for (const JsonValue& item : *array) TRY(AddStop(item, "stop_sequences[" + std::to_string(stops.size()) + "]", stops));
  return {};
}

Checked<void> ReadLength(const Fields& body, AnthropicRoute route, CompletionRequest& request) {
  TRY_ASSIGN(request.max_tokens, body.Whole("max_tokens", 1, kMostNewTokens));
  if (!request.max_tokens && route == AnthropicRoute::kMessages) return body.WrongType("max_tokens", "a whole number from 1");
  return {};
}

Checked<void> ReadSampling(const Fields& body, SamplingWishes& wishes) {
  TRY_ASSIGN(wishes.temperature, body.Number("temperature", 0, 2));
  TRY_ASSIGN(wishes.top_p, body.Number("top_p", 0, 1));
  TRY_ASSIGN(const std::optional<std::int64_t> top_k, body.Whole("top_k", 0, std::numeric_limits<std::int32_t>::max()));
  wishes.top_k = top_k.value_or(0);
  TRY_ASSIGN(wishes.seed, body.Bits64("seed"));
  return {};
}

Checked<void> ReadTenant(const Fields& body, CompletionRequest& request) {
  const JsonValue* value = body.Find("metadata");
  if (value == nullptr) return {};
  TRY_ASSIGN(const Fields metadata, Fields::Of(value, "metadata"));
  TRY_ASSIGN(const std::optional<std::string> user, metadata.Text("user_id", kMostTenantCharacters));
  request.tenant = user.value_or("");
  return {};
}

}  // namespace

Checked<CompletionRequest> ReadAnthropic(const JsonValue& json, AnthropicRoute route) {
  TRY_ASSIGN(const Fields object, Fields::Of(&json, "body"));
  const Fields body(json, "");
  CompletionRequest request;
  TRY_ASSIGN(const std::optional<std::string> model, body.Text("model", kMostWordCharacters));
  request.model = model.value_or("");
  TRY(ReadLength(body, route, request));
  TRY_ASSIGN(request.messages, ReadAnthropicMessages(body));
  TRY(ReadAnthropicTools(body, request));
  TRY(ReadSchema(body, "output_format", request));
  TRY(ReadThinking(body, request));
  TRY(ReadSampling(body, request.sampling));
  TRY(ReadStops(body, request.stop));
  TRY(ReadTenant(body, request));
  TRY_ASSIGN(const std::optional<bool> stream, body.Boolean("stream"));
  request.stream = stream.value_or(false);
  TRY(body.Text("service_tier", kMostWordCharacters));
  return request;
}

}  // namespace baleen::completion

#include "completion/responses_request.h"

#include <algorithm>

#include "completion/conversation.h"
#include "completion/efforts.h"
#include "completion/openai_parts.h"
#include "completion/responses_parts.h"

namespace baleen::completion {
namespace {

using text::JsonValue;
using text::QuoteJson;

constexpr std::size_t kMostWordCharacters = 4096;

std::string OrNull(const JsonValue* value) { return value == nullptr ? "null" : text::WriteJson(*value); }

// What would need a memory of earlier responses.
Checked<void> CheckStateless(const Fields& body) {
  for (const std::string_view key : {"previous_response_id", "conversation", "prompt"}) {
    const JsonValue* value = body.Find(key);
    if (value == nullptr) continue;
    return Refuse(400, std::string(key), std::string(key) + ": expected none (nothing is kept between requests), found " + std::string(value->Kind()) +
                                             "; send the whole conversation in input", "unsupported");
  }
  TRY_ASSIGN(const std::optional<bool> background, body.Boolean("background"));
  if (background.value_or(false)) return body.WrongValue("background", "false (nothing is kept between requests)");
  return {};
}

Checked<void> ReadReasoning(const Fields& body, ResponsesRequest& request) {
  request.completion.thinking = kUsualThinking;
  std::string effort = "null";
  if (const JsonValue* value = body.Find("reasoning")) {
    TRY_ASSIGN(const Fields reasoning, Fields::Of(value, "reasoning"));
    TRY_ASSIGN(const std::optional<std::string> word, reasoning.Text("effort", kMostWordCharacters));
    TRY(reasoning.Text("summary", kMostWordCharacters));
    if (word) {
      const std::optional<text::Thinking> thinking = ThinkingOfEffort(*word);
      if (!thinking) return reasoning.WrongValue("effort", kEffortWords);
      request.completion.thinking = *thinking;
      effort = QuoteJson(*word);
    }
  }
  request.echo += "\"reasoning\": {\"effort\": " + effort + ", \"summary\": null}, ";
  return {};
}

// text.format is response_format with the schema one level up.
Checked<void> ReadFormat(const Fields& body, ResponsesRequest& request) {
  using Kind = ResponseFormat::Kind;
  constexpr std::string_view kTypes = "text, json_object or json_schema";
  std::string echo = "{\"type\": \"text\"}";
  if (const JsonValue* value = body.Find("text")) {
    TRY_ASSIGN(const Fields text, Fields::Of(value, "text"));
    TRY(text.Text("verbosity", kMostWordCharacters));
    if (const JsonValue* inner = text.Find("format")) {
      TRY_ASSIGN(const Fields format, Fields::Of(inner, "text.format"));
      TRY_ASSIGN(const std::optional<std::string> type, format.Text("type", kMostWordCharacters));
      if (!type) return format.WrongType("type", kTypes);
      if (*type == "json_object") {
        request.completion.response_format.kind = Kind::kJsonObject;
      } else if (*type == "json_schema") {
        TRY_ASSIGN(const std::optional<std::string> name, format.Text("name", std::string::npos));
        if (name && !IsName(*name)) return format.WrongValue("name", "1 to 64 letters, digits, _ and -");
        TRY(format.Text("description", std::string::npos));
        TRY_ASSIGN(const std::optional<bool> strict, format.Boolean("strict"));
        const JsonValue* schema = format.Find("schema");
        if (schema == nullptr || schema->AsObject() == nullptr) return format.WrongType("schema", "an object, a JSON schema");
        request.completion.response_format = {.kind = Kind::kJsonSchema, .schema_json = text::WriteJson(*schema), .strict = strict.value_or(false)};
      } else if (*type != "text") {
        return format.WrongValue("type", kTypes);
      }
      echo = text::WriteJson(*inner);
    }
  }
  request.echo += "\"text\": {\"format\": " + echo + "}, ";
  return {};
}

Checked<void> ReadLogprobs(const Fields& body, ResponsesRequest& request) {
  TRY_ASSIGN(const std::optional<std::int64_t> alternatives, body.Whole("top_logprobs", 0, kMostAlternatives));
  if (alternatives.value_or(0) > 0) request.completion.logprobs = *alternatives;
  request.echo += "\"top_logprobs\": " + std::to_string(alternatives.value_or(0)) + ", ";
  const JsonValue* include = body.Find("include");
  if (include == nullptr) return {};
  if (include->AsArray() == nullptr) return body.WrongType("include", "an array of strings");
  for (std::size_t i = 0; i < include->AsArray()->size(); ++i) {
    const JsonValue& item = (*include->AsArray())[i];
    if (item.AsString() == nullptr) return WrongTypeAt("include[" + std::to_string(i) + "]", "a string", &item);
    if (*item.AsString() == "message.output_text.logprobs") request.completion.logprobs = alternatives.value_or(0);
  }
  return {};
}

Checked<void> ReadMetadata(const Fields& body, ResponsesRequest& request) {
  const JsonValue* value = body.Find("metadata");
  request.echo += "\"metadata\": " + (value == nullptr ? std::string("{}") : text::WriteJson(*value)) + ", ";
  if (value == nullptr) return {};
  TRY_ASSIGN(const Fields metadata, Fields::Of(value, "metadata"));
  if (value->AsObject()->size() > kMostMetadata) {
    return Refuse(422, "metadata", "metadata: expected at most " + std::to_string(kMostMetadata) + " pairs, found " + std::to_string(value->AsObject()->size()) +
                                       "; keep fewer", "invalid_value");
  }
  for (const text::JsonMember& member : *value->AsObject()) {
    TRY(CheckLength(member.key, "metadata", kMostMetadataKeyCharacters));
    TRY(metadata.Text(member.key, kMostMetadataCharacters));
  }
  return {};
}

Checked<void> ReadTenant(const Fields& body, ResponsesRequest& request) {
  for (const std::string_view key : {"user_id", "user", "safety_identifier"}) {
    TRY_ASSIGN(const std::optional<std::string> tenant, body.Text(key, kMostTenantCharacters));
    if (request.completion.tenant.empty()) request.completion.tenant = tenant.value_or("");
  }
  request.echo += "\"user\": " + OrNull(body.Find("user")) + ", \"safety_identifier\": " + OrNull(body.Find("safety_identifier")) + ", ";
  return {};
}

// Fields that change nothing here; a wrong type in one is still a client's mistake.
Checked<void> CheckWithoutEffect(const Fields& body, ResponsesRequest& request) {
  TRY(body.Boolean("store"));
  TRY(body.Text("service_tier", kMostWordCharacters));
  TRY(body.Text("prompt_cache_key", kMostWordCharacters));
  TRY_ASSIGN(const std::optional<std::string> truncation, body.Text("truncation", kMostWordCharacters));
  if (truncation && *truncation != "auto" && *truncation != "disabled") return body.WrongValue("truncation", "auto or disabled");
  TRY(body.Whole("max_tool_calls", 1, kMostNewTokens));
  if (const JsonValue* options = body.Find("stream_options")) TRY(Fields::Of(options, "stream_options"));
  request.echo += "\"previous_response_id\": null, \"store\": false, \"background\": false, \"service_tier\": \"default\", \"truncation\": \"disabled\", \"max_tool_calls\": " +
                  OrNull(body.Find("max_tool_calls")) + ", \"prompt_cache_key\": " + OrNull(body.Find("prompt_cache_key")) + ", ";
  return {};
}

Checked<void> ReadSampling(const Fields& body, CompletionRequest& request) {
  TRY_ASSIGN(request.max_tokens, body.Whole("max_output_tokens", 1, kMostNewTokens));
  TRY_ASSIGN(request.sampling.temperature, body.Number("temperature", 0, 2));
  TRY_ASSIGN(request.sampling.top_p, body.Number("top_p", 0, 1));
  TRY_ASSIGN(request.sampling.seed, body.Bits64("seed"));
  TRY_ASSIGN(const std::optional<bool> stream, body.Boolean("stream"));
  request.stream = stream.value_or(false);
  return {};
}

}  // namespace

Checked<ResponsesRequest> ReadResponses(const JsonValue& json) {
  TRY_ASSIGN(const Fields object, Fields::Of(&json, "body"));
  const Fields body(json, "");
  if (HasNonFinite(json)) return Refuse(400, "", "the request: expected JSON, found a number that is NaN or infinite; correct it", "invalid_json");
  ResponsesRequest request;
  CompletionRequest& completion = request.completion;
  TRY_ASSIGN(const std::optional<std::string> model, body.Text("model", kMostWordCharacters));
  completion.model = model.value_or("");
  TRY(CheckStateless(body));
  TRY_ASSIGN(completion.messages, ReadResponsesInput(body));
  TRY(ReadSampling(body, completion));
  request.echo = "\"instructions\": " + OrNull(body.Find("instructions")) + ", \"max_output_tokens\": " + OrNull(body.Find("max_output_tokens")) + ", ";
  TRY(ReadResponsesTools(body, request));
  TRY(ReadReasoning(body, request));
  TRY(ReadFormat(body, request));
  TRY(ReadLogprobs(body, request));
  TRY(ReadMetadata(body, request));
  TRY(ReadTenant(body, request));
  TRY(CheckWithoutEffect(body, request));
  return request;
}

}  // namespace baleen::completion

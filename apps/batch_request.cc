#include "apps/batch_request.h"

#include <cstdio>

#include "apps/line_outline.h"
#include "completion/fields.h"
#include "completion/openai_request.h"
#include "text/json_python.h"

namespace baleen::apps {
namespace {

using completion::Checked;
using completion::Fields;
using completion::Refuse;

constexpr std::string_view kChatUrl = "/v1/chat/completions", kTextUrl = "/v1/completions";
constexpr std::string_view kServed = ", \"response\": {\"status_code\": 200, ";  // within a string its quotes would be escaped

// FNV-1a, mixed as splitmix64 does.
std::uint64_t Hash(std::uint64_t number, std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ number;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

Checked<std::string> ReadCustomId(const Fields& line) {
  TRY_ASSIGN(const std::optional<std::string> custom_id, line.Text("custom_id", kMostCustomIdBytes));
  if (!custom_id) return line.WrongType("custom_id", "a string");
  if (custom_id->empty()) return line.WrongValue("custom_id", "a text that is not empty");
  return *custom_id;
}

Checked<completion::CompletionRequest> ReadRequest(const Fields& line, std::int64_t vocab_size) {
  TRY_ASSIGN(const std::optional<std::string> method, line.Text("method", std::string::npos));
  if (!method) return line.WrongType("method", "\"POST\"");
  if (*method != "POST") return line.WrongValue("method", "\"POST\"");
  TRY_ASSIGN(const std::optional<std::string> url, line.Text("url", std::string::npos));
  if (!url) return line.WrongType("url", "/v1/chat/completions or /v1/completions");
  if (*url != kChatUrl && *url != kTextUrl) return line.WrongValue("url", "/v1/chat/completions or /v1/completions");
  const text::JsonValue* body = line.Find("body");
  if (body == nullptr || body->AsObject() == nullptr) return line.WrongType("body", "an object");
  TRY_ASSIGN(completion::CompletionRequest request, *url == kChatUrl ? completion::ReadOpenAiChat(*body, vocab_size) : completion::ReadOpenAiText(*body, vocab_size));
  if (request.stream) return Refuse(422, "stream", "stream: expected false (a batch has no streams), found true; leave it out", "invalid_value");
  return request;
}

// A line that is JSON for others, but too deep or with half a surrogate pair: it still has its custom_id, and one field is at fault.
BatchLine RefuseUnread(std::uint64_t number, std::string_view text, completion::RequestError error) {
  const LineOutline outline = OutlineOf(text);
  if (outline.field.empty()) return {number, MakeLineKey(number, text), std::nullopt, std::move(error)};
  error.param = outline.field;
  error.message = outline.field + ": " + error.message;
  const bool readable = outline.custom_id && outline.custom_id->size() <= kMostCustomIdBytes;
  return {number, MakeLineKey(number, text), readable ? outline.custom_id : std::nullopt, std::move(error)};
}

}  // namespace

LineKey MakeLineKey(std::uint64_t number, std::string_view line) {
  const std::uint64_t hash = Hash(number, line);
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%08llx", static_cast<unsigned long long>(hash), static_cast<unsigned long long>(number));
  return {.text = text, .seed = Hash(hash, "seed")};
}

BatchLine ReadBatchLine(std::uint64_t number, std::string_view text, bool too_long, std::int64_t vocab_size) {
  const auto refused = [&](completion::RequestError error) { return BatchLine{number, MakeLineKey(number, text), std::nullopt, std::move(error)}; };
  if (too_long) {
    return refused(Refuse(400, "", "the line: expected at most " + std::to_string(kMostLineBytes) + " bytes, found more; shorten the request", "invalid_value"));
  }
  const Checked<text::JsonValue> json = completion::ParseBody(text);
  if (!json) return RefuseUnread(number, text, json.error());
  if (json->AsObject() == nullptr) return refused(completion::WrongTypeAt("the line", "an object with custom_id, method, url and body", &*json));
  const Fields line(*json, "");
  const Checked<std::string> custom_id = ReadCustomId(line);
  if (!custom_id) return refused(custom_id.error());
  return {number, MakeLineKey(number, text), *custom_id, ReadRequest(line, vocab_size)};
}

std::string AnswerStart(const LineKey& key) { return "{\"id\": \"batch_req_" + key.text + "\", \"custom_id\": "; }

std::string WriteAnswerLine(std::uint64_t number, const LineKey& key, const std::optional<std::string>& custom_id, int status, const std::string& body) {
  const std::string answer = AnswerStart(key) + (custom_id ? text::QuoteJson(*custom_id) : "null, \"line\": " + std::to_string(number)) +
                             ", \"response\": {\"status_code\": " + std::to_string(status) + ", \"request_id\": \"req_" + key.text + "\", \"body\": " + body +
                             "}, \"error\": null}";
  return text::KeepOneLine(answer) + "\n";
}

bool WasServed(std::string_view answer_line) { return answer_line.find(kServed) != std::string_view::npos; }

}  // namespace baleen::apps

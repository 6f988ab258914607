#include <algorithm>

#include "completion/conversation.h"
#include "completion/openai_parts.h"

namespace baleen::completion {
namespace {

using text::JsonArray;
using text::JsonValue;

constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool", "developer", "latest_reminder"};
constexpr std::string_view kRoleList = "system, user, assistant, tool, developer or latest_reminder";

Checked<void> CheckContent(const Fields& message, std::string_view role) {
  const JsonValue* content = message.Find("content");
  if (content == nullptr) {
    if (role == "assistant" && message.Find("tool_calls") != nullptr) return {};
    return message.WrongType("content", "a string or an array of parts of type text");
  }
  if (content->AsString() != nullptr) return {};
  const JsonArray* parts = content->AsArray();
  if (parts == nullptr) return message.WrongType("content", "a string or an array of parts of type text");
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const std::string place = message.Path("content") + "[" + std::to_string(i) + "]";
    TRY_ASSIGN(const Fields part, Fields::Of(&(*parts)[i], place));
    TRY_ASSIGN(const std::optional<std::string> type, part.Text("type", std::string::npos));
    if (!type) return part.WrongType("type", "\"text\"");
    if (*type != "text") return part.WrongValue("type", "\"text\" (this model reads text only)");
    if (part.Find("text") == nullptr || part.Find("text")->AsString() == nullptr) return part.WrongType("text", "a string");
  }
  return {};
}

Checked<void> CheckCalls(const Fields& message) {
  const JsonValue* calls = message.Find("tool_calls");
  if (calls == nullptr) return {};
  if (calls->AsArray() == nullptr) return message.WrongType("tool_calls", "an array of calls");
  for (std::size_t i = 0; i < calls->AsArray()->size(); ++i) {
    TRY_ASSIGN(const Fields call, Fields::Of(&(*calls->AsArray())[i], message.Path("tool_calls") + "[" + std::to_string(i) + "]"));
    TRY_ASSIGN(const std::optional<std::string> type, call.Text("type", std::string::npos));
    if (type && *type != "function") return call.WrongValue("type", "\"function\"");
    TRY_ASSIGN(const Fields function, Fields::Of(call.Find("function"), call.Path("function")));
    if (function.Find("name") == nullptr || function.Find("name")->AsString() == nullptr) return function.WrongType("name", "a string");
  }
  return {};
}

// The role. What text::ReadMessages would take more kindly than a server should is refused here.
Checked<std::string> CheckMessage(const JsonValue& json, const std::string& place) {
  TRY_ASSIGN(const Fields message, Fields::Of(&json, place));
  TRY_ASSIGN(const std::optional<std::string> role, message.Text("role", std::string::npos));
  if (!role) return message.WrongType("role", kRoleList);
  if (std::find(std::begin(kRoles), std::end(kRoles), *role) == std::end(kRoles)) return message.WrongValue("role", kRoleList);
  TRY(CheckContent(message, *role));
  const std::string* text = *role == "developer" ? message.Find("content")->AsString() : nullptr;
  if (text != nullptr && text->empty()) return message.WrongValue("content", "a text that is not empty");
  TRY(CheckCalls(message));
  TRY_ASSIGN(const std::optional<std::string> call_id, message.Text("tool_call_id", std::string::npos));
  if (*role == "tool" && !call_id) return message.WrongType("tool_call_id", "the id of the call that this is the result of");
  TRY(message.Text("name", std::string::npos));
  TRY(message.Boolean("prefix"));
  TRY(message.Boolean("wo_eos"));
  return *role;
}

// The field in front of a message's first colon, as in "messages[2].content".
std::string FieldOf(const std::string& message) {
  const std::size_t colon = message.find(':');
  return message.starts_with("messages[") && colon != std::string::npos ? message.substr(0, colon) : "messages";
}

}  // namespace

Checked<text::Messages> ReadOpenAiMessages(const Fields& body, OpenAiRules rules) {
  const JsonValue* json = body.Find("messages");
  if (json == nullptr || json->AsArray() == nullptr) return body.WrongType("messages", "an array of messages");
  const JsonArray& array = *json->AsArray();
  if (array.empty()) return Refuse(400, "messages", "messages: expected at least one message, found an empty array; add a message of the user", "missing_field");
  std::string role;
  for (std::size_t i = 0; i < array.size(); ++i) {
    TRY_ASSIGN(role, CheckMessage(array[i], "messages[" + std::to_string(i) + "]"));
  }
  Result<text::Messages> messages = text::ReadMessages(*json);
  if (!messages) {
    const std::string field = FieldOf(messages.error().message);
    return Refuse(400, field, messages.error().message, "invalid_value");
  }
  if (const auto orphan = FindOrphanResult(*messages)) {
    return OrphanResult("messages[" + std::to_string(*orphan) + "].tool_call_id", (*messages)[*orphan].tool_call_id);
  }
  const JsonValue* prefix = array.back().Find("prefix");
  if (role == "assistant" && prefix != nullptr && prefix->IsTruthy()) {
    if (!rules.prefix) {
      const std::string field = "messages[" + std::to_string(array.size() - 1) + "].prefix";
      return Refuse(400, field, field + ": expected false on this route, found true; send the request to /beta/chat/completions", "unsupported");
    }
    messages->back().without_end = true;
  }
  if (role == "system" || (role == "assistant" && !messages->back().without_end)) {
    const std::string field = "messages[" + std::to_string(array.size() - 1) + "].role";
    return Refuse(400, field, field + ": expected the last message to be of the user, a tool or a developer (or the assistant's with \"prefix\": true), found \"" +
                                  role + "\"; nothing would be answered", "invalid_value");
  }
  return *std::move(messages);
}

}  // namespace baleen::completion

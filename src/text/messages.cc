// Messages from JSON: what an OpenAI-shaped client sends, checked field by field.
#include "text/chat_encoding.h"
#include "text/json_python.h"

namespace baleen::text {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

diagnostics::Error Wrong(const std::string& where, std::string_view expected, const JsonValue* found) {
  return InvalidInput(where + ": expected " + std::string(expected) + ", found " + (found == nullptr ? "nothing" : std::string(found->Kind())) +
                      "; correct the message");
}

bool IsGiven(const JsonValue* value) { return value != nullptr && value->IsTruthy(); }

// A string, or "" where the field is absent or null.
Result<std::string> ReadText(const JsonValue& object, const char* key, const std::string& where) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || value->IsNull()) return std::string();
  if (value->AsString() == nullptr) return Wrong(where + "." + key, "a string", value);
  return *value->AsString();
}

Result<std::string> ReadPart(const JsonValue& part, const std::string& where, bool tool_result) {
  if (part.AsObject() == nullptr) return Wrong(where, "an object with a type", &part);
  const JsonValue* field = part.Find("type");
  if (field != nullptr && !field->IsNull() && field->AsString() == nullptr) return Wrong(where + ".type", "a string", field);
  const std::string_view type = field == nullptr || field->IsNull() ? std::string_view("None") : *field->AsString();
  if (type == "text") return ReadText(part, "text", where);
  if (tool_result) return "[Unsupported " + std::string(type) + "]";
  return InvalidInput(where + ".type: expected \"text\", found \"" + Quoted(type) + "\"; this model reads text only");
}

Result<std::string> ReadContent(const JsonValue& message, const std::string& where, bool tool_result) {
  const JsonValue* content = message.Find("content");
  if (content == nullptr || content->AsArray() == nullptr) return ReadText(message, "content", where);
  std::string text;
  for (std::size_t i = 0; i < content->AsArray()->size(); ++i) {
    TRY_ASSIGN(const std::string part, ReadPart((*content->AsArray())[i], where + ".content[" + std::to_string(i) + "]", tool_result));
    if (i > 0) text += "\n\n";
    text += part;
  }
  return text;
}

Result<std::string> ReadArguments(const JsonValue& function, const std::string& where) {
  const JsonValue* arguments = function.Find("arguments");
  if (arguments != nullptr && arguments->AsObject() != nullptr) return WriteJson(*arguments);
  if (arguments == nullptr || arguments->AsString() == nullptr) return Wrong(where + ".arguments", "a string of JSON, or an object", arguments);
  return *arguments->AsString();
}

Result<ToolCall> ReadToolCall(const JsonValue& json, const std::string& where) {
  const JsonValue* function = json.Find("function");
  if (function == nullptr || function->AsObject() == nullptr) return Wrong(where + ".function", "an object with name and arguments", function);
  const JsonValue* name = function->Find("name");
  if (name == nullptr || name->AsString() == nullptr) return Wrong(where + ".function.name", "a string", name);
  ToolCall call;
  call.name = *name->AsString();
  TRY_ASSIGN(call.arguments, ReadArguments(*function, where + ".function"));
  TRY_ASSIGN(call.id, ReadText(json, "id", where));
  if (call.id.empty()) {
    TRY_ASSIGN(call.id, ReadText(*function, "id", where + ".function"));
  }
  return call;
}

Status ReadToolCalls(const JsonValue& json, const std::string& where, Message& message) {
  const JsonValue* calls = json.Find("tool_calls");
  if (!IsGiven(calls)) return {};
  if (calls->AsArray() == nullptr) return Wrong(where + ".tool_calls", "an array", calls);
  for (const JsonValue& call : *calls->AsArray()) {
    TRY_ASSIGN(ToolCall read, ReadToolCall(call, where + ".tool_calls[" + std::to_string(message.tool_calls.size()) + "]"));
    message.tool_calls.push_back(std::move(read));
  }
  return {};
}

Status ReadTools(const JsonValue& json, const std::string& where, Message& message) {
  const JsonValue* tools = json.Find("tools");
  if (!IsGiven(tools)) return {};
  if (tools->AsArray() == nullptr) return Wrong(where + ".tools", "an array", tools);
  for (const JsonValue& tool : *tools->AsArray()) {
    const JsonValue* function = tool.Find("function");
    const std::string place = where + ".tools[" + std::to_string(message.tools.size()) + "].function";
    if (function == nullptr || function->AsObject() == nullptr) return Wrong(place, "an object with name and parameters", function);
    message.tools.push_back(WriteJson(*function));
  }
  return {};
}

Result<Message> ReadMessage(const JsonValue& json, const std::string& where) {
  if (json.AsObject() == nullptr) return Wrong(where, "an object with role and content", &json);
  Message message;
  TRY_ASSIGN(message.role, ReadText(json, "role", where));
  TRY_ASSIGN(message.content, ReadContent(json, where, message.role == "tool"));
  TRY_ASSIGN(message.tool_call_id, ReadText(json, "tool_call_id", where));
  if (const JsonValue* task = json.Find("task"); task != nullptr && !task->IsNull()) {
    TRY_ASSIGN(message.task, ReadText(json, "task", where));
  }
  if (message.role == "assistant") {
    TRY_ASSIGN(message.reasoning_content, ReadText(json, "reasoning_content", where));
    TRY(ReadToolCalls(json, where, message));
    message.without_end = IsGiven(json.Find("wo_eos"));
  }
  if (message.role != "user" && message.role != "tool") TRY(ReadTools(json, where, message));
  if (const JsonValue* format = json.Find("response_format"); IsGiven(format)) message.response_format = WriteJson(*format);
  return message;
}

}  // namespace

Result<Messages> ReadMessages(const JsonValue& json) {
  if (json.AsArray() == nullptr) return Wrong("messages", "an array of messages", &json);
  Messages messages;
  for (const JsonValue& item : *json.AsArray()) {
    TRY_ASSIGN(Message message, ReadMessage(item, "messages[" + std::to_string(messages.size()) + "]"));
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<Messages> ParseMessages(std::string_view json) {
  Result<JsonValue> value = ParseJson(json);
  if (!value) return InvalidInput("messages: " + value.error().message + "; expected a JSON array of messages");
  return ReadMessages(*value);
}

}  // namespace baleen::text

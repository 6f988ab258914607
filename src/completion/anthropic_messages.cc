#include "completion/anthropic_parts.h"
#include "completion/conversation.h"

namespace baleen::completion {
namespace {

using text::JsonArray;
using text::JsonValue;

constexpr std::string_view kTextOrBlocks = "a string or an array of blocks";

Checked<std::string> ReadString(const Fields& object, std::string_view key, std::string_view expected = "a string") {
  TRY_ASSIGN(std::optional<std::string> text, object.Text(key, std::string::npos));
  if (!text) return object.WrongType(key, expected);
  return *std::move(text);
}

Checked<Fields> BlockAt(const JsonArray& blocks, std::size_t i, const std::string& path) { return Fields::Of(&blocks[i], path + "[" + std::to_string(i) + "]"); }

// A string, or text blocks joined by a blank line; absent is "".
Checked<std::string> ReadTexts(const Fields& object, std::string_view key, bool system) {
  const auto keep = [&](const std::string& text) { return system ? WithoutVolatileLines(text) : text; };
  const JsonValue* value = object.Find(key);
  if (value == nullptr) return std::string();
  if (value->AsString() != nullptr) return keep(*value->AsString());
  const JsonArray* blocks = value->AsArray();
  if (blocks == nullptr) return object.WrongType(key, kTextOrBlocks);
  std::string text;
  for (std::size_t i = 0; i < blocks->size(); ++i) {
    TRY_ASSIGN(const Fields block, BlockAt(*blocks, i, object.Path(key)));
    TRY_ASSIGN(const std::string type, ReadString(block, "type", "\"text\""));
    if (type != "text") return block.WrongValue("type", "\"text\" (this model reads text only)");
    TRY_ASSIGN(const std::string given, ReadString(block, "text"));
    const std::string kept = keep(given);
    if (kept.empty()) continue;
    text += (text.empty() ? "" : "\n\n") + kept;
  }
  return text;
}

Checked<void> ReadAssistantBlock(const Fields& block, text::Message& message) {
  constexpr std::string_view kTypes = "text, thinking, redacted_thinking or tool_use";
  TRY_ASSIGN(const std::string type, ReadString(block, "type", kTypes));
  if (type == "redacted_thinking") return {};
  if (type == "text") {
    TRY_ASSIGN(const std::string text, ReadString(block, "text"));
    message.content += text;
    return {};
  }
  if (type == "thinking") {
    TRY_ASSIGN(const std::string thinking, ReadString(block, "thinking"));
    TRY(block.Text("signature", std::string::npos));
    message.reasoning_content += thinking;
    return {};
  }
  if (type != "tool_use") return block.WrongValue("type", kTypes);
  text::ToolCall call;
  TRY_ASSIGN(call.id, ReadString(block, "id"));
  TRY_ASSIGN(call.name, ReadString(block, "name"));
  TRY_ASSIGN(const Fields input, Fields::Of(block.Find("input"), block.Path("input")));
  call.arguments = text::WriteJson(*block.Find("input"));
  message.tool_calls.push_back(std::move(call));
  return {};
}

Checked<void> ReadUserBlock(const Fields& block, text::Messages& messages) {
  constexpr std::string_view kTypes = "text or tool_result (this model reads text only)";
  TRY_ASSIGN(const std::string type, ReadString(block, "type", kTypes));
  if (type == "text") {
    TRY_ASSIGN(std::string text, ReadString(block, "text"));
    messages.push_back({.role = "user", .content = std::move(text)});
    return {};
  }
  if (type != "tool_result") return block.WrongValue("type", kTypes);
  text::Message result{.role = "tool", .content = {}};
  TRY_ASSIGN(result.tool_call_id, ReadString(block, "tool_use_id"));
  TRY_ASSIGN(result.content, ReadTexts(block, "content", false));
  TRY_ASSIGN(const std::optional<bool> error, block.Boolean("is_error"));
  if (error.value_or(false)) result.content = "Error: " + result.content;  // the model has no other mark for it
  messages.push_back(std::move(result));
  return {};
}

// The encoding has a place for system text in front of a conversation only; further on it is said by the user.
Checked<void> ReadSystemMessage(const Fields& message, text::Messages& messages) {
  if (message.Find("content") == nullptr) return message.WrongType("content", kTextOrBlocks);
  TRY_ASSIGN(std::string content, ReadTexts(message, "content", false));
  const bool first = messages.empty() || messages.back().role == "system";
  messages.push_back({.role = first ? "system" : "user", .content = std::move(content)});
  return {};
}

// One message of the dialect may be several of ours: each result, and each text between results.
Checked<void> ReadMessage(const Fields& message, text::Messages& messages) {
  constexpr std::string_view kRoles = "user, assistant or system";
  TRY_ASSIGN(const std::string role, ReadString(message, "role", kRoles));
  if (role == "system") return ReadSystemMessage(message, messages);
  if (role != "user" && role != "assistant") return message.WrongValue("role", kRoles);
  const JsonValue* content = message.Find("content");
  if (content != nullptr && content->AsString() != nullptr) {
    messages.push_back({.role = role, .content = *content->AsString()});
    return {};
  }
  if (content == nullptr || content->AsArray() == nullptr) return message.WrongType("content", kTextOrBlocks);
  const JsonArray& blocks = *content->AsArray();
  text::Message turn{.role = role, .content = {}};
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    TRY_ASSIGN(const Fields block, BlockAt(blocks, i, message.Path("content")));
    if (role == "assistant") {
      TRY(ReadAssistantBlock(block, turn));
    } else {
      TRY(ReadUserBlock(block, messages));
    }
  }
  if (role == "user" && blocks.empty()) return message.WrongType("content", "at least one block");
  if (role == "assistant") messages.push_back(std::move(turn));
  return {};
}

}  // namespace

std::string WithoutVolatileLines(std::string_view system) {
  std::string kept;
  while (!system.empty()) {
    const std::size_t end = system.find('\n');
    const std::string_view line = system.substr(0, end == std::string_view::npos ? system.size() : end + 1);
    if (!line.starts_with("x-anthropic-billing-header:")) kept += line;
    system.remove_prefix(line.size());
  }
  return kept;
}

Checked<text::Messages> ReadAnthropicMessages(const Fields& body) {
  text::Messages messages;
  TRY_ASSIGN(std::string system, ReadTexts(body, "system", true));
  if (!system.empty()) messages.push_back({.role = "system", .content = std::move(system)});
  const JsonValue* value = body.Find("messages");
  if (value == nullptr || value->AsArray() == nullptr) return body.WrongType("messages", "an array of messages");
  const JsonArray& array = *value->AsArray();
  if (array.empty()) return Refuse(400, "messages", "messages: expected at least one message, found an empty array; add a message of the user", "missing_field");
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string place = "messages[" + std::to_string(i) + "]";
    const std::size_t first = messages.size();
    TRY_ASSIGN(const Fields message, Fields::Of(&array[i], place));
    TRY(ReadMessage(message, messages));
    if (const auto orphan = FindOrphanResult(messages); orphan && *orphan >= first) return OrphanResult(place + ".content", messages[*orphan].tool_call_id);
  }
  if (messages.back().role == "system") {
    return Refuse(400, "messages", "messages: expected a message of the user, found system messages only; nothing would be answered", "invalid_value");
  }
  if (messages.back().role == "assistant") {
    if (!messages.back().tool_calls.empty()) {
      return Refuse(400, "messages", "messages: expected a tool_result behind the last tool_use, found nothing; send the results of the calls", "invalid_value");
    }
    messages.back().without_end = true;
  }
  return messages;
}

}  // namespace baleen::completion

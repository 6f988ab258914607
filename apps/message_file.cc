#include "apps/message_file.h"

#include "apps/commands.h"
#include "hardware/file.h"
#include "text/json_python.h"

namespace baleen::apps {
namespace {

constexpr std::uint64_t kMostFileBytes = std::uint64_t{256} << 20;

void AddText(const char* key, const std::string& value, std::string& out) {
  if (!value.empty()) out += std::string(", \"") + key + "\": " + text::QuoteJson(value);
}

std::string WriteMessage(const text::Message& message) {
  std::string out = "{\"role\": " + text::QuoteJson(message.role) + ", \"content\": " + text::QuoteJson(message.content);
  AddText("reasoning_content", message.reasoning_content, out);
  AddText("tool_call_id", message.tool_call_id, out);
  std::string calls;
  for (const text::ToolCall& call : message.tool_calls) {
    calls += std::string(calls.empty() ? "" : ", ") + "{";
    if (!call.id.empty()) calls += "\"id\": " + text::QuoteJson(call.id) + ", ";
    calls += "\"type\": \"function\", \"function\": {\"name\": " + text::QuoteJson(call.name) + ", \"arguments\": " + text::QuoteJson(call.arguments) + "}}";
  }
  if (!calls.empty()) out += ", \"tool_calls\": [" + calls + "]";
  std::string tools;
  for (const std::string& tool : message.tools) tools += std::string(tools.empty() ? "" : ", ") + "{\"type\": \"function\", \"function\": " + tool + "}";
  if (!tools.empty()) out += ", \"tools\": [" + tools + "]";
  if (!message.response_format.empty()) out += ", \"response_format\": " + message.response_format;
  if (message.task) out += ", \"task\": " + text::QuoteJson(*message.task);
  if (message.without_end) out += ", \"wo_eos\": true";
  return out + "}";
}

}  // namespace

Result<text::Messages> ReadMessageFile(const std::string& path) {
  const bool from_input = path == "-";
  std::string json;
  if (from_input) {
    TRY_ASSIGN(json, ReadStandardInput(kMostFileBytes));
  } else {
    TRY_ASSIGN(json, hardware::ReadFile(path, kMostFileBytes));
  }
  const std::string name = from_input ? "standard input" : diagnostics::Quoted(path, 300);
  Result<text::Messages> messages = text::ParseMessages(json);
  if (!messages) {
    messages.error().message = name + ": " + messages.error().message;
  } else if (messages->empty()) {
    return diagnostics::InvalidInput(name + ": expected at least one message, found an empty array; add a message of the user");
  }
  return messages;
}

std::string WriteMessages(const text::Messages& messages) {
  std::string out;
  for (const text::Message& message : messages) out += (out.empty() ? "\n  " : ",\n  ") + WriteMessage(message);
  return "[" + out + "\n]\n";
}

}  // namespace baleen::apps

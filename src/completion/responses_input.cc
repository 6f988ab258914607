#include "completion/conversation.h"
#include "completion/responses_parts.h"

namespace baleen::completion {
namespace {

using text::JsonArray;
using text::JsonValue;

constexpr std::string_view kPartTypes = "input_text or output_text (this model reads text only)";
constexpr std::string_view kItemTypes = "message, reasoning, function_call, function_call_output, custom_tool_call or custom_tool_call_output";

// A string, or parts of type text that are joined by a blank line.
Checked<std::string> ReadParts(const Fields& item, std::string_view key) {
  constexpr std::string_view kExpected = "a string or an array of parts of type input_text or output_text";
  const JsonValue* value = item.Find(key);
  if (value == nullptr) return item.WrongType(key, kExpected);
  if (value->AsString() != nullptr) return *value->AsString();
  if (value->AsArray() == nullptr) return item.WrongType(key, kExpected);
  std::string text;
  for (std::size_t i = 0; i < value->AsArray()->size(); ++i) {
    TRY_ASSIGN(const Fields part, Fields::Of(&(*value->AsArray())[i], item.Path(key) + "[" + std::to_string(i) + "]"));
    TRY_ASSIGN(const std::optional<std::string> type, part.Text("type", std::string::npos));
    if (!type) return part.WrongType("type", kPartTypes);
    const bool refusal = *type == "refusal";
    if (!refusal && *type != "input_text" && *type != "output_text" && *type != "text" && *type != "reasoning_text") return part.WrongValue("type", kPartTypes);
    TRY_ASSIGN(const std::optional<std::string> words, part.Text(refusal ? "refusal" : "text", std::string::npos));
    if (!words) return part.WrongType(refusal ? "refusal" : "text", "a string");
    if (i > 0) text += "\n\n";
    text += *words;
  }
  return text;
}

Checked<std::string> ReadString(const Fields& item, std::string_view key) {
  TRY_ASSIGN(std::optional<std::string> text, item.Text(key, std::string::npos));
  if (!text) return item.WrongType(key, "a string");
  return *std::move(text);
}

// Items become messages: what the assistant reasons, says and calls in a row is one turn.
class InputReader {
 public:
  Checked<void> Read(const Fields& item) {
    TRY_ASSIGN(const std::optional<std::string> type, item.Text("type", std::string::npos));
    if (!type && item.Find("role") == nullptr) return item.WrongType("type", kItemTypes);
    if (!type || *type == "message") return ReadMessage(item);
    if (*type == "reasoning") return ReadReasoning(item);
    if (*type == "function_call" || *type == "custom_tool_call") return ReadCall(item, *type == "custom_tool_call");
    if (*type == "function_call_output" || *type == "custom_tool_call_output") return ReadOutput(item);
    if (*type == "web_search_call") return {};  // its results stood in the answer it led to
    return item.WrongValue("type", kItemTypes);
  }

  void Add(text::Message message, std::string place) {
    messages_.push_back(std::move(message));
    places_.push_back(std::move(place));
  }

  // What is wrong with the whole.
  Checked<text::Messages> Finish() {
    if (messages_.empty()) return Refuse(400, "input", "input: expected at least one item to answer, found none; add a message of the user", "missing_field");
    if (const auto orphan = FindOrphanResult(messages_)) return OrphanResult(places_[*orphan] + ".call_id", messages_[*orphan].tool_call_id);
    const std::string& last = messages_.back().role;
    if (last == "system" || last == "assistant") {
      return Refuse(400, "input", "input: expected the last item to be of the user or the output of a call, found one of the " + last + "; nothing would be answered",
                    "invalid_value");
    }
    return std::move(messages_);
  }

 private:
  Checked<void> ReadMessage(const Fields& item) {
    constexpr std::string_view kRoles = "user, assistant, system or developer";
    TRY_ASSIGN(const std::optional<std::string> role, item.Text("role", std::string::npos));
    if (!role) return item.WrongType("role", kRoles);
    if (*role != "user" && *role != "assistant" && *role != "system" && *role != "developer") return item.WrongValue("role", kRoles);
    TRY_ASSIGN(std::string content, ReadParts(item, "content"));
    if (*role == "assistant") {
      // Text behind calls belongs to them; text behind text is a turn of its own.
      const bool fits = IsAssistantLast() && (messages_.back().content.empty() || !messages_.back().tool_calls.empty());
      Turn(item, fits).content += content;
    } else {
      Add({.role = *role == "system" ? "system" : "user", .content = std::move(content)}, item.path());
    }
    return {};
  }

  Checked<void> ReadReasoning(const Fields& item) {
    TRY(item.Text("encrypted_content", std::string::npos));
    const JsonValue* content = item.Find("content");
    if (content == nullptr) return {};  // a summary or a cipher is not what the model thought
    TRY_ASSIGN(std::string reasoning, ReadParts(item, "content"));
    const bool fits = IsAssistantLast() && messages_.back().content.empty() && messages_.back().tool_calls.empty();
    Turn(item, fits).reasoning_content += reasoning;
    return {};
  }

  Checked<void> ReadCall(const Fields& item, bool custom) {
    text::ToolCall call;
    TRY_ASSIGN(call.id, ReadString(item, "call_id"));
    TRY_ASSIGN(call.name, ReadString(item, "name"));
    TRY_ASSIGN(call.arguments, ReadString(item, custom ? "input" : "arguments"));
    if (custom) call.arguments = CustomArguments(call.arguments);
    Turn(item, true).tool_calls.push_back(std::move(call));
    return {};
  }

  Checked<void> ReadOutput(const Fields& item) {
    text::Message message{.role = "tool", .content = {}};
    TRY_ASSIGN(message.tool_call_id, ReadString(item, "call_id"));
    TRY_ASSIGN(message.content, ReadParts(item, "output"));
    Add(std::move(message), item.path());
    return {};
  }

  bool IsAssistantLast() const { return !messages_.empty() && messages_.back().role == "assistant"; }

  // The assistant's turn that the item belongs to: the last message if it fits, else a new one.
  text::Message& Turn(const Fields& item, bool fits) {
    if (!IsAssistantLast() || !fits) Add({.role = "assistant", .content = {}}, item.path());
    return messages_.back();
  }

  text::Messages messages_;
  std::vector<std::string> places_;
};

}  // namespace

std::string CustomArguments(const std::string& input) { return "{\"input\": " + text::QuoteJson(input) + "}"; }

Checked<text::Messages> ReadResponsesInput(const Fields& body) {
  constexpr std::string_view kExpected = "a string or an array of items";
  InputReader reader;
  TRY_ASSIGN(std::optional<std::string> instructions, body.Text("instructions", std::string::npos));
  if (instructions && !instructions->empty()) reader.Add({.role = "system", .content = *std::move(instructions)}, "instructions");
  const JsonValue* input = body.Find("input");
  if (input == nullptr) return body.WrongType("input", kExpected);
  if (const std::string* text = input->AsString()) {
    reader.Add({.role = "user", .content = *text}, "input");
    return reader.Finish();
  }
  const JsonArray* items = input->AsArray();
  if (items == nullptr) return body.WrongType("input", kExpected);
  for (std::size_t i = 0; i < items->size(); ++i) {
    TRY_ASSIGN(const Fields item, Fields::Of(&(*items)[i], "input[" + std::to_string(i) + "]"));
    TRY(reader.Read(item));
  }
  return reader.Finish();
}

}  // namespace baleen::completion

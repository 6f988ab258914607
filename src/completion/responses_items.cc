#include "completion/responses_items.h"

#include "text/json_python.h"

namespace baleen::completion {
namespace {

using text::QuoteJson;
using Kind = OutputItem::Kind;

}  // namespace

std::string_view ItemStatus(const OutputItem& item, bool cut) {
  if (cut) return "incomplete";
  if (item.kind != Kind::kCall && item.kind != Kind::kCustomCall) return "completed";
  const Result<text::JsonValue> arguments = text::ParseJson(item.text);
  return arguments && arguments->AsObject() != nullptr ? "completed" : "incomplete";
}

std::string WritePart(const OutputItem& item, bool begun) {
  const std::string text = begun ? "\"\"" : QuoteJson(item.text);
  if (item.kind == Kind::kReasoning) return "{\"type\": \"reasoning_text\", \"text\": " + text + "}";
  return "{\"type\": \"output_text\", \"annotations\": [], \"logprobs\": [" + (begun ? std::string() : item.logprobs) + "], \"text\": " + text + "}";
}

std::string WriteItem(const OutputItem& item, std::string_view status, bool begun) {
  const std::string front = "{\"id\": " + QuoteJson(item.id) + ", \"type\": ";
  const std::string state = ", \"status\": \"" + std::string(status) + "\"";
  const std::string content = begun ? "[]" : "[" + WritePart(item) + "]";
  if (item.kind == Kind::kReasoning) return front + "\"reasoning\"" + state + ", \"summary\": [], \"content\": " + content + "}";
  if (item.kind == Kind::kMessage) return front + "\"message\"" + state + ", \"role\": \"assistant\", \"content\": " + content + "}";
  const std::string names = ", \"call_id\": " + QuoteJson(item.call_id) + ", \"name\": " + QuoteJson(item.name);
  if (item.kind == Kind::kCustomCall) {
    return front + "\"custom_tool_call\"" + state + names + ", \"input\": " + (begun ? "\"\"" : QuoteJson(CustomInput(item.text))) + "}";
  }
  return front + "\"function_call\"" + state + names + ", \"arguments\": " + (begun ? "\"\"" : QuoteJson(item.text)) + "}";
}

std::string CustomInput(const std::string& arguments) {
  const Result<text::JsonValue> value = text::ParseJson(arguments);
  const text::JsonValue* input = value ? value->Find("input") : nullptr;
  return input != nullptr && input->AsString() != nullptr ? *input->AsString() : arguments;
}

}  // namespace baleen::completion

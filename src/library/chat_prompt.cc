#include "library/chat_prompt.h"

#include <string>

#include "text/chat_encoding.h"
#include "text/json_python.h"
#include "text/utf8.h"

namespace baleen::library {
namespace {

using diagnostics::InvalidInput;

Status CheckTexts(const Message& message, const std::string& place) {
  TRY(text::CheckUtf8(message.role, place + ".role"));
  TRY(text::CheckUtf8(message.content, place + ".content"));
  TRY(text::CheckUtf8(message.reasoning, place + ".reasoning"));
  TRY(text::CheckUtf8(message.tool_call_id, place + ".tool_call_id"));
  for (const ToolCall& call : message.tool_calls) {
    TRY(text::CheckUtf8(call.id, place + ".tool_calls"));
    TRY(text::CheckUtf8(call.name, place + ".tool_calls"));
    TRY(text::CheckUtf8(call.arguments, place + ".tool_calls"));
  }
  return {};
}

Result<text::Message> MessageOf(const Message& message, const std::string& place) {
  TRY(CheckTexts(message, place));
  text::Message made{.role = message.role, .content = message.content, .reasoning_content = message.reasoning, .tool_call_id = message.tool_call_id};
  for (const ToolCall& call : message.tool_calls) made.tool_calls.push_back({.id = call.id, .name = call.name, .arguments = call.arguments});
  for (const std::string& tool : message.tools) {
    const Result<text::JsonValue> function = text::ParseJson(tool);
    if (!function) return InvalidInput(place + ".tools: " + function.error().message);
    if (function->AsObject() == nullptr) return InvalidInput(place + ".tools: expected function objects, found " + std::string(function->Kind()));
    made.tools.push_back(text::WriteJson(*function));
  }
  return made;
}

text::Thinking ThinkingOf(Thinking thinking) {
  switch (thinking) {
    case Thinking::kLow:
      return text::Thinking::kLow;
    case Thinking::kHigh:
      return text::Thinking::kHigh;
    case Thinking::kMax:
      return text::Thinking::kMax;
    case Thinking::kOff:
      break;
  }
  return text::Thinking::kOff;
}

}  // namespace

Result<std::vector<std::int32_t>> ChatPrompt(const text::Tokenizer& tokenizer, const std::vector<Message>& messages, const ChatOptions& options) {
  if (messages.empty()) return InvalidInput("messages: expected at least one, found none");
  text::RenderRequest request{.encoding = options.encoding == ChatOptions::Encoding::kApril ? text::Encoding::kApril : text::Encoding::k0731,
                              .thinking = ThinkingOf(options.thinking),
                              .drop_thinking = options.drop_reasoning};
  for (std::size_t i = 0; i < messages.size(); ++i) {
    TRY_ASSIGN(text::Message message, MessageOf(messages[i], "messages[" + std::to_string(i) + "]"));
    request.messages.push_back(std::move(message));
  }
  TRY_ASSIGN(const text::PromptPieces pieces, text::RenderPieces(request));
  return tokenizer.EncodePieces(pieces.pieces());
}

}  // namespace baleen::library

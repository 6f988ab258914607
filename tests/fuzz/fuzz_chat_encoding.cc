// A byte of switches and a JSON array of messages: every prompt is UTF-8 and begins as it must. What an assistant wrote, if nothing in
// it looks like a tag, is read back by the reply parser.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "diagnostics/check.h"
#include "text/chat_encoding.h"
#include "text/json_python.h"
#include "text/reply_parser.h"
#include "text/special_tokens.h"
#include "text/utf8.h"

namespace {

using namespace baleen;

bool IsPlain(std::string_view text) { return text.find('<') == std::string_view::npos && text.find("｜") == std::string_view::npos; }
bool IsPlainName(std::string_view text) { return IsPlain(text) && text.find_first_of("\"\n") == std::string_view::npos; }

// The arguments as the parser will give them back, or nothing if a part of them looks like a tag.
std::optional<std::string> ExpectedArguments(const std::string& arguments) {
  const Result<text::JsonValue> json = text::ParseJson(arguments);
  if (!json || json->AsObject() == nullptr) return std::nullopt;
  for (const text::JsonMember& member : *json->AsObject()) {
    if (!IsPlainName(member.key)) return std::nullopt;
  }
  std::string written = text::WriteJson(*json);
  if (!IsPlain(written)) return std::nullopt;
  return written;
}

void CheckRoundTrip(const text::Message& message, text::Encoding encoding) {
  if (message.role != "assistant" || message.without_end || message.task || !IsPlain(message.content) || !IsPlain(message.reasoning_content)) return;
  text::ParsedReply expected{message.reasoning_content, message.content, {}};
  for (const text::ToolCall& call : message.tool_calls) {
    const std::optional<std::string> arguments = ExpectedArguments(call.arguments);
    if (!arguments || !IsPlainName(call.name)) return;
    expected.tool_calls.push_back({call.name, *arguments});
  }
  const Result<std::string> prompt = text::RenderPrompt({{message}, encoding, text::Thinking::kLow, true});
  CHECK(prompt.has_value());
  const Result<text::ParsedReply> reply = text::ParseReply(std::string_view(*prompt).substr(text::kBeginOfSequence.size()), true);
  CHECK(reply.has_value());
  CHECK(*reply == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Result<text::Messages> messages = text::ParseMessages({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!messages) return 0;
  const text::Encoding encoding = (data[0] & 1) != 0 ? text::Encoding::kApril : text::Encoding::k0731;
  const auto thinking = static_cast<text::Thinking>(data[0] >> 1 & 3);
  const Result<std::string> prompt = text::RenderPrompt({*messages, encoding, thinking, (data[0] & 8) == 0});
  if (prompt) {
    CHECK(prompt->starts_with(text::kBeginOfSequence));
    CHECK(text::FindInvalidUtf8(*prompt) == std::string::npos);
  }
  for (const text::Message& message : *messages) CheckRoundTrip(message, encoding);
  return 0;
}

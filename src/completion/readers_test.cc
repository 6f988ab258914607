// Every reader on bodies made by chance: whatever comes, it is read or refused by name.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "completion/anthropic_request.h"
#include "completion/fields.h"
#include "completion/openai_request.h"
#include "completion/responses_request.h"

namespace baleen::completion {
namespace {

// Words that the readers look for, so that chance finds its way in.
const std::vector<std::string>& Keys() {
  static const std::vector<std::string> keys = {
      "messages", "input", "role", "content", "type", "text", "tools", "function", "name", "parameters", "input_schema", "tool_choice", "tool_calls", "arguments", "id",
      "call_id", "output", "thinking", "effort", "reasoning", "format", "schema", "metadata", "user_id", "stop", "stop_sequences", "max_tokens", "n", "system", "instructions",
      "prompt", "suffix", "logit_bias", "stream", "include", "tool_use_id", "is_error", "prefix", "reasoning_content", "description", "strict", "definition", "output_config"};
  return keys;
}

const std::vector<std::string>& Words() {
  static const std::vector<std::string> words = {
      "user", "assistant", "system", "developer", "tool", "text", "input_text", "output_text", "function", "custom", "grammar", "message", "function_call", "function_call_output",
      "custom_tool_call", "custom_tool_call_output", "reasoning", "tool_use", "tool_result", "thinking", "enabled", "adaptive", "high", "none", "auto", "any", "required",
      "json_schema", "json_object", "f", "", "{}", "x-anthropic-billing-header: a\n"};
  return words;
}

std::string Value(int depth);

std::string Members(int depth) {
  std::string out;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) out += (out.empty() ? "" : ", ") + text::QuoteJson(*rc::gen::elementOf(Keys())) + ": " + Value(depth);
  return "{" + out + "}";
}

std::string Value(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 9 : 6)) {
    case 0:
      return *rc::gen::elementOf(std::vector<std::string>{"null", "true", "false"});
    case 1:
      return std::to_string(*rc::gen::arbitrary<std::int64_t>());
    case 2:
      return *rc::gen::elementOf(std::vector<std::string>{"0", "1", "0.5", "-1", "NaN", "1e400", "18446744073709551616"});
    case 3:
    case 4:
    case 5:
      return text::QuoteJson(*rc::gen::elementOf(Words()));
    case 6: {
      std::string out;
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) out += (out.empty() ? "" : ", ") + Value(depth - 1);
      return "[" + out + "]";
    }
    default:
      return Members(depth - 1);
  }
}

void CheckError(const RequestError& error) {
  RC_ASSERT(error.status == 400 || error.status == 422);
  RC_ASSERT(!error.message.empty());
  RC_ASSERT(error.message.starts_with(error.param));
}

void ReadAll(const std::string& json) {
  const auto body = ParseBody(json);
  RC_ASSERT(body.has_value());
  if (const auto chat = ReadOpenAiChat(*body, 2048); !chat) CheckError(chat.error());
  if (const auto text = ReadOpenAiText(*body, 2048); !text) CheckError(text.error());
  if (const auto anthropic = ReadAnthropic(*body, AnthropicRoute::kCountTokens); !anthropic) CheckError(anthropic.error());
  const auto responses = ReadResponses(*body);
  if (!responses) return CheckError(responses.error());
  // What is echoed is JSON.
  RC_ASSERT(text::ParseJson("{" + responses->echo + "\"end\": 0}").has_value());
}

RC_GTEST_PROP(Readers, TakeOrRefuseAnyBody, ()) { ReadAll(Members(4)); }

// The same inside a conversation that is right so far.
RC_GTEST_PROP(Readers, TakeOrRefuseAnyItem, ()) {
  const std::string item = Members(3), part = Members(2);
  const std::string role = *rc::gen::elementOf(std::vector<std::string>{"user", "assistant", "tool"});
  const std::string messages = R"([{"role": "user", "content": "a"}, {"role": ")" + role + R"(", "content": [)" + part + "]}, " + item + R"(, {"role": "user", "content": "b"}])";
  ReadAll(R"({"messages": )" + messages + R"(, "input": )" + messages + R"(, "tools": [)" + Members(3) + R"(], "prompt": "p"})");
}

}  // namespace
}  // namespace baleen::completion

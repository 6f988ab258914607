#include "completion/anthropic_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "completion/field_table.h"
#include "completion/fields.h"

namespace baleen::completion {
namespace {

using text::Thinking;

Checked<CompletionRequest> Read(const std::string& members, AnthropicRoute route = AnthropicRoute::kMessages) {
  TRY_ASSIGN(const text::JsonValue body, ParseBody("{" + members + "}"));
  return ReadAnthropic(body, route);
}

const std::string kQuestion = R"("messages": [{"role": "user", "content": "Q"}])";

Checked<CompletionRequest> Ask(const std::string& members) { return Read(R"("model": "m", "max_tokens": 9, )" + kQuestion + (members.empty() ? "" : ", " + members)); }
Checked<CompletionRequest> Messages(const std::string& messages, const std::string& system = "null") {
  return Read(R"("max_tokens": 9, "system": )" + system + R"(, "messages": )" + messages);
}

void ExpectRefused(const Checked<CompletionRequest>& request, const std::string& param, const std::string& what) {
  ExpectFieldRefused(request ? nullptr : &request.error(), param, what);
}

std::string Tool(const std::string& name) { return R"({"name": ")" + name + R"(", "input_schema": {"type": "object"}})"; }

std::string Tools(std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + Tool("f" + std::to_string(i));
  return "[" + list + "]";
}

TEST(Anthropic, TakesAndRefusesByField) {
  const std::vector<FieldCase> fields = {
      {"model", {"\"any\""}, {"1", "[]"}},
      {"system", {"\"S\"", "[]", R"([{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}])"}, {"1", "{}", "true"}},
      {"temperature", {"0", "1", "2"}, {"-0.001", "2.001", "\"1\"", "true", "NaN"}},
      {"top_p", {"0", "1"}, {"-0.1", "1.01", "\"1\""}},
      {"top_k", {"0", "2147483647"}, {"-1", "2147483648", "1.5"}},
      {"seed", {"0", "18446744073709551615"}, {"18446744073709551616", "1.5"}},
      {"stop_sequences", {"[]", "[" + RepeatItem("\"s\"", 16) + "]", "[" + Quote(std::string(4096, 's')) + "]"}, {"\"s\"", "{}", "[" + RepeatItem("\"s\"", 17) + "]"}},
      {"stream", {"true", "false"}, {"1", "\"no\""}},
      {"metadata", {"{}", R"({"user_id": ")" + std::string(512, 'u') + "\"}"}, {"[]", "\"u\""}},
      {"tools", {"[]", Tools(128), R"([{"type": "web_search_20250305", "name": "web_search"}])"}, {"{}", "\"f\"", Tools(129)}},
      {"tool_choice", {R"({"type": "auto"})", R"({"type": "none"})"}, {"\"auto\"", "1", "[]", R"({"type": "any"})"}},
      {"thinking", {R"({"type": "enabled", "budget_tokens": 1024})", R"({"type": "disabled"})", R"({"type": "adaptive"})", R"({"type": "between_tools"})"}, {"true", "\"enabled\""}},
      {"output_config", {"{}", R"({"effort": "max"})"}, {"\"max\"", "[]"}},
      {"service_tier", {"\"auto\""}, {"1"}},
  };
  CheckFields(fields, [request = Checked<CompletionRequest>()](const std::string& members) mutable {
    request = Ask(members);
    return request ? nullptr : &request.error();
  });
  ExpectRefused(Ask(R"("metadata": {"user_id": ")" + std::string(513, 'u') + "\"}"), "metadata.user_id", "513 characters");
  ExpectRefused(Ask(R"("stop_sequences": [""])"), "stop_sequences[0]", "an empty one");
  ExpectRefused(Ask(R"("stop_sequences": ["a", 1])"), "stop_sequences[1]", "a number");
  ExpectRefused(Ask(R"("stop_sequences": [")" + std::string(4097, 's') + "\"]"), "stop_sequences[0]", "a long one");
  ExpectRefused(Ask(R"("thinking": {"type": "on"})"), "thinking.type", "another word");
  ExpectRefused(Ask(R"("thinking": {})"), "thinking.type", "no type");
  ExpectRefused(Ask(R"("output_config": {"effort": "most"})"), "output_config.effort", "another effort");
  for (const char* length : {"0", "-1", "2147483649", "1.5", "\"5\"", "null"}) {
    ExpectRefused(Read(kQuestion + R"(, "max_tokens": )" + length), "max_tokens", length);
  }
  EXPECT_TRUE(Read(kQuestion + R"(, "max_tokens": 2147483648)"));
  EXPECT_TRUE(Read(kQuestion, AnthropicRoute::kCountTokens));
  for (const char* body : {"1", "[]", "null", "\"a\""}) EXPECT_FALSE(ReadAnthropic(*ParseBody(body))) << body;
}

TEST(Anthropic, ReadsWhatIsGiven) {
  const auto request = Ask(R"("temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 4, "stop_sequences": ["a", "b"], "stream": true, "metadata": {"user_id": "me"},
      "thinking": {"type": "enabled", "budget_tokens": 1}, "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->max_tokens, 9);
  EXPECT_EQ(request->sampling.temperature, 0.5);
  EXPECT_EQ(request->sampling.top_p, 0.9);
  EXPECT_EQ(request->sampling.top_k, 7);
  EXPECT_EQ(request->sampling.seed, 4U);
  EXPECT_EQ(request->stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(request->stream);
  EXPECT_EQ(request->tenant, "me");
  EXPECT_EQ(request->thinking, Thinking::kLow);
  EXPECT_EQ(request->response_format.schema_json, R"({"type": "object"})");
}

TEST(Anthropic, ThinksWhenAsked) {
  EXPECT_EQ(Ask("")->thinking, Thinking::kOff);
  EXPECT_EQ(Ask(R"("thinking": {"type": "adaptive"})")->thinking, Thinking::kHigh);
  EXPECT_EQ(Ask(R"("output_config": {"effort": "max"})")->thinking, Thinking::kMax);
  EXPECT_EQ(Ask(R"("thinking": {"type": "disabled"}, "output_config": {"effort": "max"})")->thinking, Thinking::kOff);
}

TEST(Anthropic, ReadsMessages) {
  const auto request = Messages(R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": [{"type": "thinking", "thinking": "R", "signature": "s"}, {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "A"},
       {"type": "tool_use", "id": "t1", "name": "f", "input": {"k": [1, "ü"]}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
       {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": true}, {"type": "tool_result", "tool_use_id": "t1"}, {"type": "text", "text": "Q"}]}])",
                                R"([{"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=00f1a;"}, {"type": "text", "text": "S"}, {"type": "text", "text": "T"}])");
  ASSERT_TRUE(request) << request.error().message;
  const text::Messages& messages = request->messages;
  ASSERT_EQ(messages.size(), 8U);
  EXPECT_EQ(messages[0].content, "S\n\nT");
  EXPECT_EQ(messages[1].content, "a");
  EXPECT_EQ(messages[2].content, "b");
  EXPECT_EQ(messages[3].reasoning_content, "R");
  EXPECT_EQ(messages[3].content, "A");
  EXPECT_EQ(messages[3].tool_calls.at(0).arguments, R"({"k": [1, "ü"]})");
  EXPECT_EQ(messages[4].role, "tool");
  EXPECT_EQ(messages[4].tool_call_id, "t1");
  EXPECT_EQ(messages[4].content, "x\n\ny");
  EXPECT_EQ(messages[5].content, "Error: no");
  EXPECT_EQ(messages[6].content, "");
  EXPECT_EQ(messages[7].role, "user");
  EXPECT_TRUE(Messages(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])")->messages[1].without_end);
}

TEST(Anthropic, ReadsSystemMessages) {
  const auto request = Messages(R"([{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "system", "content": [{"type": "text", "text": "T"}]}])");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->messages.size(), 3U);
  EXPECT_EQ(request->messages[0].role, "system");
  EXPECT_EQ(request->messages[2].role, "user");
  EXPECT_EQ(request->messages[2].content, "T");
}

TEST(Anthropic, RefusesMessages) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"null", "messages"}, {"[]", "messages"}, {"\"Q\"", "messages"}, {"[1]", "messages[0]"}, {R"([{"content": "a"}])", "messages[0].role"},
      {R"([{"role": "bot", "content": "a"}])", "messages[0].role"}, {R"([{"role": "system", "content": "a"}])", "messages"}, {R"([{"role": "system"}])", "messages[0].content"}, {R"([{"role": "user"}])", "messages[0].content"}, {R"([{"role": "user", "content": []}])", "messages[0].content"},
      {R"([{"role": "user", "content": 1}])", "messages[0].content"}, {R"([{"role": "user", "content": ["a"]}])", "messages[0].content[0]"},
      {R"([{"role": "user", "content": [{"text": "a"}]}])", "messages[0].content[0].type"}, {R"([{"role": "user", "content": [{"type": "image", "source": {}}]}])", "messages[0].content[0].type"},
      {R"([{"role": "user", "content": [{"type": "document"}]}])", "messages[0].content[0].type"}, {R"([{"role": "user", "content": [{"type": "text"}]}])", "messages[0].content[0].text"},
      {R"([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}])", "messages[0].content"},
      {R"([{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}])", "messages[0].content[0].tool_use_id"},
      {R"([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}])", "messages[0].content[0].input"},
      {R"([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "input": {}}]}])", "messages[0].content[0].name"},
      {R"([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}])", "messages"},
      {R"([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}]}])", "messages[1].content[0].content[0].type"}};
  for (const auto& [messages, param] : refused) ExpectRefused(Messages(messages), param, messages);
  ExpectRefused(Messages(R"([{"role": "user", "content": "a"}])", R"([{"type": "image"}])"), "system[0].type", "an image as system");
}

TEST(Anthropic, LeavesOutVolatileLines) {
  EXPECT_EQ(WithoutVolatileLines("x-anthropic-billing-header: cc_version=2.1; cch=1f;\nYou are"), "You are");
  EXPECT_EQ(WithoutVolatileLines("You are\nx-anthropic-billing-header: a;"), "You are\n");
  EXPECT_EQ(WithoutVolatileLines(" x-anthropic-billing-header: a;\nx-anthropic-other: b"), " x-anthropic-billing-header: a;\nx-anthropic-other: b");
  EXPECT_EQ(WithoutVolatileLines(""), "");
}

TEST(Anthropic, ReadsTools) {
  using Kind = ToolChoice::Kind;
  const auto request = Ask(R"("tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true}, {"type": "custom", "name": "g", "input_schema": {}},
      {"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "tool", "name": "g", "disable_parallel_tool_use": true})");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->tools.size(), 2U);
  EXPECT_EQ(request->tools[0].function_json, R"({"name": "f", "description": "d", "parameters": {"type": "object"}})");
  EXPECT_TRUE(request->tools[0].strict);
  EXPECT_EQ(request->tool_choice.kind, Kind::kNamed);
  EXPECT_EQ(request->tool_choice.name, "g");
  EXPECT_FALSE(request->parallel_tool_calls);
  EXPECT_EQ(Ask(R"("tools": )" + Tools(1) + R"(, "tool_choice": {"type": "any"})")->tool_choice.kind, Kind::kRequired);
  EXPECT_EQ(Ask(R"("tools": )" + Tools(1) + R"(, "tool_choice": {"type": "none"})")->tool_choice.kind, Kind::kNone);
  EXPECT_TRUE(Ask(R"("tools": [)" + Tool(std::string(128, 'n')) + "]"));
  ExpectRefused(Ask(R"("tools": [)" + Tool(std::string(129, 'n')) + "]"), "tools[0].name", "a name of 129");
  const auto twice = Ask(R"("tools": [)" + Tool("f") + ", " + Tool("f") + "]");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().status, 409);
  EXPECT_EQ(twice.error().param, "tools[1].name");
  ExpectRefused(Ask(R"("tools": [{"name": "f"}])"), "tools[0].input_schema", "no schema");
  ExpectRefused(Ask(R"("tools": )" + Tools(1) + R"(, "tool_choice": {"type": "tool"})"), "tool_choice.name", "no name");
  ExpectRefused(Ask(R"("tools": )" + Tools(1) + R"(, "tool_choice": {"type": "tool", "name": "g"})"), "tool_choice.name", "an unknown tool");
  ExpectRefused(Ask(R"("tool_choice": {"type": "required"})"), "tool_choice.type", "another dialect's word");
}

}  // namespace
}  // namespace baleen::completion

#include "completion/responses_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "completion/field_table.h"
#include "completion/fields.h"

namespace baleen::completion {
namespace {

using text::Thinking;

Checked<ResponsesRequest> Read(const std::string& members) {
  TRY_ASSIGN(const text::JsonValue body, ParseBody("{" + members + "}"));
  return ReadResponses(body);
}

Checked<ResponsesRequest> Ask(const std::string& members) { return Read(R"("model": "m", "input": "Q", )" + members); }
Checked<ResponsesRequest> Input(const std::string& items) { return Read(R"("input": )" + items); }

void ExpectRefused(const Checked<ResponsesRequest>& request, const std::string& param, const std::string& what) {
  ExpectFieldRefused(request ? nullptr : &request.error(), param, what);
}

std::string Function(const std::string& name) { return R"({"type": "function", "name": ")" + name + R"(", "parameters": {"type": "object"}})"; }

std::string Functions(std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + Function("f" + std::to_string(i));
  return "[" + list + "]";
}

TEST(Responses, TakesAndRefusesByField) {
  std::string pairs;
  for (int i = 0; i < 16; ++i) pairs += (i > 0 ? ", " : "") + Quote("k" + std::to_string(i)) + ": \"v\"";
  const std::string words512(512, 'u');
  const std::vector<FieldCase> fields = {
      {"model", {"\"any\""}, {"1", "[]"}},
      {"instructions", {"\"be brief\"", "\"\""}, {"1", "[]", "{}"}},
      {"max_output_tokens", {"1", "2147483648"}, {"0", "-1", "2147483649", "1.5", "\"5\"", "true"}},
      {"temperature", {"0", "2", "0.5"}, {"-0.001", "2.001", "\"1\"", "true"}},
      {"top_p", {"0", "1"}, {"-0.1", "1.01", "\"1\""}},
      {"seed", {"0", "18446744073709551615"}, {"18446744073709551616", "1.5"}},
      {"stream", {"true", "false"}, {"1", "\"no\""}},
      {"stream_options", {"{}"}, {"true"}},
      {"store", {"true", "false"}, {"1", "\"x\""}},
      {"background", {"false"}, {"true", "1"}},
      {"top_logprobs", {"0", "20"}, {"-1", "21", "\"3\"", "true"}},
      {"include", {"[]", R"(["reasoning.encrypted_content", "message.output_text.logprobs"])"}, {"\"x\"", "{}"}},
      {"parallel_tool_calls", {"true", "false"}, {"1"}},
      {"max_tool_calls", {"1"}, {"0", "\"1\""}},
      {"truncation", {"\"auto\"", "\"disabled\""}, {"\"some\"", "1"}},
      {"user", {Quote(words512)}, {"7", Quote(words512 + "u")}},
      {"user_id", {Quote(words512)}, {"7", Quote(words512 + "u")}},
      {"safety_identifier", {Quote(words512)}, {"7", Quote(words512 + "u")}},
      {"metadata", {"{}", "{" + pairs + "}", "{" + Quote(std::string(64, 'k')) + ": \"v\"}"}, {"[]", "1", "{" + pairs + ", \"more\": \"v\"}", "{" + Quote(std::string(65, 'k')) + ": \"v\"}"}},
      {"previous_response_id", {}, {"\"resp_1\""}},
      {"conversation", {}, {"\"conv_1\"", "{}"}},
      {"prompt", {}, {R"({"id": "p"})"}},
      {"reasoning", {"{}", R"({"effort": "minimal", "summary": "auto"})"}, {"\"high\"", "true"}},
      {"text", {"{}", R"({"format": {"type": "text"}, "verbosity": "low"})"}, {"\"text\"", "[]"}},
      {"tools", {"[]", Functions(128), R"([{"type": "web_search"}])"}, {"{}", "\"f\"", Functions(129)}},
      {"tool_choice", {"\"none\"", "\"auto\""}, {"\"any\"", "1", "\"required\"", "[]"}},
  };
  CheckFields(fields, [request = Checked<ResponsesRequest>()](const std::string& members) mutable {
    request = Ask(members);
    return request ? nullptr : &request.error();
  });
  ExpectRefused(Ask(R"("metadata": {"k": 1})"), "metadata.k", "a number as metadata");
  ExpectRefused(Ask(R"("metadata": {"k": ")" + std::string(513, 'v') + "\"}"), "metadata.k", "a long value");
  ExpectRefused(Ask(R"("include": [1])"), "include[0]", "a number in include");
  EXPECT_FALSE(Ask(R"("tools": [{"type": "function", "name": "f", "parameters": {"a": NaN}}])"));
}

TEST(Responses, ReadsWhatIsGiven) {
  const auto request = Ask(R"("instructions": "I", "max_output_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 4, "stream": true, "top_logprobs": 3,
      "user": "u", "safety_identifier": "s", "reasoning": {"effort": "ultra"}, "parallel_tool_calls": false, "text": {"format": {"type": "json_object"}})");
  ASSERT_TRUE(request) << request.error().message;
  const CompletionRequest& asked = request->completion;
  EXPECT_EQ(asked.model, "m");
  ASSERT_EQ(asked.messages.size(), 2U);
  EXPECT_EQ(asked.messages[0].role, "system");
  EXPECT_EQ(asked.messages[0].content, "I");
  EXPECT_EQ(asked.messages[1].content, "Q");
  EXPECT_EQ(asked.max_tokens, 5);
  EXPECT_EQ(asked.sampling.temperature, 0.5);
  EXPECT_EQ(asked.sampling.top_p, 0.9);
  EXPECT_EQ(asked.sampling.seed, 4U);
  EXPECT_TRUE(asked.stream);
  EXPECT_EQ(asked.logprobs, 3);
  EXPECT_EQ(asked.tenant, "u");
  EXPECT_EQ(asked.thinking, Thinking::kMax);
  EXPECT_FALSE(asked.parallel_tool_calls);
  EXPECT_EQ(asked.response_format.kind, ResponseFormat::Kind::kJsonObject);
  EXPECT_EQ(Ask(R"("include": ["message.output_text.logprobs"])")->completion.logprobs, 0);
  EXPECT_FALSE(Ask(R"("store": true)")->completion.logprobs);
  EXPECT_EQ(Ask(R"("safety_identifier": "s")")->completion.tenant, "s");
}

TEST(Responses, MapsEfforts) {
  EXPECT_EQ(Ask(R"("store": false)")->completion.thinking, Thinking::kHigh);
  const std::vector<std::pair<std::string, Thinking>> efforts = {{"none", Thinking::kOff},   {"minimal", Thinking::kLow}, {"low", Thinking::kLow},
                                                                 {"medium", Thinking::kHigh}, {"high", Thinking::kHigh},  {"xhigh", Thinking::kHigh},
                                                                 {"max", Thinking::kMax}};
  for (const auto& [word, thinking] : efforts) EXPECT_EQ(Ask(R"("reasoning": {"effort": ")" + word + "\"}")->completion.thinking, thinking) << word;
  ExpectRefused(Ask(R"("reasoning": {"effort": "HIGH"})"), "reasoning.effort", "another word");
  ExpectRefused(Ask(R"("reasoning": {"effort": 1})"), "reasoning.effort", "a number");
}

TEST(Responses, JoinsATurnsItems) {
  const auto request = Input(R"([{"role": "developer", "content": "D"}, {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
      {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "R"}]},
      {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "A", "annotations": []}]},
      {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}, {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** \"x\"\n"},
      {"type": "function_call_output", "call_id": "c1", "output": "O1"},
      {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "O2"}]}, {"type": "web_search_call", "id": "ws_1"},
      {"type": "reasoning", "summary": [], "encrypted_content": "x"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "Q"}])");
  ASSERT_TRUE(request) << request.error().message;
  const text::Messages& messages = request->completion.messages;
  ASSERT_EQ(messages.size(), 7U);
  EXPECT_EQ(messages[0].role, "user");
  EXPECT_EQ(messages[1].content, "a\n\nb");
  EXPECT_EQ(messages[2].role, "assistant");
  EXPECT_EQ(messages[2].reasoning_content, "R");
  EXPECT_EQ(messages[2].content, "A");
  ASSERT_EQ(messages[2].tool_calls.size(), 2U);
  EXPECT_EQ(messages[2].tool_calls[0].id, "c1");
  EXPECT_EQ(messages[2].tool_calls[1].arguments, R"({"input": "*** \"x\"\n"})");
  EXPECT_EQ(messages[3].role, "tool");
  EXPECT_EQ(messages[3].content, "O1");
  EXPECT_EQ(messages[4].tool_call_id, "c2");
  EXPECT_EQ(messages[5].content, "B");
  EXPECT_EQ(messages[6].content, "Q");
}

TEST(Responses, RefusesItems) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"null", "input"}, {"1", "input"}, {"{}", "input"}, {"[]", "input"}, {"[1]", "input[0]"}, {"[{}]", "input[0].type"}, {R"([{"type": "web_search_call"}])", "input"},
      {R"([{"type": "item_reference", "id": "x"}])", "input[0].type"}, {R"([{"type": 1}])", "input[0].type"}, {R"([{"role": "bot", "content": "a"}])", "input[0].role"},
      {R"([{"type": "message", "content": "a"}])", "input[0].role"}, {R"([{"role": "user"}])", "input[0].content"}, {R"([{"role": "user", "content": 1}])", "input[0].content"},
      {R"([{"role": "user", "content": [{"type": "input_image"}]}])", "input[0].content[0].type"}, {R"([{"role": "user", "content": [{"text": "a"}]}])", "input[0].content[0].type"},
      {R"([{"role": "user", "content": [{"type": "input_text"}]}])", "input[0].content[0].text"},
      {R"([{"type": "function_call", "name": "f", "arguments": "{}"}])", "input[0].call_id"}, {R"([{"type": "function_call", "call_id": "c", "arguments": "{}"}])", "input[0].name"},
      {R"([{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}])", "input[0].arguments"},
      {R"([{"role": "user", "content": "a"}, {"type": "function_call_output", "call_id": "c", "output": "x"}])", "input[1].call_id"},
      {R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])", "input"}, {R"([{"role": "system", "content": "a"}])", "input"}};
  for (const auto& [items, param] : refused) ExpectRefused(Input(items), param, items);
}

TEST(Responses, ReadsTools) {
  const auto request = Ask(R"("tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true},
      {"type": "web_search"}, {"type": "custom", "name": "patch", "description": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}}],
      "tool_choice": {"type": "custom", "name": "patch"})");
  ASSERT_TRUE(request) << request.error().message;
  const std::vector<Tool>& tools = request->completion.tools;
  ASSERT_EQ(tools.size(), 2U);
  EXPECT_EQ(tools[0].function_json, R"({"name": "f", "description": "d", "parameters": {"type": "object"}})");
  EXPECT_TRUE(tools[0].strict);
  EXPECT_EQ(tools[1].function_json,
            R"({"name": "patch", "description": "p", "parameters": {"type": "object", "properties": {"input": {"type": "string", "description": )"
            R"("The whole input, as plain text. It must follow this grammar (lark):\nstart: A"}}, "required": ["input"], "additionalProperties": false}})");
  EXPECT_EQ(request->custom_tools, std::vector<std::string>{"patch"});
  EXPECT_EQ(request->completion.tool_choice.name, "patch");
  EXPECT_TRUE(Ask(R"("tools": [)" + Function(std::string(128, 'n')) + "]"));
  ExpectRefused(Ask(R"("tools": [)" + Function(std::string(129, 'n')) + "]"), "tools[0].name", "a name of 129");
  const auto twice = Ask(R"("tools": [)" + Function("f") + ", " + Function("f") + "]");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().status, 409);
  EXPECT_EQ(twice.error().param, "tools[1].name");
  const auto allowed = Ask(R"("tools": [)" + Function("f") + ", " + Function("g") + R"(], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]})");
  ASSERT_TRUE(allowed);
  EXPECT_EQ(allowed->completion.tool_choice.allowed, std::vector<std::string>{"g"});
  ExpectRefused(Ask(R"("tools": [)" + Function("f") + R"(], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]})"), "tool_choice", "not a tool");
  ExpectRefused(Ask(R"("tools": [{"name": "f"}])"), "tools[0].type", "no type");
  ExpectRefused(Ask(R"("tools": [{"type": "function", "name": "f", "parameters": []}])"), "tools[0].parameters", "an array");
  ExpectRefused(Ask(R"("tools": [{"type": "custom", "name": "f", "format": {"type": "xml"}}])"), "tools[0].format.type", "a format");
  ExpectRefused(Ask(R"("tools": [{"type": "custom", "name": "f", "format": {"type": "grammar"}}])"), "tools[0].format.definition", "no grammar");
  ExpectRefused(Ask(R"("tools": [)" + Function("f") + R"(], "tool_choice": {"type": "function", "name": "g"})"), "tool_choice.name", "an unknown tool");
  ExpectRefused(Ask(R"("tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"})"), "tool_choice.type", "a hosted tool");
}

TEST(Responses, ReadsFormats) {
  const auto format = [](const std::string& value) { return Ask(R"("text": {"format": )" + value + "}"); };
  const auto schema = format(R"({"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": true})");
  ASSERT_TRUE(schema);
  EXPECT_EQ(schema->completion.response_format.schema_json, R"({"type": "object"})");
  EXPECT_TRUE(schema->completion.response_format.strict);
  ExpectRefused(format("{}"), "text.format.type", "no type");
  ExpectRefused(format(R"({"type": "xml"})"), "text.format.type", "another type");
  ExpectRefused(format(R"({"type": "json_schema", "name": "a"})"), "text.format.schema", "no schema");
  ExpectRefused(format(R"({"type": "json_schema", "name": "a b", "schema": {}})"), "text.format.name", "a space");
}

}  // namespace
}  // namespace baleen::completion

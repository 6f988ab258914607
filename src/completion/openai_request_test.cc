#include "completion/openai_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "completion/fields.h"

namespace baleen::completion {
namespace {

constexpr std::int64_t kVocab = 2048;
const std::string kMessages = R"("messages": [{"role": "user", "content": "Q"}])";

Checked<CompletionRequest> Chat(const std::string& members) {
  TRY_ASSIGN(const text::JsonValue body, ParseBody("{" + kMessages + (members.empty() ? "" : ", " + members) + "}"));
  return ReadOpenAiChat(body, kVocab);
}

Checked<CompletionRequest> Text(const std::string& members) {
  TRY_ASSIGN(const text::JsonValue body, ParseBody("{" + members + "}"));
  return ReadOpenAiText(body, kVocab);
}

Checked<CompletionRequest> Messages(const std::string& messages) {
  TRY_ASSIGN(const text::JsonValue body, ParseBody(R"({"messages": )" + messages + "}"));
  return ReadOpenAiChat(body, kVocab);
}

void ExpectRefused(const Checked<CompletionRequest>& request, const std::string& param, const std::string& what) {
  ASSERT_FALSE(request) << what;
  EXPECT_TRUE(request.error().status == 400 || request.error().status == 422) << what;
  EXPECT_EQ(request.error().param, param) << what;
  EXPECT_TRUE(request.error().message.starts_with(param)) << request.error().message;
  EXPECT_NE(request.error().message.find("expected"), std::string::npos) << request.error().message;
  EXPECT_LT(request.error().message.size(), 1000U) << what;
}

std::string Repeat(const std::string& item, std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + item;
  return list;
}

std::string Tools(std::size_t count, const std::string& name = "f") {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? ", " : "") + (R"({"type": "function", "function": {"name": ")" + name + std::to_string(i) + "\"}}");
  return R"("tools": [)" + list + "]";
}

// What a field takes (its bounds) and what it does not (just beyond them, and every other type).
struct Field {
  std::string name;
  std::vector<std::string> good, bad;
};

const std::vector<Field>& Shared() {
  static const std::vector<Field> fields = {
      {"temperature", {"0", "2", "0.5", "1e0"}, {"-0.001", "2.001", "3", "\"1\"", "true", "[]", "{}", "NaN", "Infinity", "1e400", "99999999999999999999"}},
      {"top_p", {"0", "1", "0.95"}, {"-0.1", "1.01", "\"1\"", "false", "[1]", "NaN"}},
      {"min_p", {"0", "1"}, {"-0.1", "1.01", "\"0\"", "true"}},
      {"top_k", {"-1", "0", "1", "2147483647"}, {"-2", "2147483648", "1.5", "\"1\"", "true", "1.1"}},
      {"frequency_penalty", {"-2", "2"}, {"-2.01", "2.01", "\"0\"", "[]"}},
      {"presence_penalty", {"-2", "2"}, {"-2.01", "2.01", "{}", "-Infinity"}},
      {"max_tokens", {"1", "2147483648"}, {"0", "-1", "2147483649", "1.5", "\"5\"", "true", "99999999999999999999"}},
      {"max_completion_tokens", {"1", "2147483648"}, {"0", "2147483649", "1.5"}},
      {"seed", {"0", "-1", "-9223372036854775808", "18446744073709551615"}, {"18446744073709551616", "-9223372036854775809", "1.5", "\"1\"", "true"}},
      {"n", {"1", "16", "1.0"}, {"0", "-1", "17", "1.5", "\"1\"", "1000000000000"}},
      {"ignore_eos", {"true", "false"}, {"0", "\"true\"", "[]"}},
      {"stream", {"true", "false"}, {"1", "\"no\""}},
      {"stream_options", {"{}", R"({"include_usage": true})"}, {"true", "[]"}},
      {"model", {"\"any\""}, {"1", "[]", "{}", "true"}},
      {"user", {"\"u\"", "\"" + std::string(512, 'u') + "\""}, {"7", "\"" + std::string(513, 'u') + "\""}},
      {"user_id", {"\"u\"", "\"" + std::string(512, 'u') + "\""}, {"7", "\"" + std::string(513, 'u') + "\""}},
      {"logit_bias", {"{}", R"({"0": -100, "2047": 100})"}, {"[]", "1", R"({"2048": 1})", R"({"-1": 1})", R"({"x": 1})", R"({"01": 1})", R"({"1.0": 1})", R"({"": 1})"}},
      {"stop", {"\"s\"", "[]", "[" + Repeat("\"s\"", 16) + "]", "\"" + std::string(4096, 's') + "\""},
       {"\"\"", "1", "true", "{}", "[" + Repeat("\"s\"", 17) + "]", "\"" + std::string(4097, 's') + "\""}},
      {"store", {"true"}, {"1", "\"x\""}},
      {"metadata", {"{}"}, {"[]", "1"}},
      {"service_tier", {"\"auto\""}, {"1"}},
      {"response_format", {R"({"type": "text"})", R"({"type": "json_object"})", R"({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}})"}, {"\"json\"", "[]", "1"}},
  };
  return fields;
}

const std::vector<Field>& OfChats() {
  static const std::vector<Field> fields = {
      {"thinking", {R"({"type": "enabled"})", R"({"type": "disabled", "budget_tokens": 5})"}, {"\"enabled\"", "true", "[]"}},
      {"reasoning_effort", {"\"low\"", "\"medium\"", "\"high\"", "\"max\"", "\"minimal\"", "\"xhigh\"", "\"ultra\"", "\"none\""}, {"\"\"", "\"LOW\"", "\"highest\"", "1", "{}"}},
      {"logprobs", {"true", "false"}, {"1", "0", "\"true\""}},
      {"top_logprobs", {"0"}, {"-1", "21", "1", "true", "\"3\"", "1.5"}},  // 1: without logprobs
      {"tools", {"[]"}, {"{}", "1", "\"f\""}},
      {"tool_choice", {"\"none\"", "\"auto\""}, {"\"any\"", "1", "\"required\"", "[]"}},  // required: without tools
      {"parallel_tool_calls", {"true", "false"}, {"1", "\"true\""}},
  };
  return fields;
}

TEST(OpenAiChat, TakesAndRefusesByField) {
  for (const auto* fields : {&Shared(), &OfChats()}) {
    for (const Field& field : *fields) {
      EXPECT_TRUE(Chat("\"" + field.name + "\": null")) << field.name;
      for (const std::string& value : field.good) {
        const auto request = Chat("\"" + field.name + "\": " + value);
        EXPECT_TRUE(request) << field.name << ": " << value.substr(0, 80) << ": " << (request ? "" : request.error().message);
      }
      for (const std::string& value : field.bad) ExpectRefused(Chat("\"" + field.name + "\": " + value), field.name, field.name + ": " + value.substr(0, 80));
    }
  }
}

TEST(OpenAiText, TakesAndRefusesByField) {
  for (const Field& field : Shared()) {
    for (const std::string& value : field.good) EXPECT_TRUE(Text(R"("prompt": "p", ")" + field.name + "\": " + value)) << field.name << ": " << value.substr(0, 80);
    for (const std::string& value : field.bad) ExpectRefused(Text(R"("prompt": "p", ")" + field.name + "\": " + value), field.name, field.name + ": " + value.substr(0, 80));
  }
  EXPECT_EQ(std::get<std::string>(Text(R"("prompt": "p")")->prompt), "p");
  EXPECT_EQ(std::get<std::string>(Text(R"("prompt": ["p"])")->prompt), "p");
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(Text(R"("prompt": [0, 2047])")->prompt), (std::vector<std::int32_t>{0, 2047}));
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(Text(R"("prompt": [[5]])")->prompt), std::vector<std::int32_t>{5});
  EXPECT_EQ(Text(R"("prompt": "p", "logprobs": 20)")->logprobs, 20);
  EXPECT_EQ(Text(R"("prompt": "p", "logprobs": true, "top_logprobs": 3)")->logprobs, 3);
  for (const char* prompt : {"null", "\"\"", "[]", "1", "{}", R"(["a", "b"])", "[[1], [2]]", "[[]]"}) ExpectRefused(Text(R"("prompt": )" + std::string(prompt)), "prompt", prompt);
  ExpectRefused(Text(R"("prompt": [1, 2048])"), "prompt[1]", "an id beyond the vocabulary");
  ExpectRefused(Text(R"("prompt": [-1])"), "prompt[0]", "a negative id");
  ExpectRefused(Text(R"("prompt": [1.5])"), "prompt[0]", "a fraction");
  ExpectRefused(Text(R"("prompt": [1, "a"])"), "prompt[1]", "a string among ids");
  ExpectRefused(Text(R"("prompt": "p", "logprobs": 21)"), "logprobs", "too many alternatives");
  ExpectRefused(Text(R"("prompt": "p", "echo": true)"), "echo", "echo");
  EXPECT_EQ(Text(R"("prompt": "p", "suffix": "s")")->suffix, "s");
  EXPECT_EQ(Text(R"("prompt": "", "suffix": "s")")->suffix, "s");
  EXPECT_FALSE(Text(R"("prompt": "p", "suffix": "")")->suffix);
  ExpectRefused(Text(R"("prompt": [5], "suffix": "s")"), "suffix", "a suffix behind ids");
  ExpectRefused(Text(R"("prompt": "p", "suffix": 1)"), "suffix", "a number");
  ExpectRefused(Text(R"("prompt": "p", "best_of": 2)"), "best_of", "best_of");
}

TEST(OpenAiChat, ReadsWhatIsGiven) {
  const auto request = Chat(R"("model": "m", "max_tokens": 7, "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0, "min_p": 0.1, "top_k": 3,
      "frequency_penalty": 1, "presence_penalty": -1, "logit_bias": {"5": 1.5}, "seed": -1, "stop": ["a", "b"], "logprobs": true, "top_logprobs": 20, "n": 3,
      "ignore_eos": true, "user": "other", "user_id": "me", "parallel_tool_calls": false)");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->max_tokens, 5);
  EXPECT_EQ(request->sampling.temperature, 0.5);
  EXPECT_EQ(request->sampling.top_p, 0);
  EXPECT_EQ(request->sampling.top_k, 3);
  EXPECT_EQ(request->sampling.logit_bias, (std::vector<std::pair<std::int32_t, double>>{{5, 1.5}}));
  EXPECT_EQ(request->sampling.seed, ~std::uint64_t{0});
  EXPECT_EQ(request->stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request->logprobs, 20);
  EXPECT_EQ(request->n, 3);
  EXPECT_EQ(request->tenant, "me");
  EXPECT_FALSE(request->parallel_tool_calls);
  EXPECT_FALSE(Chat("")->logprobs);
  ExpectRefused(Chat(R"("logit_bias": {"5": 100.5})"), "logit_bias.5", "a bias out of range");
  ExpectRefused(Chat(R"("logit_bias": {"5": "1"})"), "logit_bias.5", "a bias as a string");
  ExpectRefused(Chat(R"("stop": ["a", 1])"), "stop[1]", "a stop that is a number");
  ExpectRefused(Chat(R"("stop": ["a", ""])"), "stop[1]", "an empty stop");
  ExpectRefused(Chat(R"("thinking": {})"), "thinking.type", "thinking without a type");
  ExpectRefused(Chat(R"("thinking": {"type": "on"})"), "thinking.type", "another type");
  ExpectRefused(Chat(R"("stream_options": {"include_usage": 1})"), "stream_options.include_usage", "a number for true");
}

TEST(OpenAiChat, MapsEfforts) {
  using text::Thinking;
  EXPECT_EQ(Chat("")->thinking, Thinking::kHigh);
  EXPECT_EQ(Chat(R"("thinking": {"type": "disabled"}, "reasoning_effort": "max")")->thinking, Thinking::kOff);
  EXPECT_EQ(Chat(R"("reasoning_effort": "none")")->thinking, Thinking::kOff);
  EXPECT_EQ(Chat(R"("thinking": {"type": "enabled"}, "reasoning_effort": "low")")->thinking, Thinking::kLow);
  EXPECT_EQ(Chat(R"("reasoning_effort": "minimal")")->thinking, Thinking::kLow);
  EXPECT_EQ(Chat(R"("reasoning_effort": "medium")")->thinking, Thinking::kHigh);
  EXPECT_EQ(Chat(R"("reasoning_effort": "xhigh")")->thinking, Thinking::kHigh);
  EXPECT_EQ(Chat(R"("reasoning_effort": "ultra")")->thinking, Thinking::kMax);
}

TEST(OpenAiChat, ReadsMessages) {
  const auto request = Messages(R"([{"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null, "reasoning_content": "R", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "1", "content": "T"}])");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->messages[1].content, "a\n\nb");
  EXPECT_EQ(request->messages[2].reasoning_content, "R");
  EXPECT_EQ(request->messages[2].tool_calls[0].arguments, "{}");
  EXPECT_TRUE(Messages(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "prefix": true}])")->messages[1].without_end);
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"null", "messages"}, {"[]", "messages"}, {"\"Q\"", "messages"}, {"{}", "messages"}, {"[1]", "messages[0]"}, {"[null]", "messages[0]"},
      {R"([{"content": "a"}])", "messages[0].role"}, {R"([{"role": 1, "content": "a"}])", "messages[0].role"}, {R"([{"role": "bot", "content": "a"}])", "messages[0].role"},
      {R"([{"role": "user"}])", "messages[0].content"}, {R"([{"role": "user", "content": null}])", "messages[0].content"},
      {R"([{"role": "user", "content": 1}])", "messages[0].content"}, {R"([{"role": "user", "content": {}}])", "messages[0].content"},
      {R"([{"role": "user", "content": ["a"]}])", "messages[0].content[0]"}, {R"([{"role": "user", "content": [{"text": "a"}]}])", "messages[0].content[0].type"},
      {R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])", "messages[0].content[0].type"},
      {R"([{"role": "user", "content": [{"type": "text"}]}])", "messages[0].content[0].text"},
      {R"([{"role": "tool", "content": [{"type": "image_url"}]}])", "messages[0].content[0].type"},
      {R"([{"role": "assistant", "content": "a", "tool_calls": {}}, {"role": "user", "content": "b"}])", "messages[0].tool_calls"},
      {R"([{"role": "assistant", "tool_calls": [{}]}, {"role": "user", "content": "b"}])", "messages[0].tool_calls[0].function"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 1}}]}, {"role": "user", "content": "b"}])", "messages[0].tool_calls[0].function.arguments"},
      {R"([{"role": "assistant", "content": "a", "reasoning_content": 1}, {"role": "user", "content": "b"}])", "messages[0].reasoning_content"},
      {R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])", "messages[1].role"}, {R"([{"role": "system", "content": "a"}])", "messages[0].role"}};
  for (const auto& [messages, param] : refused) ExpectRefused(Messages(messages), param, messages);
}

TEST(OpenAiChat, RefusesWhatItsRouteHasNot) {
  const auto read = [](const std::string& messages, OpenAiRules rules) { return ReadOpenAiChat(*ParseBody(R"({"messages": )" + messages + "}"), kVocab, rules); };
  const std::string prefix = R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "prefix": true}])";
  EXPECT_TRUE(read(prefix, {.prefix = true}));
  ExpectRefused(read(prefix, {.prefix = false}), "messages[1].prefix", "a prefix outside /beta");
  ExpectRefused(Chat(R"("functions": [])"), "functions", "functions");
  ExpectRefused(Chat(R"("function_call": "auto")"), "function_call", "function_call");
}

TEST(OpenAiChat, WantsTheCallOfAResult) {
  const std::string result = R"({"role": "tool", "tool_call_id": "c", "content": "T"})";
  ExpectRefused(Messages("[" + result + "]"), "messages[0].tool_call_id", "a result alone");
  ExpectRefused(Messages(R"([{"role": "user", "content": "a"}, )" + result + "]"), "messages[1].tool_call_id", "a result without a call");
  // An id that is written otherwise is no reason to refuse: the encoding has no ids.
  EXPECT_TRUE(Messages(R"([{"role": "assistant", "tool_calls": [{"id": "other", "function": {"name": "f", "arguments": "{}"}}]}, )" + result + "]"));
}

TEST(OpenAiChat, ReadsTools) {
  EXPECT_EQ(Chat(Tools(128))->tools.size(), 128U);
  ExpectRefused(Chat(Tools(129)), "tools", "129 tools");
  EXPECT_TRUE(Chat(Tools(1, std::string(63, 'n'))));
  ExpectRefused(Chat(Tools(1, std::string(64, 'n'))), "tools[0].function.name", "a name of 65");
  ExpectRefused(Chat(Tools(1, "a b")), "tools[0].function.name", "a space");
  ExpectRefused(Chat(R"("tools": [{"type": "function", "function": {"name": ""}}])"), "tools[0].function.name", "an empty name");
  ExpectRefused(Chat(R"("tools": [{"type": "function", "function": {}}])"), "tools[0].function.name", "no name");
  ExpectRefused(Chat(R"("tools": [{"type": "function"}])"), "tools[0].function", "no function");
  ExpectRefused(Chat(R"("tools": [{"function": {"name": "f"}}])"), "tools[0].type", "no type");
  ExpectRefused(Chat(R"("tools": [{"type": "custom"}])"), "tools[0].type", "another type");
  ExpectRefused(Chat(R"("tools": [{"type": "function", "function": {"name": "f", "parameters": []}}])"), "tools[0].function.parameters", "an array of parameters");
  ExpectRefused(Chat(R"("tools": [{"type": "function", "function": {"name": "f", "strict": 1}}])"), "tools[0].function.strict", "a number for strict");
  const auto twice = Chat(R"("tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f", "description": "another"}}])");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().status, 409);
  EXPECT_EQ(twice.error().message, "tools[1].function.name: expected names that differ, found \"f\" twice; rename one of the tools");
  EXPECT_EQ(Chat(Tools(1) + R"(, "tool_choice": {"type": "function", "function": {"name": "f0"}})")->tool_choice.name, "f0");
  EXPECT_EQ(Chat(Tools(1) + R"(, "tool_choice": "required")")->tool_choice.kind, ToolChoice::Kind::kRequired);
  ExpectRefused(Chat(Tools(1) + R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})"), "tool_choice.function.name", "an unknown tool");
  ExpectRefused(Chat(Tools(1) + R"(, "tool_choice": {"type": "function"})"), "tool_choice.function", "no function");
}

TEST(OpenAiChat, ReadsFormats) {
  const auto format = [](const std::string& value) { return Chat(R"("response_format": )" + value); };
  EXPECT_EQ(format(R"({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": true}})")->response_format.schema_json, R"({"type": "object"})");
  EXPECT_EQ(format(R"({"type": "regex", "pattern": "[a-z]+"})")->response_format.pattern, "[a-z]+");
  EXPECT_EQ(format(R"({"type": "grammar", "grammar": "root ::= \"a\""})")->response_format.kind, ResponseFormat::Kind::kGrammar);
  EXPECT_TRUE(format(R"({"type": "regex", "pattern": ")" + std::string(65536, 'a') + "\"}"));
  ExpectRefused(format(R"({"type": "regex", "pattern": ")" + std::string(65537, 'a') + "\"}"), "response_format.pattern", "a long pattern");
  ExpectRefused(format(R"({"type": "regex"})"), "response_format.pattern", "no pattern");
  ExpectRefused(format(R"({"type": "grammar", "grammar": ""})"), "response_format.grammar", "an empty grammar");
  ExpectRefused(format("{}"), "response_format.type", "no type");
  ExpectRefused(format(R"({"type": "xml"})"), "response_format.type", "another type");
  ExpectRefused(format(R"({"type": 1})"), "response_format.type", "a number");
  ExpectRefused(format(R"({"type": "json_schema"})"), "response_format.json_schema", "no schema object");
  ExpectRefused(format(R"({"type": "json_schema", "json_schema": {"name": "a"}})"), "response_format.json_schema.schema", "no schema");
  ExpectRefused(format(R"({"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}})"), "response_format.json_schema.name", "a space");
  ExpectRefused(format(R"({"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": "yes"}})"), "response_format.json_schema.strict", "a string");
}

TEST(Body, IsJsonOfBoundedDepth) {
  const auto nested = [](int depth) { return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']'); };
  EXPECT_TRUE(ParseBody(nested(64)));
  EXPECT_FALSE(ParseBody(nested(65)));
  EXPECT_FALSE(ParseBody(std::string(1 << 20, '[')));
  EXPECT_TRUE(ParseBody("\"" + std::string(100, '[') + "\\\"[\""));
  for (const char* bad : {"", "{", "{\"a\": }", "\xff", "\"\xff\"", "\"\\ud800\"", "{} {}", "\xEF\xBB\xBF{}"}) EXPECT_EQ(ParseBody(bad).error().status, 400) << bad;
  for (const char* body : {"1", "[]", "null", "\"a\""}) EXPECT_FALSE(ReadOpenAiChat(*ParseBody(body), kVocab)) << body;
}

}  // namespace
}  // namespace baleen::completion

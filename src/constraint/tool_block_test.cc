#include "constraint/tool_block.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "constraint/random_walk.h"
#include "constraint/schema_validator.h"
#include "text/reply_parser.h"

namespace baleen::constraint {
namespace {

const std::string kWeather =
    R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":14},"unit":{"enum":["C","F",null]},)"
    R"("tags":{"type":"array","items":{"type":"string","maxLength":4},"maxItems":2},"note":{"anyOf":[{"type":"string","maxLength":5},{"type":"null"}]}},)"
    R"("required":["city","days","note"],"additionalProperties":false})";
const std::string kNothing = R"({"type":"object","properties":{},"additionalProperties":false})";
const std::string kOptional = R"({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"string","pattern":"^x+$"}}})";

std::vector<ToolGrammar> Tools(bool strict) { return {{"get_weather", kWeather, strict}, {"stop", kNothing, strict}, {"set", kOptional, strict}}; }

text::ParsedReply Parse(const std::string& text) {
  Result<text::ParsedReply> reply = text::ParseReply(text, /*thinking=*/false);
  EXPECT_TRUE(reply) << text << "\n" << reply.error().message;
  return reply ? *std::move(reply) : text::ParsedReply();
}

text::ParsedReply WriteReply(const Grammar& grammar, unsigned seed) {
  const Answer answer = WriteAnswer(*Vocabulary::Get().compiler->Start(grammar, std::nullopt), seed);
  EXPECT_TRUE(answer.ended) << answer.text.substr(0, 500);
  return answer.ended ? Parse(answer.text) : text::ParsedReply();
}

void ExpectValid(const text::ParsedCall& call, bool strict) {
  const std::string& schema_json = call.name == "stop" ? kNothing : call.name == "set" ? kOptional : kWeather;
  const Result<text::JsonValue> arguments = text::ParseJson(call.arguments);
  ASSERT_TRUE(arguments) << call.arguments;
  const text::JsonValue schema = *text::ParseJson(schema_json);
  const std::string why = Invalid(schema, *arguments, schema);
  EXPECT_TRUE(!strict || why.empty()) << why << ": " << call.name << " " << call.arguments;
}

TEST(ToolCalls, AreReadBackWithTheTypesOfTheSchema) {
  for (const bool strict : {true, false}) {
    const Result<Grammar> grammar = Vocabulary::Get().compiler->ToolCalls(Tools(strict), {.kind = ToolChoice::Kind::kRequired});
    ASSERT_TRUE(grammar) << grammar.error().message;
    for (unsigned seed = 0; seed < 60; ++seed) {
      const text::ParsedReply reply = WriteReply(*grammar, seed);
      EXPECT_EQ(reply.content, "");
      EXPECT_FALSE(reply.tool_calls.empty());
      for (const text::ParsedCall& call : reply.tool_calls) ExpectValid(call, strict);
    }
  }
}

TEST(ToolCalls, KeepToOneToolAndOneCall) {
  const Result<Grammar> grammar =
      Vocabulary::Get().compiler->ToolCalls(Tools(true), {.kind = ToolChoice::Kind::kNamed, .name = "set", .parallel = false});
  ASSERT_TRUE(grammar) << grammar.error().message;
  for (unsigned seed = 0; seed < 30; ++seed) {
    const text::ParsedReply reply = WriteReply(*grammar, seed);
    ASSERT_EQ(reply.tool_calls.size(), 1U);
    EXPECT_EQ(reply.tool_calls[0].name, "set");
    ExpectValid(reply.tool_calls[0], true);
  }
}

// Feeds a reply; how many of its tokens were accepted, all of them if the whole was.
bool Accepts(const Grammar& grammar, const std::string& reply) {
  Vocabulary& v = Vocabulary::Get();
  const std::unique_ptr<engine::Constraint> constraint = v.compiler->Start(grammar, std::nullopt);
  std::vector<std::uint32_t> mask((static_cast<std::size_t>(v.size) + 31) / 32);
  for (const std::int32_t id : v.tokenizer.Encode(reply)) {
    constraint->Allowed(mask);
    const bool allowed = (mask[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0;
    EXPECT_EQ(constraint->Accept(id), allowed) << reply;
    if (!allowed) return false;
  }
  return true;
}

TEST(ToolCalls, MayFollowFreeText) {
  const Result<Grammar> grammar = Vocabulary::Get().compiler->ToolCalls(Tools(true), {});
  ASSERT_TRUE(grammar) << grammar.error().message;
  const std::string end = "<｜end▁of▁sentence｜>", begin = "\n\n<｜DSML｜tool_calls>\n";
  const std::string stop = "<｜DSML｜invoke name=\"stop\">\n\n</｜DSML｜invoke>\n", close = "</｜DSML｜tool_calls>";
  const std::string set = "<｜DSML｜invoke name=\"set\">\n<｜DSML｜parameter name=\"a\" string=\"false\">true</｜DSML｜parameter>\n</｜DSML｜invoke>\n";
  for (const std::string& good :
       std::vector<std::string>{"Just text < with \n\n lines." + end, end, "I call." + begin + stop + close + end, begin + stop + set + close + end}) {
    EXPECT_TRUE(Accepts(*grammar, good)) << good;
    Parse(good);
  }
  for (const std::string& bad :
       std::vector<std::string>{begin + end, begin + close + end, "a<｜DSML｜b" + end, begin + "<｜DSML｜invoke name=\"other\">", "x</think>", "x<think>",
                                begin + stop + close + "more", "\n<｜DSML｜tool_calls>", begin + "<｜DSML｜invoke name=\"set\">\n</｜DSML｜invoke>"}) {
    EXPECT_FALSE(Accepts(*grammar, bad)) << bad;
  }
  for (unsigned seed = 0; seed < 60; ++seed) {
    for (const text::ParsedCall& call : WriteReply(*grammar, seed).tool_calls) ExpectValid(call, true);
  }
}

TEST(ToolCalls, TextOfParametersMayHoldAnythingButTags) {
  const std::vector<ToolGrammar> tools{{"run", R"({"type":"object","properties":{"code":{"type":"string"}},"required":["code"]})", true}};
  const Result<Grammar> grammar = Vocabulary::Get().compiler->ToolCalls(tools, {.kind = ToolChoice::Kind::kRequired});
  ASSERT_TRUE(grammar) << grammar.error().message;
  for (const std::string& code : std::vector<std::string>{"if (a < b && c > d) { x = \"</p>\"; } // 2>&1", "｜a｜ ｜｜", "", "\n\n<"}) {
    const std::string reply = "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"run\">\n<｜DSML｜parameter name=\"code\" string=\"true\">" + code +
                              "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls><｜end▁of▁sentence｜>";
    EXPECT_TRUE(Accepts(*grammar, reply)) << code;
    ASSERT_EQ(Parse(reply).tool_calls.size(), 1U);
    EXPECT_EQ(Parse(reply).tool_calls[0].arguments, "{\"code\": " + text::QuoteJson(code) + "}");
  }
}

TEST(ToolCalls, RefuseWithTheField) {
  Compiler& compiler = *Vocabulary::Get().compiler;
  const auto refusal = [&](std::vector<ToolGrammar> tools, const ToolChoice& choice = {}) {
    const Result<Grammar> grammar = compiler.ToolCalls(tools, choice);
    return grammar ? "" : grammar.error().message;
  };
  EXPECT_TRUE(refusal({}).starts_with("tools: ")) << refusal({});
  EXPECT_TRUE(refusal(Tools(true), {.kind = ToolChoice::Kind::kNamed, .name = "none"}).starts_with("tool_choice: "));
  EXPECT_TRUE(refusal({{"a", "", true}, {"a", "", true}}).starts_with("tools[1].function.name: "));
  EXPECT_TRUE(refusal({{"a\"b", "", true}}).starts_with("tools[0].function.name: "));
  EXPECT_TRUE(refusal({{"a", "{", false}}).starts_with("tools[0].function.parameters: "));
  EXPECT_TRUE(refusal({{"a", R"({"type":"string"})", true}}).starts_with("tools[0].function.parameters at /type: "));
  EXPECT_TRUE(refusal({{"a", R"({"properties":{"x":{"type":"y"}}})", true}}).starts_with("tools[0].function.parameters at /properties/x/type: "));
  EXPECT_TRUE(refusal({{"a", R"({"properties":{"x\"":{}}})", true}}).starts_with("tools[0].function.parameters at /properties/x\": "));
  EXPECT_EQ(refusal({{"a", "", true}}), "");
  EXPECT_EQ(refusal({{"a", R"({"properties":{"x":{"type":"odd"}}})", false}}), "") << "what is not strict is not enforced";
}

}  // namespace
}  // namespace baleen::constraint

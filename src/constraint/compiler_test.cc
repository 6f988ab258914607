#include "constraint/compiler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <regex>
#include <string>

#include "constraint/random_walk.h"
#include "constraint/schema_validator.h"
#include "text/json_python.h"
#include "text/reply_parser.h"
#include "text/special_tokens.h"

namespace baleen::constraint {
namespace {

Compiler& TheCompiler() { return *Vocabulary::Get().compiler; }

bool Writes(const Grammar& grammar, std::string_view text) {
  Vocabulary& v = Vocabulary::Get();
  const std::unique_ptr<engine::Constraint> constraint = TheCompiler().Start(grammar, std::nullopt);
  std::vector<std::uint32_t> mask((static_cast<std::size_t>(v.size) + 31) / 32);
  std::vector<std::int32_t> ids = v.tokenizer.EncodePlain(text);
  ids.push_back(v.end_ids[0]);
  for (const std::int32_t id : ids) {
    const bool bound = constraint->Allowed(mask);
    const bool allowed = !bound || (mask[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0;
    const bool accepted = constraint->Accept(id);
    EXPECT_EQ(allowed, accepted) << text;
    if (!accepted) return false;
  }
  return true;
}

// Answers to schemas of every kind are valid documents.
class Schemas : public testing::TestWithParam<const char*> {};

TEST_P(Schemas, GiveValidDocuments) {
  const std::string schema_json = GetParam();
  const text::JsonValue schema = *text::ParseJson(schema_json);
  for (const bool strict : {false, true}) {
    const Result<Grammar> grammar = TheCompiler().JsonSchema(schema_json, strict);
    ASSERT_TRUE(grammar) << grammar.error().message;
    for (unsigned seed = 0; seed < 12; ++seed) {
      const std::string text = WriteEndedAnswer(*grammar, seed);
      const Result<text::JsonValue> document = text::ParseJson(text);
      ASSERT_TRUE(document) << text << "\n" << document.error().message;
      EXPECT_EQ(Invalid(schema, *document, schema), "") << text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Schemas,
    testing::Values(
        R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":130}},)"
        R"("required":["name","age"],"additionalProperties":false})",
        R"({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"},"c":{"type":"number"}}})",
        R"({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"}},"required":["b"]})",
        R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a","z"],"additionalProperties":{"type":"boolean"}})",
        R"({"type":"object","properties":{"ab":{"type":"integer"},"b":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
        R"({"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":3})",
        R"({"type":"array","items":{"type":"integer","exclusiveMinimum":-3,"exclusiveMaximum":12},"minItems":2,"maxItems":5})",
        R"({"type":"array","prefixItems":[{"type":"string"},{"const":3}],"items":{"type":"boolean"},"minItems":1,"maxItems":4})",
        R"({"type":"array","prefixItems":[{"type":"boolean"},{"type":"null"}],"items":false,"minItems":1})",
        R"({"type":"array","items":[{"type":"boolean"}],"additionalItems":{"type":"null"},"minItems":3})",
        R"({"type":"string","minLength":3,"maxLength":6})", R"({"type":"string","maxLength":1})", R"({"type":"string","minLength":60,"maxLength":130})",
        R"({"type":"string","minLength":120})", R"({"type":"string","maxLength":0})", R"({"type":"string","pattern":"^[A-Z]{2,3}-\\d+$"})",
        R"({"type":"string","pattern":"^c|^a+b"})", R"({"type":"string","pattern":"^[^a-z]{2,40}$"})", R"({"type":"string","pattern":"^(\"x\\\\|\\n\\t)+$"})",
        R"({"type":"string","format":"date"})", R"({"type":"string","format":"date-time"})", R"({"type":"string","format":"uuid"})",
        R"({"type":"string","format":"email"})", R"({"type":"string","format":"ipv4"})", R"({"type":"string","format":"duration"})",
        R"({"enum":["red","gr\"een",3,null,[1,{"a":2}],2.5]})", R"({"type":["string","null"],"enum":["a",null,4]})", R"({"const":{"x":[true]}})",
        R"({"type":"number","minimum":0,"maximum":1})", R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.5})",
        R"({"type":"number","minimum":-2.25,"maximum":-0.5})", R"({"type":"number","minimum":0.2,"maximum":0.8})", R"({"type":"number","minimum":-1000000})",
        R"({"type":"number","exclusiveMaximum":-17})", R"({"type":"integer","minimum":-17,"maximum":1234})", R"({"type":"integer","minimum":995})",
        R"({"type":"integer","maximum":-99})", R"({"type":"integer","minimum":1.5,"maximum":3.5})", R"({"type":"integer","minimum":7,"maximum":7})",
        R"({"type":"integer","minimum":9007199254740991})", R"({"type":"number","multipleOf":1,"minimum":3})",
        R"({"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"boolean"},"maxItems":2}]})",
        R"({"oneOf":[{"type":"integer"},{"type":"string"}]})",
        R"({"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"v":{"type":"null"}},"required":["k"]},)"
        R"({"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]})",
        R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"]},)"
        R"({"properties":{"a":{"maximum":5},"b":{"type":"null"}},"required":["b"]}]})",
        R"({"type":"object","properties":{"a":{"$ref":"#/$defs/small","maximum":4}},"required":["a"],"$defs":{"small":{"type":"integer","minimum":2}}})",
        R"({"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{"type":"null"},"b":{"type":"boolean"}}})",
        R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},)"
        R"("next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}})",
        R"({"type":"object","properties":{"deep":{"type":"object","properties":{"deep":{"$ref":"#"}}},"leaf":{"type":"null"}},"required":["leaf"]})",
        R"({"type":"object","properties":{"a":{"type":"object","properties":{"a":{"$ref":"#/properties/a"}},"required":["a"]}}})",
        R"({"minLength":2})", R"({"properties":{"a":{}},"required":["a"]})", R"(true)", R"({})"));

TEST(Compiler, WritesManyOptionalPropertiesInTheirOrder) {
  std::string schema = R"({"type":"object","properties":{)";
  for (int i = 0; i < 40; ++i) schema += (i ? "," : "") + ("\"p" + std::to_string(i)) + R"(":{"type":"null"})";
  const Result<Grammar> grammar = TheCompiler().JsonSchema(schema + "}}", true);
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(Writes(*grammar, R"({"p3":null,"p17": null, "p39":null})"));
  EXPECT_TRUE(Writes(*grammar, "{}"));
  EXPECT_FALSE(Writes(*grammar, R"({"p17":null,"p3":null})"));
  EXPECT_FALSE(Writes(*grammar, R"({"p3":null,})"));
}

TEST(Compiler, FindsPatternsAnywhere) {
  const Result<Grammar> grammar = TheCompiler().JsonSchema(R"({"type":"string","pattern":"a+b|^c|d$|^(e|f)$"})", true);
  ASSERT_TRUE(grammar) << grammar.error().message;
  for (const char* text : {"\"xaaby\"", "\"cx\"", "\"xd\"", "\"f\"", "\"\\n\\\"ab\""}) EXPECT_TRUE(Writes(*grammar, text)) << text;
  for (const char* text : {"\"xa\"", "\"xc\"", "\"dx\"", "\"fx\"", "\"\"", "\"a\nb\""}) EXPECT_FALSE(Writes(*grammar, text)) << text;
}

TEST(Compiler, BoundsWhiteSpace) {
  const Result<Grammar> object = TheCompiler().JsonObject();
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_TRUE(Writes(*object, R"({"a": [1, {"b":"c  d"}], "e":-2.5e+3})"));
  for (const char* padded : {" {}", "{ }", "{\n}", "{\"a\":  1}", "{\"a\" :1}", "{\"a\":1 }", "[]", "{\"a\":01}", "{\"a\":1}x", "{\"a\":\"\n\"}"}) {
    EXPECT_FALSE(Writes(*object, padded)) << padded;
  }
  for (unsigned seed = 0; seed < 50; ++seed) {
    const std::string text = WriteEndedAnswer(*object, seed);
    const Result<text::JsonValue> document = text::ParseJson(text);
    ASSERT_TRUE(document) << text << "\n" << document.error().message;
    EXPECT_NE(document->AsObject(), nullptr);
  }
}

TEST(Compiler, FollowsRegularExpressions) {
  const struct {
    const char* pattern;
    std::vector<const char*> matching, others;
  } cases[] = {
      {"[a-c]+x{2,3}", {"axx", "abcxxx"}, {"xx", "ax", "axxxx", "axxa"}},
      {"(yes|no|)", {"yes", "no", ""}, {"ye", "nono"}},
      {"^\\d{3}-\\w*$", {"123-", "123-a_9"}, {"12-", "123"}},
      {".{0,3}\\u{1F600}?", {"", "abc", "\xF0\x9F\x98\x80"}, {"abcd"}},
      {"[^\\s\\d]\\.\\x41(?:q|(?<n>r))", {"x.Aq", "y.Ar"}, {"1.Aq", "x.Bq"}},
      {"(a*)*b", {"b", "aaab"}, {"a"}},
  };
  for (const auto& [pattern, matching, others] : cases) {
    const Result<Grammar> grammar = TheCompiler().Regex(pattern);
    ASSERT_TRUE(grammar) << grammar.error().message;
    for (const char* text : matching) EXPECT_TRUE(Writes(*grammar, text)) << pattern << " " << text;
    for (const char* text : others) EXPECT_FALSE(Writes(*grammar, text)) << pattern << " " << text;
  }
  const std::string pattern = "(ab|c[0-9]{2,4})+;(x|yy)?";
  const Result<Grammar> grammar = TheCompiler().Regex(pattern);
  ASSERT_TRUE(grammar);
  for (unsigned seed = 0; seed < 40; ++seed) {
    const Answer answer = WriteAnswer(*TheCompiler().Start(*grammar, std::nullopt), seed, 20, 100);
    const std::string text = answer.text.substr(0, answer.text.find(text::kEndOfSequence));
    EXPECT_TRUE(!answer.ended || std::regex_match(text, std::regex(pattern))) << text;
  }
}

TEST(Compiler, FollowsGrammars) {
  const Result<Grammar> grammar = TheCompiler().Ebnf("root ::= item (\", \" item)*\nitem ::= [a-z]+ | \"(\" root \")\"\n");
  ASSERT_TRUE(grammar) << grammar.error().message;
  EXPECT_TRUE(Writes(*grammar, "a, (b, (c))"));
  EXPECT_FALSE(Writes(*grammar, "a,b"));
  EXPECT_FALSE(Writes(*grammar, "(a"));
  for (const char* broken : {"", "root ::= ", "root ::= a", "start ::= \"a\"", "root ::= (", "root ::= [z-a]", "root ::= root", "\xFF"}) {
    const Result<Grammar> refused = TheCompiler().Ebnf(broken);
    EXPECT_TRUE(refused || refused.error().message.starts_with("response_format.grammar: ")) << refused.error().message;
  }
  EXPECT_FALSE(TheCompiler().Ebnf("root ::= a"));
}

TEST(Compiler, HoldsOnlyBehindTheThinking) {
  Vocabulary& v = Vocabulary::Get();
  const std::int32_t end_of_thinking = *v.tokenizer.Find(text::kThinkingEnd);
  const Result<Grammar> grammar = TheCompiler().JsonSchema(R"({"const":7})", true);
  ASSERT_TRUE(grammar);
  const std::unique_ptr<engine::Constraint> constraint = TheCompiler().Start(*grammar, end_of_thinking);
  std::vector<std::uint32_t> mask((static_cast<std::size_t>(v.size) + 31) / 32, 0xABCDU);
  for (const std::int32_t id : v.tokenizer.EncodePlain("any { text")) {
    EXPECT_FALSE(constraint->Allowed(mask));
    EXPECT_EQ(mask[0], 0xABCDU);
    EXPECT_TRUE(constraint->Accept(id));
  }
  EXPECT_TRUE(constraint->Accept(end_of_thinking));
  EXPECT_TRUE(constraint->Allowed(mask));
  EXPECT_FALSE(constraint->Accept(v.end_ids[0]));
  EXPECT_FALSE(constraint->Accept(end_of_thinking));
  EXPECT_FALSE(constraint->Accept(v.tokenizer.EncodePlain("8")[0]));
  EXPECT_TRUE(constraint->Accept(v.tokenizer.EncodePlain("7")[0]));
  EXPECT_TRUE(constraint->Allowed(mask));
  for (std::int32_t id = 0; id < v.size; ++id) EXPECT_EQ((mask[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0, id == v.end_ids[0]) << id;
  EXPECT_TRUE(constraint->Accept(v.end_ids[0]));
}

TEST(Compiler, RefusesImpossibleEndIds) {
  Vocabulary& v = Vocabulary::Get();
  EXPECT_FALSE(Compiler::Create(v.tokenizer, v.size, {}));
  const std::vector<std::int32_t> outside{static_cast<std::int32_t>(v.size)};
  EXPECT_FALSE(Compiler::Create(v.tokenizer, v.size, outside));
  EXPECT_FALSE(Compiler::Create(v.tokenizer, v.size - 1, v.end_ids));
  EXPECT_TRUE(Compiler::Create(v.tokenizer, v.size + 77, outside)) << "padded logits";
}

}  // namespace
}  // namespace baleen::constraint

// No schema, pattern or grammar takes more than 5 s or 2 GiB, is served without being enforced, or ends the process.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "constraint/random_walk.h"

namespace baleen::constraint {
namespace {

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string WideSchema(int properties, const std::string& value, bool required) {
  std::string schema = "{\"type\":\"object\",\"properties\":{", names;
  for (int i = 0; i < properties; ++i) {
    const std::string name = "\"property" + std::to_string(i) + "\"";
    schema += (i ? "," : "") + name + ":" + value;
    names += (i ? "," : "") + name;
  }
  return schema + "}" + (required ? ",\"required\":[" + names + "]" : "") + "}";
}

std::string LargeEnum(int values) {
  std::string schema = "{\"enum\":[";
  for (int i = 0; i < values; ++i) schema += (i ? ",\"value" : "\"value") + std::to_string(i * 7919) + "\"";
  return schema + "]}";
}

// Doubles at each level: 2^levels when written out.
std::string Doubling(int levels, const std::string& keyword) {
  std::string schema = "{\"$ref\":\"#/$defs/d0\",\"$defs\":{";
  for (int i = 0; i < levels; ++i) {
    const std::string next = "{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"}";
    schema += "\"d" + std::to_string(i) + "\":{\"" + keyword + "\":[" + next + "," + next + "]},";
  }
  return schema + "\"d" + std::to_string(levels) + "\":{\"type\":\"integer\"}}}";
}

std::string Chain(int length) {
  std::string schema = "{\"$ref\":\"#/$defs/d0\",\"$defs\":{";
  for (int i = 0; i < length; ++i) schema += "\"d" + std::to_string(i) + "\":{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"},";
  return schema + "\"d" + std::to_string(length) + "\":{\"type\":\"integer\"}}}";
}

std::string JoinedProperties() {
  std::string schema = "{\"allOf\":[";
  for (int k = 0; k < 20; ++k) {
    schema += k ? ",{\"properties\":{" : "{\"properties\":{";
    for (int i = 0; i < 9000; ++i) schema += (i ? ",\"" : "\"") + std::to_string(k) + "_" + std::to_string(i) + "\":{}";
    schema += "}}";
  }
  return schema + "]}";
}

std::string Pattern(const std::string& pattern) { return "{\"type\":\"string\",\"pattern\":\"" + pattern + "\"}"; }

std::vector<std::pair<std::string, std::string>> HostileSchemas() {
  std::string tree = "true", combined = "{\"type\":\"integer\"}";
  for (int i = 0; i < 60; ++i) tree = "{\"items\":" + tree + "}";
  for (int i = 0; i < 25; ++i) combined = "{\"anyOf\":[" + combined + ",{\"type\":\"null\"}],\"maximum\":" + std::to_string(1000 - i) + "}";
  return {
      {"deep", Repeated("{\"items\":", 5000) + "true" + Repeated("}", 5000)},
      {"as deep as allowed", tree},
      {"wide", WideSchema(3000, "{\"type\":\"string\"}", true)},
      {"wide and optional", WideSchema(3000, "{\"type\":\"integer\"}", false)},
      {"very wide", WideSchema(100000, "{}", false)},
      {"recursive", R"({"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"object","additionalProperties":{"$ref":"#"}},{"type":"null"}]})"},
      {"enum of 100,000", LargeEnum(100000)},
      {"enum of 5,000", LargeEnum(5000)},
      {"doubling anyOf", Doubling(40, "anyOf")},
      {"doubling allOf", Doubling(40, "allOf")},
      {"chain of references", Chain(9000)},
      {"long chain of references", Chain(60000)},
      {"joined enums", "{\"allOf\":[" + LargeEnum(50000) + "," + LargeEnum(50001) + "]}"},
      {"joined properties", JoinedProperties()},
      {"minLength", R"({"minLength":1000000000000})"},
      {"maxLength", R"({"maxLength":1000000000000})"},
      {"long strings", R"({"minLength":9999,"maxLength":100000})"},
      {"minItems", R"({"type":"array","minItems":1000000000})"},
      {"maxItems", R"({"type":"array","items":{"type":"string"},"maxItems":1000000000})"},
      {"items of items", R"({"type":"array","maxItems":1000,"items":{"type":"array","maxItems":1000,)"
                         R"("items":{"type":"array","maxItems":1000,"items":{"maxLength":1000}}}})"},
      {"bomb", Pattern("(a{1000}){1000}")},
      {"bomb of bombs", Pattern("((((a{100}){100}){100}){100}){100}")},
      {"ambiguous", Pattern("^(a|aa|aaa)*$")},
      {"very ambiguous", Pattern("^((.?){90}){3}$")},
      {"nested stars", Pattern("((((.*)*)*)*)*b")},
      {"nested groups", Pattern(Repeated("(", 5000) + "a" + Repeated(")", 5000))},
      {"long pattern", Pattern(Repeated("[a-z]{1,9}x|", 1500) + "y")},
      {"many classes", Pattern("^" + Repeated("[^a]?", 300) + "$")},
      {"merges", combined},
      {"numbers", R"({"type":"number","minimum":1e-9,"maximum":0.999999999})"},
      {"no schema", std::string(3 << 20, ' ')},
      {"long names", WideSchema(5, "{\"enum\":[\"" + std::string(300000, 'x') + "\"]}", true)},
  };
}

double ElapsedSeconds(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double PeakGib() {
  rusage own{}, children{};
  getrusage(RUSAGE_SELF, &own);
  getrusage(RUSAGE_CHILDREN, &children);
  return static_cast<double>(std::max(own.ru_maxrss, children.ru_maxrss)) / (1 << 20);
}

TEST(Bounds, HostileSchemasAreAnsweredInTime) {
  for (const auto& [name, schema] : HostileSchemas()) {
    std::string outcome;
    const double seconds = ElapsedSeconds([&] {
      const Result<Grammar> grammar = Vocabulary::Get().compiler->JsonSchema(schema, false);
      outcome = grammar ? "served" : grammar.error().message;
      if (grammar) {
        const std::unique_ptr<engine::Constraint> constraint = Vocabulary::Get().compiler->Start(*grammar, std::nullopt);
        EXPECT_GT(WriteAnswer(*constraint, 1, 5, 20).tokens, 0) << name;
      }
    });
    EXPECT_LT(seconds, 5) << name << ": " << outcome;
    EXPECT_TRUE(outcome == "served" || outcome.starts_with("response_format.json_schema.schema")) << name << ": " << outcome;
    EXPECT_LT(outcome.size(), 1000U) << name;
  }
  EXPECT_LT(PeakGib(), 2.0);
}

TEST(Bounds, HostileGrammarsAreAnsweredInTime) {
  const std::vector<std::string> grammars{
      "root ::= " + Repeated("(", 200000) + "\"a\"" + Repeated(")", 200000),
      "root ::= \"" + std::string(9 << 20, 'a') + "\"",
      "root ::= ((\"a\"{1000}){1000}){1000}",
      "root ::= (([^x]?){100}){100}",
      "root ::= root root | root \"a\" | \"\"",
      "root ::= a a a a\na ::= b b b b\nb ::= c c c c\nc ::= [^z]* [^y]* [^x]*",
      "root ::= \"a\"{99999999999999999999}",
      "root ::= Token(99999999)",
      "root[max_tokens=0] ::= \"a\"",
      std::string("root ::= \"\0\"", 12),
      Repeated("\"", 1000),
  };
  for (const std::string& grammar : grammars) {
    std::string outcome;
    const double seconds = ElapsedSeconds([&] {
      const Result<Grammar> made = Vocabulary::Get().compiler->Ebnf(grammar);
      outcome = made ? "served" : made.error().message;
    });
    EXPECT_LT(seconds, 5) << grammar.substr(0, 80) << ": " << outcome;
    EXPECT_TRUE(outcome == "served" || outcome.starts_with("response_format.grammar: ")) << outcome;
  }
  EXPECT_LT(PeakGib(), 2.0);
}

TEST(Bounds, ASecondRequestForAGrammarFindsItMade) {
  const std::string schema = LargeEnum(3000);
  const auto compile = [&] { EXPECT_TRUE(Vocabulary::Get().compiler->JsonSchema(schema, true)); };
  const double first = ElapsedSeconds(compile), second = ElapsedSeconds(compile);
  EXPECT_LT(second, first);
}

}  // namespace
}  // namespace baleen::constraint

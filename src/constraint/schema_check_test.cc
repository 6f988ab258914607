#include "constraint/schema_check.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "constraint/random_walk.h"

namespace baleen::constraint {
namespace {

const std::string kField = "response_format.json_schema.schema";

std::string Refusal(const std::string& schema, bool strict = false) {
  const Result<Grammar> grammar = Vocabulary::Get().compiler->JsonSchema(schema, strict);
  return grammar ? "" : grammar.error().message;
}

struct Case {
  std::string schema, place, part;  // what the message names; an empty part: it is served
};

std::vector<Case> WrongKeywords() {
  return {
      {R"({"type":"text"})", " at /type", "\"text\""},
      {R"({"properties":{"a/b":{"type":["string","nul"]}}})", " at /properties/a~1b/type", "\"nul\""},
      {R"({"type":[]})", " at /type", "at least one type"},
      {R"({"type":3})", " at /type", "an integer"},
      {R"({"$ref":"#/$defs/x"})", " at /$ref", "where nothing is"},
      {R"({"$defs":{"unused":{"$ref":"#/$defs/x"}}})", " at /$defs/unused/$ref", "where nothing is"},
      {R"({"$ref":"other.json"})", " at /$ref", "into this schema"},
      {R"({"$ref":"#"})", "", "finite text"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})", "", "finite text"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "", "finite text"},
      {R"({"type":"string","pattern":"(a"})", " at /pattern", "cannot be compiled"},
      {R"({"type":"string","pattern":"[z-a]"})", " at /pattern", "cannot be compiled"},
      {R"({"type":"string","pattern":"a{3,2}"})", " at /pattern", "cannot be compiled"},
      {R"({"type":"string","pattern":"*a"})", " at /pattern", "cannot be compiled"},
      {R"x({"type":"string","pattern":"a(?=b)"})x", " at /pattern", "look-around"},
      {R"({"type":"string","pattern":"(a)\\1"})", " at /pattern", "back reference"},
      {R"({"type":"string","pattern":"\\bfoo"})", " at /pattern", "word boundary"},
      {R"({"type":"string","pattern":"a^b"})", " at /pattern", "^"},
      {R"({"minLength":3,"maxLength":2})", "", "minLength"},
      {R"({"items":{"minItems":3,"maxItems":2}})", " at /items", "minItems"},
      {R"({"minimum":3,"maximum":2})", "", "minimum"},
      {R"({"type":"integer","exclusiveMinimum":2,"maximum":2})", "", "exclusiveMinimum"},
      {R"({"type":"integer","minimum":1.2,"maximum":1.8})", "", "finite text"},
      {R"({"minProperties":3,"maxProperties":2})", "", "minProperties"},
      {R"({"minLength":-1})", " at /minLength", "from 0 on"},
      {R"({"minLength":1.5})", " at /minLength", "from 0 on"},
      {R"({"minimum":"1"})", " at /minimum", "a number"},
      {R"({"enum":[]})", " at /enum", "at least one"},
  };
}

std::vector<Case> WrongSchemas() {
  const std::string deep = [] {
    std::string text;
    for (int i = 0; i < 40; ++i) text += R"({"type":"array","items":)";
    return text + "true" + std::string(40, '}');
  }();
  return {
      {R"({"enum":"a"})", " at /enum", "an array"},
      {R"({"type":"string","enum":[1,2]})", "", "finite text"},
      {R"({"anyOf":[]})", " at /anyOf", "at least one schema"},
      {R"({"properties":{"a":3}})", " at /properties/a", "a schema"},
      {R"({"properties":[]})", " at /properties", "an object of schemas"},
      {R"({"required":"a"})", " at /required", "an array of strings"},
      {R"({"type":"object","properties":{},"required":["a"],"additionalProperties":false})", " at /required", "\"a\""},
      {R"({"not":{"type":"null"}})", "", "\"not\""},
      {R"({"type":"array","uniqueItems":true})", "", "\"uniqueItems\""},
      {R"({"patternProperties":{"a":{}}})", "", "\"patternProperties\""},
      {R"({"if":{},"then":{}})", "", "\"if\""},
      {R"({"type":"integer","multipleOf":3})", "", "\"multipleOf\""},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", " at /oneOf", "anyOf"},
      {R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})", "", "\"pattern\""},
      {R"({"type":"string","pattern":"a","minLength":3})", "", "lengths"},
      {R"({"type":"string","minLength":100000})", "", "minLength"},
      {R"({"enum":["a"],"minLength":2})", "", "\"minLength\""},
      {R"({"const":NaN})", "", "finite"},
      {R"({"maximum":1e400})", "", "finite"},
      {R"({"type":"object","type":"array"})", "", "repeated"},
      {R"({"type":"object")", "", "JSON"},
      {"", "", "JSON"},
      {"[]", "", "a schema"},
      {"\"object\"", "", "a schema"},
      {"false", "", "finite text"},
      {"{\"type\":\"str\xFFing\"}", "", "JSON"},
      {std::string(100000, '['), "", "JSON"},
      {R"({"a":)" + std::string(80, '[') + std::string(80, ']') + "}", "", "64 levels"},
      {deep + " ", "", ""},
      {"{\"items\":" + deep + "}", "", ""},
  };
}

TEST(SchemaCheck, NamesFieldAndPlaceOfWhatIsWrong) {
  std::vector<Case> cases = WrongKeywords();
  for (Case& one : WrongSchemas()) cases.push_back(std::move(one));
  for (const auto& [schema, place, part] : cases) {
    const std::string message = Refusal(schema);
    if (part.empty()) {
      EXPECT_EQ(message, "") << schema;
      continue;
    }
    EXPECT_TRUE(message.starts_with(kField + place + ": ")) << schema.substr(0, 300) << "\n" << message;
    EXPECT_NE(message.find(part), std::string::npos) << schema.substr(0, 300) << "\n" << message;
  }
}

TEST(SchemaCheck, StrictRefusesWhatIsNotEnforced) {
  EXPECT_EQ(Refusal(R"({"type":"string","title":"T","description":"d","x-extra":1,"format":"odd"})"), "");
  EXPECT_NE(Refusal(R"({"type":"string","x-extra":1})", true).find("\"x-extra\""), std::string::npos);
  EXPECT_NE(Refusal(R"({"type":"string","format":"odd"})", true).find("\"odd\""), std::string::npos);
  EXPECT_EQ(Refusal(R"({"type":"string","title":"T","description":"d","format":"uuid","default":"x"})", true), "");
}

}  // namespace
}  // namespace baleen::constraint

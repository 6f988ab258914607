#include "text/json_python.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace baleen::text {
namespace {

std::string Rewrite(std::string_view text) {
  const Result<JsonValue> value = ParseJson(text);
  return value ? WriteJson(*value) : "error";
}

TEST(JsonPython, WritesWhatPythonWrites) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"1e5", "100000.0"}, {"1e16", "1e+16"}, {"1e15", "1000000000000000.0"}, {"0.0001", "0.0001"}, {"0.00001", "1e-05"},
      {"1e400", "Infinity"}, {"-1e400", "-Infinity"}, {"1e-400", "0.0"}, {"-1e-400", "-0.0"}, {"5e-324", "5e-324"}, {"2e-324", "0.0"},
      {"1e99999999999999999999", "Infinity"}, {"0.0e99999999999999999999", "0.0"}, {"1e-99999999999999999999", "0.0"},
      {"-0", "0"}, {"-0.0", "-0.0"}, {"123456789012345678901234567890", "123456789012345678901234567890"}, {"NaN", "NaN"},
      {"-Infinity", "-Infinity"}, {"0.1", "0.1"}, {"123.456", "123.456"}, {"1.7976931348623157e308", "1.7976931348623157e+308"},
      {R"({"a":1,"b":2,"a":3})", R"({"a": 3, "b": 2})"}, {R"(["\u00e9\/\u007f\u2028\ud83d\ude00"])", "[\"é/\x7F\u2028😀\"]"},
      {R"("\u0001\b\f\n\r\t\"\\")", R"("\u0001\b\f\n\r\t\"\\")"}, {" [ ] ", "[]"}, {"{\n}", "{}"},
      {"[1,[2,{}],null,true,false]", "[1, [2, {}], null, true, false]"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Rewrite(text), expected) << text;
}

TEST(JsonPython, RefusesWhatPythonRefuses) {
  const std::vector<std::string> cases = {"", " ", "01", "1.", ".5", "+1", "-", "1e", "[1,]", "{\"a\":1,}", "{a:1}", "\"\n\"", "\"\\x41\"", "\"\\u12\"", "\"",
                                          "[", "{", "tru", "nan", "1 2", "\xEF\xBB\xBF{}", "{\"a\" 1}", "'a'", "\"\xFF\"", "\"\xED\xA0\x80\"", "\"\\ud800\""};
  for (const std::string& text : cases) EXPECT_EQ(Rewrite(text), "error") << text;
}

TEST(JsonPython, KeepsTheFirstPlaceAndLastValueInLargeObjects) {
  std::string text = "{", expected = "{";
  for (int i = 0; i < 100; ++i) text += "\"key" + std::to_string(i % 40) + "\":" + std::to_string(i) + (i < 99 ? "," : "}");
  for (int i = 0; i < 40; ++i) expected += "\"key" + std::to_string(i) + "\": " + std::to_string(i < 20 ? i + 80 : i + 40) + (i < 39 ? ", " : "}");
  EXPECT_EQ(Rewrite(text), expected);
  EXPECT_FALSE(ParseJson(text, RepeatedKeys::kRefused));
}

TEST(JsonPython, BoundsNesting) {
  EXPECT_TRUE(ParseJson(std::string(900, '[') + std::string(900, ']')));
  EXPECT_FALSE(ParseJson(std::string(2'000'000, '[')));
}

TEST(JsonPython, TellsLoneSurrogatesFromBrokenText) {
  EXPECT_TRUE(FailsOnlyBySurrogate(R"({"a": "\ud800"})"));
  EXPECT_FALSE(FailsOnlyBySurrogate(R"({"a": "\ud800")"));
  EXPECT_FALSE(FailsOnlyBySurrogate(R"({"a": 1})"));
}

TEST(JsonPython, SaysLineAndColumn) {
  const Result<JsonValue> value = ParseJson("{\n \"a\": nope}");
  ASSERT_FALSE(value);
  EXPECT_NE(value.error().message.find("line 2, column 7"), std::string::npos) << value.error().message;
}

TEST(JsonPython, ReadsIntegersOnlyIfTheyFit) {
  EXPECT_EQ(ParseJson("9223372036854775807")->AsInt64(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(ParseJson("9223372036854775808")->AsInt64(), std::nullopt);
  EXPECT_EQ(ParseJson("1.0")->AsInt64(), std::nullopt);
}

}  // namespace
}  // namespace baleen::text

#include "text/reply_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/json_python.h"
#include "text/special_tokens.h"

namespace baleen::text {
namespace {

using Kind = ReplyEvent::Kind;

const std::string kOpen = "\n\n<｜DSML｜tool_calls>\n";
const std::string kClose = "</｜DSML｜tool_calls>";

std::string Invoke(const std::string& name) { return "<｜DSML｜invoke name=\"" + name + "\">\n"; }
std::string Value(const std::string& key, const std::string& value, bool is_string = true) {
  return "<｜DSML｜parameter name=\"" + key + "\" string=\"" + (is_string ? "true" : "false") + "\">" + value + "</｜DSML｜parameter>\n";
}
const std::string kEndInvoke = "</｜DSML｜invoke>\n";

// "call f|{"a": "|…": the kinds and texts of the events, in order.
std::string Told(const std::vector<ReplyEvent>& events) {
  static const char* const kNames[] = {"think ", "say ", "block", "call ", "args ", "end"};
  std::string told;
  for (const ReplyEvent& event : events) told += (told.empty() ? "" : " | ") + (kNames[static_cast<int>(event.kind)] + event.text);
  return told;
}

std::string Fed(ReplyStream& stream, const std::string& text) { return Told(stream.Feed(text)); }

TEST(ReplyStream, TellsOfCallsAsTheyAreWritten) {
  ReplyStream stream(false);
  EXPECT_EQ(Fed(stream, kOpen + "<｜DSML｜invoke name=\"read"), "block");
  EXPECT_EQ(Fed(stream, "_file\">\n<｜DSML｜parameter name=\"path\" string=\"true\""), "");
  EXPECT_EQ(Fed(stream, ">a \"q\" \xE4\xB8"), "call read_file | args {\"path\": \"a \\\"q\\\" ");
  EXPECT_EQ(Fed(stream, "\xAD 2>&1<"), "args 中 2>&1");
  EXPECT_EQ(Fed(stream, "b</｜DSM"), "args <b");
  EXPECT_EQ(Fed(stream, "L｜parameter>\n"), "args \"");
  EXPECT_EQ(Fed(stream, "<｜DSML｜parameter name=\"lines\" string=\"false\">[1, "), "args , \"lines\": [1, ");
  EXPECT_EQ(Fed(stream, "2]</｜DSML｜parameter>\n" + kEndInvoke), "args 2]} | end");
  EXPECT_EQ(Fed(stream, Invoke("now") + "\n"), "");
  EXPECT_EQ(Fed(stream, kEndInvoke + kClose), "call now | args {} | end");
  EXPECT_EQ(Fed(stream, std::string(kEndOfSequence)), "");
  EXPECT_EQ(Told(stream.Finish()), "");
}

TEST(ReplyStream, LetsACallBeginInsideTheReasoning) {
  const ParsedReply expected{"hm", "", {{"f", R"({"k": "v"})"}}};
  EXPECT_EQ(ParseReplyLenient("hm" + kOpen + Invoke("f") + Value("k", "v") + kEndInvoke + kClose, true), expected);
  EXPECT_EQ(ParseReplyLenient("hm" + kOpen.substr(2) + Invoke("f") + Value("k", "v") + kEndInvoke + kClose, true), expected);
}

TEST(ReplyStream, GivesBackWhatBreaksBeforeItWasToldOf) {
  const std::string whole_call = Invoke("f") + Value("k", "v") + kEndInvoke;
  const ParsedCall call{"f", R"({"k": "v"})"};
  const std::string bad_tag = "<｜DSML｜invoke nam=\"g\">\n" + Value("k", "v") + kEndInvoke + kClose;
  EXPECT_EQ(ParseReplyLenient("b" + kOpen + bad_tag, false), (ParsedReply{"", "b" + kOpen + bad_tag, {}}));
  EXPECT_EQ(ParseReplyLenient("b" + kOpen + whole_call + bad_tag, false), (ParsedReply{"", "b" + bad_tag, {call}}));
  const std::string cut = Invoke("g") + "<｜DSML｜param";
  EXPECT_EQ(ParseReplyLenient("b" + kOpen + cut, false), (ParsedReply{"", "b" + kOpen + cut, {}}));
  EXPECT_EQ(ParseReplyLenient("b" + kOpen + whole_call + cut, false), (ParsedReply{"", "b" + cut, {call}}));
  EXPECT_EQ(ParseReplyLenient("about <｜DSML｜tool_calls: a tag", false), (ParsedReply{"", "about <｜DSML｜tool_calls: a tag", {}}));
  EXPECT_EQ(ParseReplyLenient(kOpen + whole_call + "well</think> then", false), (ParsedReply{"", "well</think> then", {call}}));
  EXPECT_EQ(ParseReplyLenient(kOpen + whole_call + "</｜DSML｜tool", false), (ParsedReply{"", "", {call}}));
}

TEST(ReplyStream, ShowsNothingOfATagWhereItWasCut) {
  const auto told = [](const std::string& text) {
    ReplyStream stream(false);
    std::string all = Fed(stream, text);
    const std::string last = Told(stream.Finish(/*cut=*/true));
    return all + (all.empty() || last.empty() ? "" : " | ") + last;
  };
  const std::string whole_call = Invoke("f") + kEndInvoke;
  EXPECT_EQ(told("b" + kOpen + "<"), "say b | block");
  EXPECT_EQ(told("b" + kOpen + Invoke("g") + "<｜DSML｜param"), "say b | block");
  EXPECT_EQ(told("b\n\n<｜DSML｜tool"), "say b");
  EXPECT_EQ(told("b" + kOpen + whole_call + Invoke("g")), "say b | block | call f | args {} | end");
  EXPECT_EQ(told("b\n\n<"), "say b | say \n\n<");
  EXPECT_EQ(told("b" + kOpen + "no tag"), "say b | block | say " + kOpen + "no tag");
}

TEST(ReplyStream, KeepsWhatWasToldOf) {
  const std::string begun = kOpen + Invoke("f") + Value("k", "v");
  EXPECT_EQ(ParseReplyLenient(begun + "and so on", false), (ParsedReply{"", "and so on", {{"f", R"({"k": "v")"}}}));
  EXPECT_EQ(ParseReplyLenient(begun + Value("k", "again") + kEndInvoke, false).tool_calls, (std::vector<ParsedCall>{{"f", R"({"k": "v")"}}));
  EXPECT_EQ(ParseReplyLenient(kOpen + Invoke("f") + "<｜DSML｜parameter name=\"k\" string=\"true\">cut he</｜DSML｜para", false),
            (ParsedReply{"", "", {{"f", R"({"k": "cut he)"}}}));
  EXPECT_FALSE(ParseJson(R"({"k": "v")"));
}

TEST(ReplyStream, LetsWhiteSpaceStandBetweenTags) {
  const std::string tight = "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"> <｜DSML｜parameter name=\"k\" string=\"false\">1</｜DSML｜parameter></｜DSML｜invoke>\n\n  " + kClose;
  EXPECT_EQ(ParseReplyLenient(tight, false), (ParsedReply{"", "", {{"f", R"({"k": 1})"}}}));
}

TEST(ReplyStream, UnwrapsArguments) {
  const ToolNames tools = {{"f", {"path", "input"}}, {"g", {}}};
  const auto arguments = [&](const std::string& name, const std::string& parameters) {
    const ParsedReply reply = ParseReplyLenient(kOpen + Invoke(name) + parameters + kEndInvoke + kClose, false, tools);
    return reply.tool_calls.size() == 1 && reply.content.empty() ? reply.tool_calls[0].arguments : "content: " + reply.content;
  };
  const std::string object = R"({"path": "a\"b", "n": [1]})";
  EXPECT_EQ(arguments("f", Value("arguments", object)), object);
  EXPECT_EQ(arguments("f", Value("arguments", object, false)), object);
  EXPECT_EQ(arguments("g", Value("input", object, false)), object);
  EXPECT_EQ(arguments("f", Value("input", object, false)), "{\"input\": " + object + "}");              // its own parameter
  EXPECT_EQ(arguments("g", Value("arguments", "[1]", false)), "{\"arguments\": [1]}");                  // no object
  EXPECT_EQ(arguments("g", Value("arguments", "a \"b\"")), "{\"arguments\": \"a \\\"b\\\"\"}");         // no JSON
  EXPECT_EQ(arguments("g", Value("arguments", "{}") + Value("k", "v")), R"({"arguments": "{}", "k": "v"})");  // not the only one
  EXPECT_EQ(arguments("h", Value("arguments", "{}", false)), "{\"arguments\": {}}");                    // no tool of the request
  ReplyStream stream(false, tools);
  EXPECT_EQ(Fed(stream, kOpen + Invoke("g") + Value("input", object)), "block");
  EXPECT_EQ(Fed(stream, kEndInvoke), "call g | args " + object + " | end");
}

// A long reply in single bytes takes time in proportion to its length.
TEST(ReplyStream, IsLinear) {
  const std::string text = kOpen + Invoke(std::string(300'000, 'n')) + Value("k", std::string(300'000, '<')) + kEndInvoke + kClose;
  ReplyStream stream(false);
  ParsedReply reply;
  for (const char byte : text) {
    for (const ReplyEvent& event : stream.Feed({&byte, 1})) AddEvent(event, reply);
  }
  ASSERT_EQ(reply.tool_calls.size(), 1U);
  EXPECT_EQ(reply.tool_calls[0].arguments.size(), 300'000U + 9U);
}

}  // namespace
}  // namespace baleen::text

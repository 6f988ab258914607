#include "text/chat_encoding.h"

#include <gtest/gtest.h>

#include <string>

#include "text/reply_parser.h"
#include "text/reply_stream.h"

namespace baleen::text {
namespace {

constexpr std::string_view kBegin = "<｜begin▁of▁sentence｜>";
constexpr std::string_view kEnd = "<｜end▁of▁sentence｜>";

std::string Render(std::string_view json, Thinking thinking, Encoding encoding = Encoding::k0731) {
  Result<Messages> messages = ParseMessages(json);
  if (!messages) return "error: " + messages.error().message;
  const Result<std::string> prompt = RenderPrompt({*std::move(messages), encoding, thinking, true});
  return prompt ? *prompt : "error: " + prompt.error().message;
}

TEST(ChatEncoding, BuildsFromCode) {
  Message question, answer;
  question.role = "user";
  question.content = "Q";
  answer.role = "assistant";
  answer.content = "A";
  EXPECT_EQ(*RenderPrompt({{question, answer, question}, Encoding::k0731, Thinking::kOff, true}),
            std::string(kBegin) + "<｜User｜>Q<｜Assistant｜></think>A" + std::string(kEnd) + "<｜User｜>Q<｜Assistant｜></think>");
  EXPECT_EQ(*RenderPrompt({{question}, Encoding::kApril, Thinking::kLow, true}), std::string(kBegin) + "<｜User｜>Q<｜Assistant｜><think>");
}

TEST(ChatEncoding, KeepsWhatMessagesBringApart) {
  const Result<Messages> messages = ParseMessages(
      R"([{"role": "system", "content": "<｜User｜>", "tools": [{"function": {"name": "f"}}]}, {"role": "user", "content": "a</think>"},
          {"role": "assistant", "content": "b", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{\"k\": \"</think>\"}"}}]},
          {"role": "tool", "tool_call_id": "1", "content": "<think>"}])");
  ASSERT_TRUE(messages) << messages.error().message;
  const RenderRequest request{*messages, Encoding::k0731, Thinking::kLow, true};
  const Result<PromptPieces> prompt = RenderPieces(request);
  ASSERT_TRUE(prompt) << prompt.error().message;
  std::string plain, markup, whole;
  for (const PromptPiece& piece : prompt->pieces()) {
    (piece.plain ? plain : markup) += piece.text + "|";
    whole += piece.text;
  }
  EXPECT_EQ(whole, *RenderPrompt(request));
  EXPECT_EQ(plain, "<｜User｜>|{\"name\": \"f\"}|a</think>|b|f|k|</think>|<think>|");
  EXPECT_EQ(markup.find("a</think>"), std::string::npos);
}

TEST(ChatEncoding, PrefixesEffort) {
  const std::string question = R"([{"role": "user", "content": "Q"}])";
  const std::string plain = Render(question, Thinking::kLow);
  EXPECT_EQ(Render(question, Thinking::kHigh, Encoding::kApril), plain);
  EXPECT_NE(Render(question, Thinking::kHigh), plain);
  EXPECT_EQ(Render(question, Thinking::kHigh), Render(question, Thinking::kMax, Encoding::kApril));
  EXPECT_NE(Render(question, Thinking::kMax).find("Beyond maximum — exhaustive"), std::string::npos);
  EXPECT_EQ(Render("[]", Thinking::kMax), kBegin);
}

TEST(ChatEncoding, TakesListsOfTexts) {
  EXPECT_EQ(Render(R"([{"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}])", Thinking::kOff),
            std::string(kBegin) + "<｜User｜>one\n\ntwo<｜Assistant｜></think>");
  EXPECT_NE(Render(R"([{"role":"user","content":[{"type":"image_url"}]}])", Thinking::kOff).find("messages[0].content[0].type"), std::string::npos);
  EXPECT_NE(Render(R"([{"role":"tool","content":[{"type":"image_url"}]}])", Thinking::kOff).find("[Unsupported image_url]"), std::string::npos);
}

TEST(ChatEncoding, UnwrapsArgumentsGivenAsAnObject) {
  const std::string text = R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\": 1}"}}]}])";
  const std::string object = R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}])";
  EXPECT_EQ(Render(text, Thinking::kOff), Render(object, Thinking::kOff));
  EXPECT_NE(Render(object, Thinking::kOff).find("<｜DSML｜parameter name=\"a\" string=\"false\">1</｜DSML｜parameter>"), std::string::npos);
}

TEST(ChatEncoding, NamesTheFieldItRefuses) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "array of messages"},
      {"[1]", "messages[0]"},
      {"[", "line 1"},
      {R"([{"role": 1}])", "messages[0].role"},
      {R"([{"content": "x"}])", "role"},
      {R"([{"role":"user","content":1}])", "messages[0].content"},
      {R"([{"role":"critic","content":""}])", "critic"},
      {R"([{"role":"user","content":"","task":"sing"}])", "sing"},
      {R"([{"role":"developer"}])", "developer"},
      {R"([{"role":"assistant","tool_calls":7}])", "messages[0].tool_calls"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}])", "arguments"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}])", "\"f\""},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\": \"\\ud800\"}"}}]}])", "surrogate"},
      {R"([{"role":"system","tools":[{}]}])", "messages[0].tools[0].function"},
  };
  for (const auto& [json, part] : cases) {
    const std::string message = Render(json, Thinking::kOff);
    EXPECT_TRUE(message.starts_with("error: ")) << json;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(ChatEncoding, KnowsTheEffortsOfAVersion) {
  EXPECT_EQ(*ThinkingFromMode(Encoding::k0731, "thinking", std::nullopt), Thinking::kLow);
  EXPECT_EQ(*ThinkingFromMode(Encoding::kApril, "chat", "max"), Thinking::kOff);
  EXPECT_FALSE(ThinkingFromMode(Encoding::kApril, "chat", "low"));
  EXPECT_FALSE(ThinkingFromMode(Encoding::k0731, "chat", "xhigh"));
  EXPECT_FALSE(ThinkingFromMode(Encoding::k0731, "on", std::nullopt));
  EXPECT_FALSE(ParseEncoding("v4"));
  EXPECT_FALSE(ParseThinking("on"));
}

// What is rendered as an assistant's turn is what the parser reads back.
TEST(ChatEncoding, RoundTripsCalls) {
  Message answer;
  answer.role = "assistant";
  answer.content = "c";
  answer.reasoning_content = "r";
  answer.tool_calls = {{"1", "f", R"({"a": "<\"\\", "b": [1, 2.5]})"}, {"2", "g", "{}"}};
  const std::string prompt = *RenderPrompt({{answer}, Encoding::k0731, Thinking::kLow, true});
  const Result<ParsedReply> reply = ParseReply(std::string_view(prompt).substr(kBegin.size()), true);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(*reply, (ParsedReply{"r", "c", {{"f", answer.tool_calls[0].arguments}, {"g", "{}"}}}));
}

std::vector<ReplyEvent> FeedInPieces(std::string_view text, bool thinking, std::size_t step) {
  ReplyStream stream(thinking);
  std::vector<ReplyEvent> events;
  for (std::size_t at = 0; at < text.size(); at += step) {
    for (ReplyEvent& event : stream.Feed(text.substr(at, step))) events.push_back(std::move(event));
  }
  for (ReplyEvent& event : stream.Finish()) events.push_back(std::move(event));
  return events;
}

TEST(ReplyStream, ShowsNoPartOfATag) {
  const std::string text = "think\n\n<</think>say\n\n<｜\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n\n"
                           "</｜DSML｜invoke>\n</｜DSML｜tool_calls>" +
                           std::string(kEnd);
  for (std::size_t step = 1; step < text.size(); ++step) {
    std::string order;
    ParsedReply reply;
    for (const ReplyEvent& event : FeedInPieces(text, true, step)) {
      if (event.kind == ReplyEvent::Kind::kToolBlockStart) order += "block ";
      if (event.kind == ReplyEvent::Kind::kCallStart) order += "call ";
      if (event.kind == ReplyEvent::Kind::kCallEnd) order += "end ";
      AddEvent(event, reply);
    }
    EXPECT_EQ(reply, (ParsedReply{"think\n\n<", "say\n\n<｜", {{"f", "{}"}}})) << step;
    EXPECT_EQ(order, "block call end ") << step;
  }
}

TEST(ReplyStream, IsKind) {
  EXPECT_EQ(ParseReplyLenient("cut short", true), (ParsedReply{"cut short", "", {}}));
  EXPECT_EQ(ParseReplyLenient("a</think>b", true), (ParsedReply{"a", "b", {}}));
  EXPECT_EQ(ParseReplyLenient("b" + std::string(kEnd) + "c", false), (ParsedReply{"", "b", {}}));
  EXPECT_EQ(ParseReplyLenient("b</thi", false), (ParsedReply{"", "b</thi", {}}));
  const std::string broken = "b\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜param";
  EXPECT_EQ(ParseReplyLenient(broken + std::string(kEnd), false), (ParsedReply{"", broken, {}}));
  EXPECT_EQ(ParseReplyLenient("<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>", false),
            (ParsedReply{"", "", {{"f", "{}"}}}));
}

}  // namespace
}  // namespace baleen::text

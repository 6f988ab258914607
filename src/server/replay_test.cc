#include "server/replay.h"

#include <gtest/gtest.h>

#include "completion/fields.h"
#include "completion/openai_request.h"
#include "completion/response_writer.h"
#include "completion/scripted_engine.h"

namespace baleen::server {
namespace {

using completion::CompletionRequest;

constexpr const char* kTools = R"("tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {}, "y": {}}}}}])";
constexpr const char* kCallText =
    "Why not.</think>Let me see.\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"x\" string=\"false\">1.0</｜DSML｜parameter>\n"
    "<｜DSML｜parameter name=\"y\" string=\"true\">two</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls><｜end▁of▁sentence｜>";

CompletionRequest Chat(const std::string& fields) {
  return *completion::ReadOpenAiChat(*completion::ParseBody("{" + fields + "}"), 2048);
}

// The request's answer as the model wrote it, kept under the given ids of its calls.
std::vector<std::int32_t> Sample(CompletionRequest request, const std::string& text, const std::vector<std::string>& ids, ReplayMemory& memory,
                                 engine::Finish finish = engine::Finish::kEndToken) {
  completion::ScriptedEngine engine;
  const completion::ServedModel model = completion::PlanktonModel();
  const auto done = *completion::Completion::Start(engine.calls, model, std::move(request), 1);
  engine.Answer(0, text, finish);
  KeepForReplay(done->request(), *done->answers()[0], ids, memory);
  return done->answers()[0]->sampled();
}

class ReplayTest : public testing::Test {
 protected:
  // A conversation in which the assistant's turn is sent back in this form.
  CompletionRequest SentBack(const std::string& turn) const {
    return Chat(R"("model": "m", )" + std::string(kTools) + R"(, "messages": [{"role": "user", "content": "go"}, )" + turn +
                R"(, {"role": "tool", "tool_call_id": "call_1", "content": "done"}])");
  }
  static std::string Turn(const std::string& content, const std::string& reasoning, const std::string& arguments, const std::string& id = "call_1") {
    return R"({"role": "assistant", "content": ")" + content + R"(", "reasoning_content": ")" + reasoning + R"(", "tool_calls": [{"id": ")" + id +
           R"(", "type": "function", "function": {"name": "f", "arguments": ")" + arguments + R"("}}]})";
  }

  void SetUp() override { ids_ = Sample(Chat(std::string(kTools) + R"(, "messages": [{"role": "user", "content": "go"}])"), kCallText, {"call_1"}, memory_); }

  ReplayMemory memory_{{}, "model"};
  std::vector<std::int32_t> ids_;
};

TEST_F(ReplayTest, ATurnThatComesBackIsTheSampledOne) {
  CompletionRequest request = SentBack(Turn("Let me see.", "Why not.", R"({\"x\": 1.0, \"y\": \"two\"})"));
  const Replayed replayed = Replay(request, memory_);
  EXPECT_EQ(replayed.turns, 1);
  EXPECT_EQ(replayed.reasonings, 0);
  EXPECT_EQ(request.messages[1].sampled, ids_);
  EXPECT_TRUE(request.messages[1].sampled_thinking);
}

TEST_F(ReplayTest, OtherSpacesOrdersAndNumbersOfTheSameValueAreTheSame) {
  CompletionRequest request = SentBack(Turn("Let me see.\\n", " Why not.", R"({\"y\":\"two\",\"x\":1})"));
  EXPECT_EQ(Replay(request, memory_).turns, 1);
}

TEST_F(ReplayTest, MissingReasoningIsPutBack) {
  CompletionRequest same = SentBack(Turn("Let me see.", "", R"({\"x\": 1.0, \"y\": \"two\"})"));
  const Replayed replayed = Replay(same, memory_);
  EXPECT_EQ(replayed.turns, 1);
  EXPECT_EQ(replayed.reasonings, 1);
  CompletionRequest edited = SentBack(Turn("Let me look.", "", R"({\"x\": 1.0, \"y\": \"two\"})"));
  const Replayed restored = Replay(edited, memory_);
  EXPECT_EQ(restored.turns, 0);
  EXPECT_EQ(restored.reasonings, 1);
  EXPECT_EQ(edited.messages[1].reasoning_content, "Why not.");
  EXPECT_TRUE(edited.messages[1].sampled.empty());
}

TEST_F(ReplayTest, WhatTheClientChangedStaysAsTheClientWroteIt) {
  for (const std::string& turn : {Turn("Let me see.", "Because.", R"({\"x\": 1.0, \"y\": \"two\"})"), Turn("Let me see.", "Why not.", R"({\"x\": 2, \"y\": \"two\"})"),
                                  Turn("Let me see.", "Why not.", R"({\"x\": 1.0, \"y\": \"two\"})", "call_2")}) {
    CompletionRequest request = SentBack(turn);
    const text::Messages before = request.messages;
    const Replayed replayed = Replay(request, memory_);
    EXPECT_EQ(replayed.turns + replayed.reasonings, 0) << turn;
    EXPECT_EQ(request.messages[1].reasoning_content, before[1].reasoning_content);
  }
}

TEST_F(ReplayTest, AnotherTenantFindsNothing) {
  CompletionRequest request = SentBack(Turn("Let me see.", "", R"({\"x\": 1.0, \"y\": \"two\"})"));
  request.tenant = "another";
  const Replayed replayed = Replay(request, memory_);
  EXPECT_EQ(replayed.turns + replayed.reasonings, 0);
}

TEST_F(ReplayTest, ATurnWithoutCallsIsKnownByTheConversationInFrontOfIt) {
  const std::string off = R"("thinking": {"type": "disabled"}, )";
  const std::vector<std::int32_t> ids = Sample(Chat(off + R"("messages": [{"role": "user", "content": "a"}])"), "yes<｜end▁of▁sentence｜>", {}, memory_);
  CompletionRequest same = Chat(off + R"("messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "b"}])");
  EXPECT_EQ(Replay(same, memory_).turns, 1);
  EXPECT_EQ(same.messages[1].sampled, ids);
  CompletionRequest other = Chat(off + R"("messages": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "b"}])");
  EXPECT_EQ(Replay(other, memory_).turns, 0);
}

TEST_F(ReplayTest, WhatTheModelDidNotEndItselfIsNotKept) {
  const std::string off = R"("thinking": {"type": "disabled"}, )";
  for (const engine::Finish finish : {engine::Finish::kLength, engine::Finish::kStopped, engine::Finish::kCancelled, engine::Finish::kFailed}) {
    Sample(Chat(off + R"("messages": [{"role": "user", "content": "cut"}])"), "yes", {}, memory_, finish);
    CompletionRequest back = Chat(off + R"("messages": [{"role": "user", "content": "cut"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "b"}])");
    EXPECT_EQ(Replay(back, memory_).turns, 0);
  }
}

}  // namespace
}  // namespace baleen::server

// An earlier turn's sampled ids in the prompt: it goes on exactly from what the model's cache holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "completion/prompt.h"
#include "completion/scripted_engine.h"
#include "text/special_tokens.h"

namespace baleen::completion {
namespace {

using Ids = std::vector<std::int32_t>;

ServedModel Model(text::Encoding encoding) {
  ServedModel model;
  model.tokenizer = &PlanktonTokenizer();
  model.vocab_size = 2048;
  model.context = 100'000;
  model.encoding = encoding;
  model.end_ids = {PlanktonTokenizer().end_id()};
  return model;
}

// Ids that no tokenizer would choose for the text: a token for each byte, but for the markup.
Ids SampledIds(const std::string& text) {
  Ids ids;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t bytes = 1;
    for (const std::string_view token : {text::kThinkingEnd, text::kDsml, text::kEndOfSequence}) {
      if (text.substr(at).starts_with(token)) bytes = token.size();
    }
    for (const std::int32_t id : PlanktonTokenizer().Encode(text.substr(at, bytes))) ids.push_back(id);
    at += bytes;
  }
  return ids;
}

Ids Prompt(text::Encoding encoding, text::Thinking thinking, bool tools, text::Messages messages) {
  CompletionRequest request;
  request.thinking = thinking;
  request.messages = std::move(messages);
  if (tools) request.tools.push_back({.name = "f", .function_json = R"({"name": "f"})", .parameters_json = {}});
  const Checked<completion::Prompt> prompt = BuildPrompt(Model(encoding), request);
  EXPECT_TRUE(prompt) << prompt.error().message;
  return prompt ? prompt->ids : Ids();
}

text::Message User(const std::string& content) { return {.role = "user", .content = content}; }

text::Message Answer(bool thinks, bool calls) {
  text::Message answer{.role = "assistant", .content = "the answer"};
  std::string written = answer.content;
  if (thinks) {
    answer.reasoning_content = "well well";
    written = "well well</think>" + written;
  }
  if (calls) {
    answer.tool_calls = {{"1", "f", R"({"k": "v v"})"}};
    written += "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"k\" string=\"true\">v v</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>";
  }
  answer.sampled = SampledIds(written + std::string(text::kEndOfSequence));
  return answer;
}

text::Messages WithoutIds(text::Messages messages) {
  for (text::Message& message : messages) message.sampled.clear();
  return messages;
}

// What stands behind the last end token.
Ids BehindEnd(const Ids& ids) {
  return {std::find(ids.rbegin(), ids.rend(), PlanktonTokenizer().end_id()).base(), ids.end()};
}

Ids Joined(Ids a, const Ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Replay, GoesOnFromWhatWasSampled) {
  for (const text::Encoding encoding : {text::Encoding::kApril, text::Encoding::k0731}) {
    for (const text::Thinking thinking : {text::Thinking::kOff, text::Thinking::kLow, text::Thinking::kMax}) {
      for (const bool calls : {false, true}) {
        const bool thinks = thinking != text::Thinking::kOff;
        const text::Messages question = {User("first")};
        text::Messages next = {User("first"), Answer(thinks, calls)};
        next.push_back(calls ? text::Message{.role = "tool", .content = "42", .tool_call_id = "1"} : User("second"));
        // Without tools an earlier turn's reasoning would be dropped; with them all of it stays.
        const bool tools = calls || thinks;
        const Ids before = Prompt(encoding, thinking, tools, question);
        const Ids plain = Prompt(encoding, thinking, tools, WithoutIds(next));
        const Ids replayed = Prompt(encoding, thinking, tools, next);
        EXPECT_EQ(replayed, Joined(Joined(before, next[1].sampled), BehindEnd(plain))) << static_cast<int>(thinking) << calls;
        EXPECT_NE(replayed, plain);
        EXPECT_EQ(PlanktonTokenizer().Decode(replayed), PlanktonTokenizer().Decode(plain));
        next[1].reasoning_content.clear();  // the client left it out
        EXPECT_EQ(Prompt(encoding, thinking, tools, next), replayed);
      }
    }
  }
}

TEST(Replay, UsesTheTextWhereReasoningIsDropped) {
  const text::Messages next = {User("first"), Answer(true, false), User("second")};
  EXPECT_EQ(Prompt(text::Encoding::k0731, text::Thinking::kLow, false, next), Prompt(text::Encoding::k0731, text::Thinking::kLow, false, WithoutIds(next)));
  EXPECT_EQ(Prompt(text::Encoding::k0731, text::Thinking::kOff, true, next), Prompt(text::Encoding::k0731, text::Thinking::kOff, true, WithoutIds(next)));
}

TEST(Replay, KeepsHowATurnWasPrompted) {
  const text::Messages question = {User("first")};
  const text::Messages next = {User("first"), Answer(false, false), User("second")};
  const Ids replayed = Prompt(text::Encoding::k0731, text::Thinking::kLow, true, next);
  const Ids before = Joined(Prompt(text::Encoding::k0731, text::Thinking::kOff, true, question), next[1].sampled);
  ASSERT_GT(replayed.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), replayed.begin()));
}

TEST(Replay, CompletesAndForgets) {
  const text::Encoding encoding = text::Encoding::k0731;
  text::Messages next = {User("first"), Answer(false, false), User("second")};
  const Ids whole = Prompt(encoding, text::Thinking::kOff, false, next);
  next[1].sampled.pop_back();  // cut by max_tokens
  EXPECT_EQ(Prompt(encoding, text::Thinking::kOff, false, next), whole);
  next[1].sampled.front() = 1'000'000;
  EXPECT_EQ(Prompt(encoding, text::Thinking::kOff, false, next), Prompt(encoding, text::Thinking::kOff, false, WithoutIds(next)));
  next = {User("first"), Answer(false, false)};
  next[1].without_end = true;
  EXPECT_EQ(Prompt(encoding, text::Thinking::kOff, false, next), Prompt(encoding, text::Thinking::kOff, false, WithoutIds(next)));
}

}  // namespace
}  // namespace baleen::completion

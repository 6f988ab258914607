#include "completion/completion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "completion/fields.h"
#include "completion/logprobs.h"
#include "completion/openai_request.h"
#include "completion/openai_response.h"
#include "completion/scripted_engine.h"
#include "text/special_tokens.h"

namespace baleen::completion {
namespace {

// An engine that does what a test says.
struct Engine {
  std::vector<engine::Request> requests;
  std::vector<engine::RequestId> cancelled;
  std::size_t refused_from = 1000;
  EngineCalls calls{.submit = [this](engine::Request request) -> Result<engine::RequestId> {
                      if (requests.size() >= refused_from) return diagnostics::ResourceError("too much waits");
                      requests.push_back(std::move(request));
                      return requests.size();
                    },
                    .cancel = [this](engine::RequestId id) { cancelled.push_back(id); }};

  bool Say(std::size_t i, std::int32_t id) {
    const std::vector<engine::ScoredToken> likeliest = {{id, -0.5}, {id == 7 ? 8 : 7, -1.5}};
    ++said;
    return requests[i].on_token({.token = {id, -0.5}, .likeliest = likeliest, .ends = std::count(requests[i].end_ids.begin(), requests[i].end_ids.end(), id) > 0});
  }
  // True until the answer stops itself.
  bool Write(std::size_t i, const std::string& text) {
    for (const std::int32_t id : PlanktonTokenizer().Encode(text)) {
      if (!Say(i, id)) return false;
    }
    return true;
  }
  void End(std::size_t i, engine::Finish finish) {
    engine::Ending ending{.finish = finish, .usage = {.prompt_tokens = static_cast<std::int64_t>(requests[i].prompt.size()), .cached_tokens = 3, .completion_tokens = said}};
    if (finish == engine::Finish::kFailed) ending.error = diagnostics::InvalidInput("NaN");
    requests[i].on_end(ending);
    said = 0;
  }
  std::int64_t said = 0;
};

const std::string kQuestion = R"("messages": [{"role": "user", "content": "35+4"}])";

CompletionRequest Chat(const std::string& members) {
  const auto request = ReadOpenAiChat(*ParseBody("{" + members + "}"), 2048);
  EXPECT_TRUE(request) << request.error().message;
  return *request;
}

std::unique_ptr<Completion> Begin(Engine& engine, const ServedModel& model, CompletionRequest request) {
  auto completion = Completion::Start(engine.calls, model, std::move(request), 77);
  EXPECT_TRUE(completion) << completion.error().message;
  return *std::move(completion);
}

text::JsonValue Body(const Completion& completion, const ServedModel& model) {
  return *text::ParseJson(WriteOpenAiBody(completion, model, {.id = "chatcmpl-12", .created = 5}));
}

const text::JsonValue& At(const text::JsonValue& value, const std::string& key) { return *value.Find(key); }
const text::JsonValue& Choice(const text::JsonValue& body, std::size_t i) { return (*At(body, "choices").AsArray())[i]; }

TEST(Completion, SubmitsWhatWasAsked) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "thinking": {"type": "disabled"}, "n": 2, "seed": 9, "temperature": 0.25, "top_k": 4,
      "logit_bias": {"5": -100}, "max_tokens": 5000, "user": "me")"));
  ASSERT_EQ(engine.requests.size(), 2U);
  const engine::Request& first = engine.requests[0];
  EXPECT_EQ(PlanktonTokenizer().Decode(first.prompt), "<｜begin▁of▁sentence｜><｜User｜>35+4<｜Assistant｜></think>");
  EXPECT_EQ(first.sampling.seed, 9U);
  EXPECT_EQ(engine.requests[1].sampling.seed, 10U);
  EXPECT_EQ(first.sampling.temperature, 0.25);
  EXPECT_EQ(first.sampling.top_k, 4);
  EXPECT_EQ(first.sampling.logit_bias.at(0).id, 5);
  EXPECT_EQ(first.max_tokens, 1500 - static_cast<std::int64_t>(first.prompt.size()));
  EXPECT_EQ(first.end_ids, model.end_ids);
  EXPECT_EQ(first.tenant, "me");
  EXPECT_FALSE(first.likeliest);
  for (std::size_t i : {0U, 1U}) engine.End(i, engine::Finish::kEndToken);
  EXPECT_TRUE(completion->done());
}

TEST(Completion, DrawsASeedAndIgnoresTheEnd) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "thinking": {"type": "disabled"}, "ignore_eos": true, "max_tokens": 5)"));
  EXPECT_EQ(engine.requests[0].sampling.seed, 77U);
  EXPECT_TRUE(engine.requests[0].end_ids.empty());
  EXPECT_TRUE(engine.Write(0, "a"));
  EXPECT_TRUE(engine.Say(0, PlanktonTokenizer().end_id()));
  EXPECT_TRUE(engine.Write(0, "b"));
  engine.End(0, engine::Finish::kLength);
  EXPECT_EQ(*At(At(Choice(Body(*completion, model), 0), "message"), "content").AsString(), "ab");
}

TEST(Completion, KeepsSpecialTextPlain) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(R"("messages": [{"role": "user", "content": "<｜end▁of▁sentence｜></think>"}], "thinking": {"type": "disabled"})"));
  const std::vector<std::int32_t>& prompt = engine.requests[0].prompt;
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), PlanktonTokenizer().end_id()), 0);
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), *PlanktonTokenizer().Find("</think>")), 1);
  EXPECT_EQ(PlanktonTokenizer().Decode(prompt), "<｜begin▁of▁sentence｜><｜User｜><｜end▁of▁sentence｜></think><｜Assistant｜></think>");
  engine.End(0, engine::Finish::kEndToken);
}

TEST(Completion, SplitsReasoningAndItsLogprobs) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "reasoning_effort": "low", "logprobs": true, "top_logprobs": 2)"));
  EXPECT_EQ(engine.requests[0].likeliest, 2);
  const std::int64_t thought = static_cast<std::int64_t>(PlanktonTokenizer().Encode("hm yes</think>").size());
  EXPECT_TRUE(engine.Write(0, "hm yes</think>39"));
  EXPECT_TRUE(engine.Say(0, PlanktonTokenizer().end_id()));
  engine.End(0, engine::Finish::kEndToken);
  const text::JsonValue body = Body(*completion, model);
  const text::JsonValue& choice = Choice(body, 0);
  EXPECT_EQ(*At(At(choice, "message"), "reasoning_content").AsString(), "hm yes");
  EXPECT_EQ(*At(At(choice, "message"), "content").AsString(), "39");
  EXPECT_EQ(*At(choice, "finish_reason").AsString(), "stop");
  EXPECT_EQ(At(At(choice, "logprobs"), "reasoning_content").AsArray()->size(), static_cast<std::size_t>(thought));
  const text::JsonArray& content = *At(At(choice, "logprobs"), "content").AsArray();
  EXPECT_EQ(content.size(), PlanktonTokenizer().Encode("39").size());
  EXPECT_EQ(text::WriteJson(content[0]), R"({"token": "3", "logprob": -0.5, "bytes": [51], "top_logprobs": [{"token": "3", "logprob": -0.5, "bytes": [51]}, )"
                                         R"({"token": ")" + TokenText(PlanktonTokenizer(), 7) + R"(", "logprob": -1.5, "bytes": )" +
                                             text::WriteJson(At((*At(content[0], "top_logprobs").AsArray())[1], "bytes")) + "}]}");
  EXPECT_EQ(At(At(At(body, "usage"), "completion_tokens_details"), "reasoning_tokens").AsInt64(), thought);
  EXPECT_EQ(At(At(At(body, "usage"), "prompt_tokens_details"), "cached_tokens").AsInt64(), 3);
}

TEST(Completion, StopsAtATextAcrossTokens) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "thinking": {"type": "disabled"}, "stop": ["4 = 3", "never"])"));
  EXPECT_FALSE(engine.Write(0, "35 + 4 = 36."));
  engine.End(0, engine::Finish::kStopped);
  const text::JsonValue body = Body(*completion, model);
  EXPECT_EQ(*At(At(Choice(body, 0), "message"), "content").AsString(), "35 + ");
  EXPECT_EQ(*At(Choice(body, 0), "finish_reason").AsString(), "stop");
  EXPECT_EQ(At(Choice(body, 0), "message").Find("reasoning_content"), nullptr);
}

TEST(Completion, GivesToolCalls) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "thinking": {"type": "disabled"}, "tools": [{"type": "function", "function": {"name": "f"}}])"));
  EXPECT_NE(PlanktonTokenizer().Decode(engine.requests[0].prompt).find("\n\n{\"name\": \"f\"}\n\n"), std::string::npos);
  engine.Write(0, "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"k\" string=\"true\">v</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>");
  engine.End(0, engine::Finish::kEndToken);
  const text::JsonValue body = Body(*completion, model);
  const text::JsonValue& message = At(Choice(body, 0), "message");
  EXPECT_EQ(*At(Choice(body, 0), "finish_reason").AsString(), "tool_calls");
  EXPECT_TRUE(At(message, "content").IsNull());
  EXPECT_EQ(text::WriteJson(At(message, "tool_calls")), R"([{"id": "call_12_0_0", "type": "function", "function": {"name": "f", "arguments": "{\"k\": \"v\"}"}}])");
}

TEST(Completion, UnwrapsArguments) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "thinking": {"type": "disabled"}, "tools": [{"type": "function", "function": {"name": "f",
      "parameters": {"type": "object", "properties": {"input": {"type": "object"}}}}}])"));
  const auto call = [](const std::string& key) {
    return "<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"" + key + "\" string=\"false\">{\"a\": 1}</｜DSML｜parameter>\n</｜DSML｜invoke>\n";
  };
  engine.Write(0, "\n\n<｜DSML｜tool_calls>\n" + call("arguments") + call("input") + "</｜DSML｜tool_calls>");
  engine.End(0, engine::Finish::kEndToken);
  const std::vector<text::ParsedCall>& calls = completion->answers()[0]->reply().tool_calls;
  EXPECT_EQ(calls, (std::vector<text::ParsedCall>{{"f", R"({"a": 1})"}, {"f", R"({"input": {"a": 1}})"}}));
}

TEST(Completion, ForbidsCallsWhereNoneAreWanted) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "tool_choice": "none", "tools": [{"type": "function", "function": {"name": "f"}}])"));
  const std::vector<std::uint8_t>& allowed = engine.requests[0].allowed;
  ASSERT_EQ(allowed.size(), 2048U);
  EXPECT_EQ(std::count(allowed.begin(), allowed.end(), 0), 1);
  EXPECT_EQ(allowed[static_cast<std::size_t>(*PlanktonTokenizer().Find(text::kDsml))], 0);
  engine.End(0, engine::Finish::kEndToken);
}

TEST(Completion, FailsAsAWhole) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "n": 2)"));
  engine.End(0, engine::Finish::kEndToken);
  EXPECT_FALSE(completion->done());
  engine.End(1, engine::Finish::kFailed);
  EXPECT_TRUE(completion->done());
  EXPECT_EQ(completion->failure()->status, 500);
  EXPECT_NE(completion->failure()->message.find("NaN"), std::string::npos);
}

TEST(Completion, EndsWhatRunsWhenAChoiceIsRefused) {
  Engine engine;
  engine.refused_from = 2;
  const ServedModel model = PlanktonModel();
  const auto completion = Begin(engine, model, Chat(kQuestion + R"(, "n": 3)"));
  EXPECT_EQ(engine.cancelled.size(), 2U);
  EXPECT_FALSE(completion->done());
  for (std::size_t i : {0U, 1U}) engine.End(i, engine::Finish::kCancelled);
  EXPECT_TRUE(completion->done());
  ASSERT_TRUE(completion->failure());
  EXPECT_EQ(completion->failure()->status, 503);
}

TEST(Completion, HandsOutDeltas) {
  Engine engine;
  engine.refused_from = 2;
  const ServedModel model = PlanktonModel();
  std::vector<Delta> deltas;
  const auto completion = Completion::Start(engine.calls, model, Chat(kQuestion + R"(, "n": 3, "thinking": {"type": "disabled"}, "logprobs": true)"), 1,
                                            [&](Delta delta) { deltas.push_back(std::move(delta)); });
  ASSERT_TRUE(completion);
  ASSERT_EQ(deltas.size(), 1U);  // the refused choice
  EXPECT_TRUE(deltas[0].ended && deltas[0].choice == 2);
  EXPECT_TRUE(engine.Write(1, "ab<"));
  engine.End(1, engine::Finish::kLength);
  EXPECT_TRUE((*completion)->answers()[1]->ended());
  engine.End(0, engine::Finish::kCancelled);
  text::ParsedReply reply;
  std::size_t tokens = 0;
  for (const Delta& delta : deltas) {
    if (delta.choice != 1) continue;
    for (const text::ReplyEvent& event : delta.events) text::AddEvent(event, reply);
    tokens += delta.tokens.size();
  }
  EXPECT_EQ(reply, (*completion)->answers()[1]->reply());
  EXPECT_EQ(reply.content, "ab<");
  EXPECT_EQ(tokens, PlanktonTokenizer().Encode("ab<").size());
  EXPECT_EQ((*completion)->answers()[1]->sampled(), PlanktonTokenizer().Encode("ab<"));
  EXPECT_EQ(std::count_if(deltas.begin(), deltas.end(), [](const Delta& delta) { return delta.ended; }), 3);
  EXPECT_TRUE((*completion)->done());
  EXPECT_NE((*completion)->failure()->message.find("too much waits"), std::string::npos);
}

TEST(Completion, RefusesWhatCannotRun) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto refused = [&](const std::string& members, const std::string& param) {
    const auto completion = Completion::Start(engine.calls, model, Chat(members), 1);
    ASSERT_FALSE(completion) << members;
    EXPECT_EQ(completion.error().param, param) << completion.error().message;
  };
  std::string words;
  for (int i = 0; i < 2000; ++i) words += "word ";
  refused(R"("messages": [{"role": "user", "content": ")" + words + "\"}]", "messages");
  refused(kQuestion + R"(, "response_format": {"type": "json_object"})", "response_format");
  refused(kQuestion + R"(, "tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}])", "tools");
  refused(R"("messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "1"}}]}, {"role": "user", "content": "a"}])", "messages");
  engine.refused_from = 0;
  refused(kQuestion, "");  // the engine is full: no field is at fault
}

TEST(Completion, FillsInTheMiddle) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto request = ReadOpenAiText(*ParseBody(R"({"prompt": "a</think>", "suffix": "b<｜fim▁end｜>"})"), 2048);
  ASSERT_TRUE(request);
  const auto completion = Begin(engine, model, *request);
  const std::vector<std::int32_t>& prompt = engine.requests[0].prompt;
  EXPECT_EQ(PlanktonTokenizer().Decode(prompt), "<｜begin▁of▁sentence｜><｜fim▁begin｜>a</think><｜fim▁hole｜>b<｜fim▁end｜><｜fim▁end｜>");
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), *PlanktonTokenizer().Find(text::kFimEnd)), 1);
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), *PlanktonTokenizer().Find("</think>")), 0);
  engine.End(0, engine::Finish::kLength);
}

TEST(Response, WritesTextCompletions) {
  Engine engine;
  const ServedModel model = PlanktonModel();
  const auto request = ReadOpenAiText(*ParseBody(R"({"prompt": "35", "logprobs": 2})"), 2048);
  ASSERT_TRUE(request);
  const auto completion = Begin(engine, model, *request);
  EXPECT_EQ(engine.requests[0].prompt, PlanktonTokenizer().Encode("35"));
  EXPECT_EQ(engine.requests[0].max_tokens, kTextTokens);
  EXPECT_TRUE(engine.Write(0, "12</think>"));
  engine.End(0, engine::Finish::kLength);
  const text::JsonValue body = Body(*completion, model);
  EXPECT_EQ(*At(Choice(body, 0), "text").AsString(), "12</think>");
  EXPECT_EQ(*At(Choice(body, 0), "finish_reason").AsString(), "length");
  EXPECT_EQ(*At(body, "object").AsString(), "text_completion");
  EXPECT_EQ(text::WriteJson(At(At(Choice(body, 0), "logprobs"), "text_offset")), "[0, 1, 2]");
  EXPECT_EQ(At(body, "usage").Find("completion_tokens_details"), nullptr);
}

TEST(Response, WritesErrorsAndTokens) {
  EXPECT_EQ(WriteOpenAiError(Refuse(400, "n", "n: \"x\"", "invalid_type")),
            R"({"error": {"message": "n: \"x\"", "type": "invalid_request_error", "param": "n", "code": "invalid_type"}})");
  const std::string bytes = TokenText(PlanktonTokenizer(), PlanktonTokenizer().EncodePlain("\xE9").front());
  EXPECT_EQ(bytes, "bytes:\\xe9");
  EXPECT_EQ(TokenText(PlanktonTokenizer(), 1'000'000), "id:1000000");
}

}  // namespace
}  // namespace baleen::completion

// What every dialect writes, byte for byte: one answer with reasoning, content and a call, streamed and not.
#include "completion/response_writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "completion/anthropic_request.h"
#include "completion/anthropic_response.h"
#include "completion/fields.h"
#include "completion/openai_request.h"
#include "completion/openai_stream.h"
#include "completion/responses_response.h"
#include "completion/scripted_engine.h"

namespace baleen::completion {
namespace {

using Kind = text::ReplyEvent::Kind;

const std::string kQuestion = R"("messages": [{"role": "user", "content": "Q"}])";
const std::string kCall =
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"k\" string=\"true\">v</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
    "</｜DSML｜tool_calls>";

const ServedModel& Model() {
  static const ServedModel model = PlanktonModel();
  return model;
}

// A completion that has ended with a text.
struct Answered {
  ScriptedEngine engine;
  std::unique_ptr<Completion> completion;

  Answered(CompletionRequest request, const std::string& text, engine::Finish finish = engine::Finish::kEndToken) {
    auto started = Completion::Start(engine.calls, Model(), std::move(request), 7);
    EXPECT_TRUE(started) << started.error().message;
    completion = *std::move(started);
    for (std::size_t i = 0; i < engine.requests.size(); ++i) engine.Answer(i, text, finish);
  }

  std::string PromptTokens(std::int64_t less = 0) const { return std::to_string(completion->prompt_tokens() - less); }
  std::string AnswerTokens() const { return std::to_string(completion->Usage().completion_tokens); }
};

// The same answer as it might have come.
std::vector<Delta> Deltas() {
  return {{.choice = 0, .events = {{Kind::kReasoning, "hm"}}, .tokens = {}},
          {.choice = 0, .events = {{Kind::kContent, "Yo\u2028"}}, .tokens = {}},
          {.choice = 0, .events = {{Kind::kToolBlockStart, {}}, {Kind::kCallStart, "f"}, {Kind::kArguments, "{\"k\": \""}}, .tokens = {}},
          {.choice = 0, .events = {{Kind::kArguments, "v\"}"}, {Kind::kCallEnd, {}}}, .tokens = {}, .ended = true}};
}

std::string Stream(ResponseWriter& writer, const Completion& completion) {
  std::string out = writer.Begin();
  for (const Delta& delta : Deltas()) out += writer.Write(completion, delta);
  return out + writer.End(completion);
}

const std::string kReply = "hm</think>Yo\u2028" + kCall;

TEST(OpenAiWriter, WritesChats) {
  const auto request = ReadOpenAiChat(*ParseBody("{" + kQuestion + R"(, "tools": [{"type": "function", "function": {"name": "f"}}], "stream_options": {"include_usage": true}})"), 2048);
  ASSERT_TRUE(request);
  const Answered answered(*request, kReply);
  const ResponseNames names{.id = "chatcmpl-12", .created = 5, .fingerprint = "fp_1"};
  const std::string usage = "{\"prompt_tokens\": " + answered.PromptTokens() + ", \"completion_tokens\": " + answered.AnswerTokens() +
                            ", \"total_tokens\": " + std::to_string(std::stoll(answered.PromptTokens()) + std::stoll(answered.AnswerTokens())) +
                            R"(, "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 3}, "prompt_cache_hit_tokens": 3, )" +
                            "\"prompt_cache_miss_tokens\": " + answered.PromptTokens(3) + "}";
  const auto head = [](const std::string& object) {
    return R"({"id": "chatcmpl-12", "object": ")" + object + R"(", "created": 5, "model": "plankton", "system_fingerprint": "fp_1", "choices": [)";
  };
  const auto chunk = [&](const std::string& delta, const std::string& finish = "null") {
    return "data: " + head("chat.completion.chunk") + R"({"index": 0, "delta": )" + delta + R"(, "logprobs": null, "finish_reason": )" + finish + "}], \"usage\": null}\n\n";
  };
  EXPECT_EQ(Stream(*MakeOpenAiWriter(*request, Model(), names), *answered.completion),
            chunk(R"({"role": "assistant", "content": ""})") + chunk(R"({"reasoning_content": "hm"})") + chunk(R"({"content": "Yo\u2028"})") +
                chunk(R"({"tool_calls": [{"index": 0, "id": "call_12_0_0", "type": "function", "function": {"name": "f", "arguments": ""}}]})") +
                chunk(R"({"tool_calls": [{"index": 0, "function": {"arguments": "{\"k\": \""}}]})") +
                chunk(R"({"tool_calls": [{"index": 0, "function": {"arguments": "v\"}"}}]})") + chunk("{}", "\"tool_calls\"") + "data: " + head("chat.completion.chunk") +
                "], \"usage\": " + usage + "}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(MakeOpenAiWriter(*request, Model(), names)->Body(*answered.completion),
            head("chat.completion") + "{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": \"Yo\u2028\", \"reasoning_content\": \"hm\", " +
                R"("tool_calls": [{"id": "call_12_0_0", "type": "function", "function": {"name": "f", "arguments": "{\"k\": \"v\"}"}}]}, "logprobs": null, )" +
                R"("finish_reason": "tool_calls"}], "usage": )" + usage + "}");
}

TEST(OpenAiWriter, WritesErrorsAndNothingBehindThem) {
  const auto request = ReadOpenAiChat(*ParseBody("{" + kQuestion + "}"), 2048);
  const auto writer = MakeOpenAiWriter(*request, Model(), {.id = "chatcmpl-1"});
  EXPECT_EQ(writer->Fail(Refuse(500, "", "boom", "failed")), "data: {\"error\": {\"message\": \"boom\", \"type\": \"server_error\", \"param\": null, \"code\": \"failed\"}}\n\n");
  EXPECT_EQ(writer->KeepAlive(), ": keep-alive\n\n");
  for (const auto& [status, type] : {std::pair(401, "authentication_error"), std::pair(404, "invalid_request_error"), std::pair(429, "rate_limit_error"), std::pair(503, "server_error")}) {
    EXPECT_NE(WriteOpenAiError(Refuse(status, "", "m", "")).find(type), std::string::npos) << status;
  }
}

// Every token's log-probability is in exactly one chunk.
TEST(OpenAiWriter, KeepsLogprobsTillThereIsText) {
  const auto request = ReadOpenAiChat(*ParseBody("{" + kQuestion + R"(, "logprobs": true, "thinking": {"type": "disabled"}})"), 2048);
  const Answered answered(*request, "ab", engine::Finish::kLength);
  const auto writer = MakeOpenAiWriter(*request, Model(), {.id = "chatcmpl-1"});
  const SampledToken token = answered.completion->answers()[0]->tokens().at(0);
  const std::string list = R"("logprobs": {"content": [)";
  const std::string first = writer->Write(*answered.completion, {.choice = 0, .events = {}, .tokens = {token}});
  const std::string second = writer->Write(*answered.completion, {.choice = 0, .events = {{Kind::kContent, "ab"}}, .tokens = {token}});
  const std::string last = writer->Write(*answered.completion, {.choice = 0, .events = {}, .tokens = {}, .ended = true});
  EXPECT_EQ(first, "");
  EXPECT_NE(second.find(list), std::string::npos);
  const std::string text = R"({"token": "ab")";
  EXPECT_NE(second.find(text, second.find(text) + 1), std::string::npos) << second;
  EXPECT_NE(last.find(R"("delta": {}, "logprobs": null, "finish_reason": "length")"), std::string::npos) << last;
}

TEST(OpenAiWriter, WritesTexts) {
  const auto request = ReadOpenAiText(*ParseBody(R"({"prompt": "p", "n": 2})"), 2048);
  const Answered answered(*request, "ab", engine::Finish::kLength);
  const auto writer = MakeOpenAiWriter(*request, Model(), {.id = "cmpl-1", .created = 5});
  const auto chunk = [](const std::string& index, const std::string& text, const std::string& finish) {
    return R"(data: {"id": "cmpl-1", "object": "text_completion", "created": 5, "model": "plankton", "choices": [{"text": ")" + text + R"(", "index": )" + index +
           R"(, "logprobs": null, "finish_reason": )" + finish + "}]}\n\n";
  };
  std::string out = writer->Begin();
  for (const std::int64_t choice : {0, 1}) out += writer->Write(*answered.completion, {.choice = choice, .events = {{Kind::kContent, "ab"}}, .tokens = {}, .ended = true});
  EXPECT_EQ(out + writer->End(*answered.completion),
            chunk("0", "ab", "null") + chunk("0", "", "\"length\"") + chunk("1", "ab", "null") + chunk("1", "", "\"length\"") + "data: [DONE]\n\n");
}

// A response object with what the requests of these tests echo.
std::string ResponseJson(const std::string& state, const std::string& output, const std::string& tools, const std::string& usage) {
  return R"({"id": "resp_12", "object": "response", "created_at": 5, "completed_at": null, )" + state + R"(, "model": "plankton", "output": [)" + output +
         R"(], "instructions": null, "max_output_tokens": null, "parallel_tool_calls": true, "tool_choice": "auto", "tools": )" + tools +
         R"(, "reasoning": {"effort": null, "summary": null}, "text": {"format": {"type": "text"}}, "top_logprobs": 0, "metadata": {"a": "b"}, "user": null, )"
         R"("safety_identifier": null, "previous_response_id": null, "store": false, "background": false, "service_tier": "default", "truncation": "disabled", )"
         R"("max_tool_calls": null, "prompt_cache_key": null, "temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "usage": )" +
         usage + "}";
}

const std::string kFunction = R"({"type": "function", "name": "f", "description": null, "parameters": null, "strict": false})";
const std::string kRunning = R"("status": "in_progress", "error": null, "incomplete_details": null)";
const std::string kCompleted = R"("status": "completed", "error": null, "incomplete_details": null)";

// Numbers the events.
class Events {
 public:
  Events& Add(const std::string& type, const std::string& members) {
    text_ += "event: response." + type + "\ndata: {\"type\": \"response." + type + "\", \"sequence_number\": " + std::to_string(number_++) + ", " + members + "}\n\n";
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  int number_ = 0;
};

std::string ResponsesUsage(const Answered& answered) {
  return "{\"input_tokens\": " + answered.PromptTokens() + R"(, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0}, "output_tokens": )" +
         answered.AnswerTokens() + R"(, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": )" +
         std::to_string(std::stoll(answered.PromptTokens()) + std::stoll(answered.AnswerTokens())) + "}";
}

TEST(ResponsesWriter, WritesEventsAndBody) {
  const auto request = ReadResponses(*ParseBody(R"({"input": "Q", "metadata": {"a": "b"}, "tools": [{"type": "function", "name": "f"}]})"));
  ASSERT_TRUE(request);
  const Answered answered(request->completion, kReply);
  const ResponseNames names{.id = "resp_12", .created = 5};
  const std::string rs = R"("item_id": "rs_12_0", "output_index": 0, "content_index": 0, )", msg = R"("item_id": "msg_12_1", "output_index": 1, "content_index": 0, )";
  const std::string fc = R"("item_id": "fc_12_2", "output_index": 2, )";
  const std::string thought = R"({"type": "reasoning_text", "text": "hm"})", said = R"({"type": "output_text", "annotations": [], "logprobs": [], "text": "Yo\u2028"})";
  const std::string item0 = R"({"id": "rs_12_0", "type": "reasoning", "status": "completed", "summary": [], "content": [)" + thought + "]}";
  const std::string item1 = R"({"id": "msg_12_1", "type": "message", "status": "completed", "role": "assistant", "content": [)" + said + "]}";
  const std::string item2 = R"({"id": "fc_12_2", "type": "function_call", "status": "completed", "call_id": "call_resp_12_0_0", "name": "f", "arguments": "{\"k\": \"v\"}"})";
  const std::string running = "\"response\": " + ResponseJson(kRunning, "", "[" + kFunction + "]", "null");
  const std::string done = ResponseJson(kCompleted, item0 + ", " + item1 + ", " + item2, "[" + kFunction + "]", ResponsesUsage(answered));
  Events events;
  events.Add("created", running).Add("in_progress", running);
  events.Add("output_item.added", R"("output_index": 0, "item": {"id": "rs_12_0", "type": "reasoning", "status": "in_progress", "summary": [], "content": []})");
  events.Add("content_part.added", rs + R"("part": {"type": "reasoning_text", "text": ""})").Add("reasoning_text.delta", rs + R"("delta": "hm")");
  events.Add("reasoning_text.done", rs + R"("text": "hm")").Add("content_part.done", rs + "\"part\": " + thought);
  events.Add("output_item.done", R"("output_index": 0, "item": )" + item0);
  events.Add("output_item.added", R"("output_index": 1, "item": {"id": "msg_12_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []})");
  events.Add("content_part.added", msg + R"("part": {"type": "output_text", "annotations": [], "logprobs": [], "text": ""})");
  events.Add("output_text.delta", msg + R"("delta": "Yo\u2028", "logprobs": [])").Add("output_text.done", msg + R"("text": "Yo\u2028", "logprobs": [])");
  events.Add("content_part.done", msg + "\"part\": " + said).Add("output_item.done", R"("output_index": 1, "item": )" + item1);
  events.Add("output_item.added", R"("output_index": 2, "item": {"id": "fc_12_2", "type": "function_call", "status": "in_progress", "call_id": "call_resp_12_0_0", "name": "f", "arguments": ""})");
  events.Add("function_call_arguments.delta", fc + R"("delta": "{\"k\": \"")").Add("function_call_arguments.delta", fc + R"("delta": "v\"}")");
  events.Add("function_call_arguments.done", fc + R"("name": "f", "arguments": "{\"k\": \"v\"}")").Add("output_item.done", R"("output_index": 2, "item": )" + item2);
  events.Add("completed", "\"response\": " + done);
  EXPECT_EQ(Stream(*MakeResponsesWriter(*request, Model(), names), *answered.completion), events.text());
  EXPECT_EQ(text::KeepOneLine(MakeResponsesWriter(*request, Model(), names)->Body(*answered.completion)), done);
}

TEST(ResponsesWriter, SaysWhereItWasCutOrFailed) {
  const auto request = ReadResponses(*ParseBody(R"({"input": "Q", "metadata": {"a": "b"}})"));
  const Answered answered(request->completion, "hm</think>Yo", engine::Finish::kLength);
  const ResponseNames names{.id = "resp_12", .created = 5};
  const std::string item0 = R"({"id": "rs_12_0", "type": "reasoning", "status": "completed", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]})";
  const std::string item1 = R"({"id": "msg_12_1", "type": "message", "status": "incomplete", "role": "assistant", "content": )"
                            R"([{"type": "output_text", "annotations": [], "logprobs": [], "text": "Yo"}]})";
  const std::string body = ResponseJson(R"("status": "incomplete", "error": null, "incomplete_details": {"reason": "max_output_tokens"})", item0 + ", " + item1, "[]",
                                        ResponsesUsage(answered));
  EXPECT_EQ(MakeResponsesWriter(*request, Model(), names)->Body(*answered.completion), body);
  const auto writer = MakeResponsesWriter(*request, Model(), names);
  writer->Begin();
  writer->Write(*answered.completion, {.choice = 0, .events = {{Kind::kReasoning, "hm"}, {Kind::kContent, "Yo"}}, .tokens = {}, .ended = true});
  EXPECT_TRUE(writer->End(*answered.completion).ends_with("event: response.incomplete\ndata: {\"type\": \"response.incomplete\", \"sequence_number\": 14, \"response\": " + body + "}\n\n"));
  const auto failing = MakeResponsesWriter(*request, Model(), names);
  failing->Write(*answered.completion, {.choice = 0, .events = {{Kind::kReasoning, "h"}}, .tokens = {}});
  const std::string open = R"({"id": "rs_12_0", "type": "reasoning", "status": "incomplete", "summary": [], "content": [{"type": "reasoning_text", "text": "h"}]})";
  EXPECT_EQ(failing->Fail(Refuse(500, "", "boom", "failed")),
            "event: response.failed\ndata: {\"type\": \"response.failed\", \"sequence_number\": 3, \"response\": " +
                ResponseJson(R"("status": "failed", "error": {"code": "server_error", "message": "boom"}, "incomplete_details": null)", open, "[]", "null") + "}\n\n");
}

TEST(ResponsesWriter, GivesCustomToolsTheirInput) {
  const auto request = ReadResponses(*ParseBody(R"({"input": "Q", "metadata": {"a": "b"}, "tools": [{"type": "custom", "name": "f"}]})"));
  ASSERT_TRUE(request);
  const Answered answered(request->completion, "</think>x");
  const auto writer = MakeResponsesWriter(*request, Model(), {.id = "resp_12", .created = 5});
  const std::string out = writer->Write(*answered.completion, {.choice = 0,
                                                               .events = {{Kind::kCallStart, "f"}, {Kind::kArguments, "{\"input\": \"a\\n"}, {Kind::kArguments, "b\"}"}, {Kind::kCallEnd, {}}},
                                                               .tokens = {}});
  const std::string place = R"("item_id": "ctc_12_0", "output_index": 0, )";
  const std::string call = R"("id": "ctc_12_0", "type": "custom_tool_call", "status": ")", name = R"(", "call_id": "call_resp_12_0_0", "name": "f", "input": ")";
  Events events;
  events.Add("output_item.added", R"("output_index": 0, "item": {)" + call + "in_progress" + name + "\"}");
  events.Add("custom_tool_call_input.delta", place + R"("delta": "a\nb")").Add("custom_tool_call_input.done", place + R"("input": "a\nb")");
  events.Add("output_item.done", R"("output_index": 0, "item": {)" + call + "completed" + name + R"(a\nb"})");
  EXPECT_EQ(out, events.text());
}

TEST(ResponsesWriter, GivesLogprobsOfWhatIsSaid) {
  const auto request = ReadResponses(*ParseBody(R"({"input": "Q", "top_logprobs": 1, "tools": [{"type": "function", "name": "f"}]})"));
  const Answered answered(request->completion, "hm</think>ab" + kCall);
  const auto body = text::ParseJson(MakeResponsesWriter(*request, Model(), {.id = "resp_12"})->Body(*answered.completion));
  const text::JsonValue& part = (*(*body->Find("output")->AsArray())[1].Find("content")->AsArray())[0];
  EXPECT_EQ(text::WriteJson(*part.Find("logprobs")),
            R"([{"token": "ab", "logprob": -0.5, "bytes": [97, 98], "top_logprobs": [{"token": "ab", "logprob": -0.5, "bytes": [97, 98]}]}])");
}

TEST(AnthropicWriter, WritesEventsAndBody) {
  const auto request = ReadAnthropic(*ParseBody("{" + kQuestion + R"(, "max_tokens": 99, "thinking": {"type": "enabled"}, "tools": [{"name": "f", "input_schema": {}}]})"));
  ASSERT_TRUE(request);
  const Answered answered(*request, kReply);
  const ResponseNames names{.id = "msg_12", .created = 5};
  const auto event = [](const std::string& type, const std::string& members) { return "event: " + type + "\ndata: {\"type\": \"" + type + "\"" + members + "}\n\n"; };
  const auto delta = [&](int index, const std::string& members) { return event("content_block_delta", ", \"index\": " + std::to_string(index) + ", \"delta\": {" + members + "}"); };
  const std::string head = R"({"id": "msg_12", "type": "message", "role": "assistant", "model": "plankton", "content": [)";
  const std::string usage = "{\"input_tokens\": " + answered.PromptTokens(3) + R"(, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": )" +
                            answered.AnswerTokens() + "}";
  const auto writer = MakeAnthropicWriter(*request, Model(), names);
  EXPECT_EQ(writer->KeepAlive(), ": keep-alive\n\n");
  EXPECT_EQ(Stream(*writer, *answered.completion),
            event("message_start", ", \"message\": " + head + R"(], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": )" + answered.PromptTokens() +
                                       R"(, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}})") +
                event("content_block_start", R"(, "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""})") +
                delta(0, R"("type": "thinking_delta", "thinking": "hm")") + delta(0, R"("type": "signature_delta", "signature": "unsigned_msg_12")") +
                event("content_block_stop", ", \"index\": 0") + event("content_block_start", R"(, "index": 1, "content_block": {"type": "text", "text": ""})") +
                delta(1, R"("type": "text_delta", "text": "Yo\u2028")") + event("content_block_stop", ", \"index\": 1") +
                event("content_block_start", R"(, "index": 2, "content_block": {"type": "tool_use", "id": "call_msg_12_0_0", "name": "f", "input": {}})") +
                delta(2, R"("type": "input_json_delta", "partial_json": "{\"k\": \"")") + delta(2, R"("type": "input_json_delta", "partial_json": "v\"}")") +
                event("content_block_stop", ", \"index\": 2") + event("message_delta", R"(, "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": )" + usage) +
                event("message_stop", ""));
  EXPECT_EQ(writer->KeepAlive(), event("ping", ""));
  EXPECT_EQ(MakeAnthropicWriter(*request, Model(), names)->Body(*answered.completion),
            head + "{\"type\": \"thinking\", \"thinking\": \"hm\", \"signature\": \"unsigned_msg_12\"}, {\"type\": \"text\", \"text\": \"Yo\u2028\"}, " +
                R"({"type": "tool_use", "id": "call_msg_12_0_0", "name": "f", "input": {"k": "v"}}], "stop_reason": "tool_use", "stop_sequence": null, "usage": )" + usage + "}");
}

TEST(AnthropicWriter, SaysWhyItStopped) {
  const auto request = ReadAnthropic(*ParseBody("{" + kQuestion + R"(, "max_tokens": 99, "stop_sequences": ["o", "lo"]})"));
  const auto body = [&](const std::string& text, engine::Finish finish) {
    return MakeAnthropicWriter(*request, Model(), {.id = "msg_1"})->Body(*Answered(*request, text, finish).completion);
  };
  EXPECT_NE(body("hi", engine::Finish::kEndToken).find(R"("stop_reason": "end_turn", "stop_sequence": null)"), std::string::npos);
  EXPECT_NE(body("hi", engine::Finish::kLength).find(R"("stop_reason": "max_tokens", "stop_sequence": null)"), std::string::npos);
  const std::string stopped = body("hello", engine::Finish::kEndToken);
  EXPECT_NE(stopped.find(R"("content": [{"type": "text", "text": "hel"}], "stop_reason": "stop_sequence", "stop_sequence": "lo")"), std::string::npos) << stopped;
}

// The call's arguments are no JSON, but the input still is an object.
TEST(AnthropicWriter, WritesAnObjectForACallThatWasCut) {
  const auto request = ReadAnthropic(*ParseBody("{" + kQuestion + R"(, "max_tokens": 99, "tools": [{"name": "f", "input_schema": {}}]})"));
  const Answered answered(*request, kCall.substr(0, kCall.find("v</")) + "v", engine::Finish::kLength);
  const auto body = text::ParseJson(MakeAnthropicWriter(*request, Model(), {.id = "msg_1"})->Body(*answered.completion));
  ASSERT_TRUE(body);
  EXPECT_EQ(*body->Find("stop_reason")->AsString(), "max_tokens");
  const text::JsonValue& block = body->Find("content")->AsArray()->back();
  ASSERT_EQ(*block.Find("type")->AsString(), "tool_use");
  EXPECT_EQ(text::WriteJson(*block.Find("input")), R"({"arguments": "{\"k\": \"v"})");
}

TEST(AnthropicErrors, FollowTheStatus) {
  const std::vector<std::pair<int, std::string>> types = {{400, "invalid_request_error"}, {401, "authentication_error"}, {402, "billing_error"}, {403, "permission_error"},
                                                          {404, "not_found_error"}, {413, "request_too_large"}, {422, "invalid_request_error"}, {429, "rate_limit_error"},
                                                          {500, "api_error"}, {503, "overloaded_error"}, {504, "timeout_error"}, {529, "overloaded_error"}};
  for (const auto& [status, type] : types) {
    EXPECT_EQ(WriteAnthropicError(Refuse(status, "n", "n: \"x\"", ""), "req_1"),
              R"({"type": "error", "error": {"type": ")" + type + R"(", "message": "n: \"x\""}, "request_id": "req_1"})");
  }
  EXPECT_EQ(AnthropicStatus(422), 400);
  EXPECT_EQ(AnthropicStatus(503), 529);
  EXPECT_EQ(AnthropicStatus(404), 404);
  const auto request = ReadAnthropic(*ParseBody("{" + kQuestion + R"(, "max_tokens": 9})"));
  EXPECT_EQ(MakeAnthropicWriter(*request, Model(), {.id = "msg_1", .request_id = "req_1"})->Fail(Refuse(503, "", "busy", "")),
            "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"busy\"}, \"request_id\": \"req_1\"}\n\n");
  EXPECT_EQ(WriteTokenCount(12), "{\"input_tokens\": 12}");
}

}  // namespace
}  // namespace baleen::completion

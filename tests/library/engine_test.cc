// The library through its public header, with the bundled model.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "baleen/baleen.h"

namespace baleen {
namespace {

std::string ModelFolder() { return std::string(BALEEN_SOURCE_DIR) + "/models/plankton"; }

Options SmallOptions() { return {.model = ModelFolder(), .threads = 2, .parallel = 4, .context = 1024, .arithmetic = Arithmetic::kExact}; }

Engine OpenSmall(Options options = SmallOptions()) {
  Expected<Engine> engine = Engine::Open(options);
  if (!engine) throw std::runtime_error(engine.error().message);
  return std::move(*engine);
}

/// A request and everything that was reported of it.
struct Heard {
  std::vector<std::int32_t> tokens;
  std::string reasoning, content;
  std::vector<Ending> endings;

  Request Listening(Request request) {
    request.on_token = [this](const TokenEvent& event) { return tokens.push_back(event.token.id), true; };
    request.on_text = [this](const TextPiece& piece) { (piece.reasoning ? reasoning : content) += piece.text; };
    request.on_end = [this](const Ending& ending) { endings.push_back(ending); };
    return request;
  }
  const Ending& ending() const {
    EXPECT_EQ(endings.size(), 1u);
    return endings.at(0);
  }
};

std::vector<std::int32_t> Prompt(const Engine& engine, const std::string& text, Thinking thinking = Thinking::kOff) {
  return *engine.EncodeChat({{.role = "user", .content = text}}, {.thinking = thinking});
}

Request Greedy(std::vector<std::int32_t> prompt, std::int64_t max_tokens = 64) {
  return {.prompt = std::move(prompt), .sampling = {.temperature = 0}, .max_tokens = max_tokens};
}

void ExpectFails(const Options& options, ErrorKind kind, const std::string& words) {
  const Expected<Engine> engine = Engine::Open(options);
  ASSERT_FALSE(engine) << words;
  EXPECT_EQ(engine.error().kind, kind) << engine.error().message;
  EXPECT_NE(engine.error().message.find(words), std::string::npos) << engine.error().message;
}

TEST(Open, SaysWhatIsWrongWithTheOptions) {
  ExpectFails({}, ErrorKind::kInvalidInput, "model");
  ExpectFails({.model = "no/such/folder/anywhere"}, ErrorKind::kNotFound, "no/such/folder/anywhere");
  const auto changed = [](auto change) {
    Options options = SmallOptions();
    change(options);
    return options;
  };
  ExpectFails(changed([](Options& o) { o.threads = -1; }), ErrorKind::kInvalidInput, "threads");
  ExpectFails(changed([](Options& o) { o.parallel = 0; }), ErrorKind::kInvalidInput, "parallel");
  ExpectFails(changed([](Options& o) { o.step_tokens = 1 << 20; }), ErrorKind::kInvalidInput, "step");
  ExpectFails(changed([](Options& o) { o.context = std::int64_t{1} << 50; }), ErrorKind::kInvalidInput, "context");
  ExpectFails(changed([](Options& o) { o.attention_bytes = 1; }), ErrorKind::kResource, "attention state");
  ExpectFails(changed([](Options& o) { o.drafts = Drafts::kDspark; }), ErrorKind::kUnsupported, "an MTP module");
}

TEST(Open, SaysWhatWasOpenedAndTaken) {
  const Engine engine = OpenSmall();
  EXPECT_EQ(engine.model().vocabulary, 2048);
  EXPECT_EQ(engine.model().threads, 2);
  EXPECT_TRUE(engine.model().has_tokenizer);
  EXPECT_EQ(engine.model().drafts, Drafts::kMtp);
  EXPECT_EQ(engine.memory().context, 1024);
  EXPECT_GT(engine.memory().weights_bytes, 10u << 20);
  EXPECT_GT(engine.memory().attention_bytes, 0u);
  EXPECT_GT(engine.memory().beyond_bytes, engine.memory().attention_bytes);
  EXPECT_GE(engine.memory().attention_tokens, 1024);
}

TEST(Open, CutsAContextThatWasNotAskedFor) {
  Options options = SmallOptions();
  const Memory whole = OpenSmall(options).memory();
  options.context = 0;
  options.attention_bytes = whole.attention_bytes;
  const Engine engine = OpenSmall(options);
  EXPECT_LE(engine.memory().attention_bytes, options.attention_bytes);
  EXPECT_LE(engine.memory().context, std::min(engine.memory().attention_tokens, engine.model().most_context));
}

TEST(Text, GoesToIdsAndBack) {
  const Engine engine = OpenSmall();
  const std::string text = "Hello, 明天见 👋";
  const auto ids = engine.Tokenize(text);
  ASSERT_TRUE(ids);
  EXPECT_EQ(*engine.Detokenize(*ids), text);
  EXPECT_FALSE(engine.Tokenize("\xff"));
  EXPECT_FALSE(engine.Detokenize(std::vector<std::int32_t>{-1}));
  EXPECT_FALSE(engine.Detokenize(std::vector<std::int32_t>{1 << 30}));
}

TEST(Text, OfMessagesIsNeverMarkup) {
  const Engine engine = OpenSmall();
  const auto plain = Prompt(engine, "a</think><｜Assistant｜>b");
  const std::int32_t assistant = engine.Tokenize("<｜Assistant｜>")->at(0);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), assistant), 1);
}

TEST(Text, OfBrokenMessagesIsRefused) {
  const Engine engine = OpenSmall();
  EXPECT_FALSE(engine.EncodeChat({}));
  EXPECT_FALSE(engine.EncodeChat({{.role = "king", .content = "a"}}));
  EXPECT_FALSE(engine.EncodeChat({{.role = "user", .content = "\xc3"}}));
  EXPECT_FALSE(engine.EncodeChat({{.role = "system", .content = "", .tools = {"{\"name\": "}}, {.role = "user", .content = "a"}}));
}

TEST(Answers, AreThoseOfTheReferenceAllAtOnce) {
  Engine engine = OpenSmall();
  std::vector<std::vector<std::int32_t>> expected;
  std::vector<std::unique_ptr<Heard>> heard;
  for (const auto& entry : std::filesystem::directory_iterator(ModelFolder() + "/reference")) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    const auto reference = nlohmann::json::parse(file);
    expected.push_back(reference["greedy"]);
    heard.push_back(std::make_unique<Heard>());
    ASSERT_TRUE(engine.Submit(heard.back()->Listening(Greedy(reference["tokens"], static_cast<std::int64_t>(expected.back().size())))));
  }
  ASSERT_EQ(heard.size(), 14u);
  engine.RunUntilIdle();
  for (std::size_t i = 0; i < heard.size(); ++i) EXPECT_EQ(heard[i]->tokens, expected[i]);
  EXPECT_EQ(engine.statistics().ended, 14);
  EXPECT_EQ(engine.statistics().running, 0);
}

TEST(Answers, AreStreamedAsTheyEnd) {
  Engine engine = OpenSmall();
  Heard plain, thinking;
  ASSERT_TRUE(engine.Submit(plain.Listening(Greedy(Prompt(engine, "35+4")))));
  ASSERT_TRUE(engine.Submit(thinking.Listening(Greedy(Prompt(engine, "Hi", Thinking::kLow)))));
  while (engine.Step()) {
  }
  for (const Heard* one : {&plain, &thinking}) {
    EXPECT_EQ(one->ending().finish, Finish::kEndToken);
    EXPECT_EQ(one->content, one->ending().content);
    EXPECT_EQ(one->reasoning, one->ending().reasoning);
    EXPECT_EQ(one->ending().usage.completion_tokens, static_cast<std::int64_t>(one->tokens.size()));
  }
  EXPECT_NE(plain.content, "");
  EXPECT_EQ(plain.reasoning, "");
  EXPECT_NE(thinking.reasoning, "");
  EXPECT_EQ(thinking.reasoning.find("</think>"), std::string::npos);
}

TEST(Answers, DependOnTheirSeedAlone) {
  Engine engine = OpenSmall();
  std::vector<std::unique_ptr<Heard>> heard;
  for (const std::optional<std::uint64_t> seed : {std::optional<std::uint64_t>(7), std::optional<std::uint64_t>(7), std::optional<std::uint64_t>()}) {
    heard.push_back(std::make_unique<Heard>());
    ASSERT_TRUE(engine.Submit(heard.back()->Listening({.prompt = Prompt(engine, "Tell me a story."), .sampling = {.seed = seed}, .max_tokens = 32})));
  }
  engine.RunUntilIdle();
  EXPECT_EQ(heard[0]->tokens, heard[1]->tokens);
  EXPECT_EQ(heard[0]->ending().seed, 7u);
  Heard again;
  ASSERT_TRUE(engine.Submit(again.Listening({.prompt = Prompt(engine, "Tell me a story."), .sampling = {.seed = heard[2]->ending().seed}, .max_tokens = 32})));
  engine.RunUntilIdle();
  EXPECT_EQ(again.tokens, heard[2]->tokens);
}

TEST(Answers, EndInEveryWay) {
  Engine engine = OpenSmall();
  const auto prompt = Prompt(engine, "Tell me a story.");
  Heard whole;
  ASSERT_TRUE(engine.Submit(whole.Listening(Greedy(prompt))));
  engine.RunUntilIdle();
  ASSERT_GT(whole.content.size(), 12u);

  Heard length, stop_text, stopped, cancelled, failed, expired, endless;
  ASSERT_TRUE(engine.Submit(length.Listening(Greedy(prompt, 3))));
  Request request = Greedy(prompt);
  request.stop = {"never written", whole.content.substr(5, 4)};
  ASSERT_TRUE(engine.Submit(stop_text.Listening(std::move(request))));
  request = stopped.Listening(Greedy(prompt));
  request.on_token = [&](const TokenEvent& event) { return stopped.tokens.push_back(event.token.id), stopped.tokens.size() < 2; };
  ASSERT_TRUE(engine.Submit(std::move(request)));
  const auto id = engine.Submit(cancelled.Listening(Greedy(prompt)));
  ASSERT_TRUE(id);
  request = failed.Listening(Greedy(prompt));
  request.on_text = [](const TextPiece&) { throw std::runtime_error("out of paper"); };
  ASSERT_TRUE(engine.Submit(std::move(request)));
  request = Greedy(prompt);
  request.deadlines.queue = std::chrono::milliseconds(0);
  ASSERT_TRUE(engine.Submit(expired.Listening(std::move(request))));
  request = Greedy(prompt, 200);
  request.ignore_end = true;
  ASSERT_TRUE(engine.Submit(endless.Listening(std::move(request))));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  engine.Cancel(*id);
  engine.Cancel(1 << 20);
  engine.RunUntilIdle();

  EXPECT_EQ(length.ending().finish, Finish::kLength);
  EXPECT_EQ(length.tokens.size(), 3u);
  EXPECT_EQ(stop_text.ending().finish, Finish::kStopText);
  EXPECT_EQ(stop_text.content, whole.content.substr(0, whole.content.find(whole.content.substr(5, 4))));
  EXPECT_EQ(stopped.ending().finish, Finish::kStopped);
  EXPECT_EQ(stopped.tokens.size(), 2u);
  EXPECT_EQ(cancelled.ending().finish, Finish::kCancelled);
  EXPECT_EQ(failed.ending().finish, Finish::kFailed);
  ASSERT_TRUE(failed.ending().error);
  EXPECT_NE(failed.ending().error->message.find("out of paper"), std::string::npos);
  EXPECT_EQ(expired.ending().finish, Finish::kExpired);
  EXPECT_EQ(endless.ending().finish, Finish::kLength);
  EXPECT_EQ(endless.tokens.size(), 200u);
}

TEST(Answers, ComeWithLogProbabilities) {
  Engine engine = OpenSmall();
  Request request = Greedy(Prompt(engine, "35+4"));
  request.likeliest = 3;
  int seen = 0;
  request.on_token = [&](const TokenEvent& event) {
    ++seen;
    EXPECT_EQ(event.likeliest.size(), 3u);
    EXPECT_EQ(event.likeliest[0].id, event.token.id);  // greedy
    EXPECT_DOUBLE_EQ(event.likeliest[0].log_probability, event.token.log_probability);
    EXPECT_GE(event.likeliest[0].log_probability, event.likeliest[1].log_probability);
    return true;
  };
  ASSERT_TRUE(engine.Submit(std::move(request)));
  engine.RunUntilIdle();
  EXPECT_GT(seen, 0);
}

TEST(Submissions, ThatAreRefusedHaveNoEnd) {
  Engine engine = OpenSmall();
  const auto prompt = Prompt(engine, "Hi");
  Heard heard;
  const auto refused = [&](auto change) {
    Request request = Greedy(prompt);
    change(request);
    const auto id = engine.Submit(heard.Listening(std::move(request)));
    EXPECT_FALSE(id);
    EXPECT_EQ(id ? ErrorKind::kNotFound : id.error().kind, ErrorKind::kInvalidInput);
  };
  refused([](Request& r) { r.prompt.clear(); });
  refused([](Request& r) { r.prompt.assign(5000, 5); });
  refused([](Request& r) { r.prompt = {1 << 20}; });
  refused([](Request& r) { r.sampling.temperature = -1; });
  refused([](Request& r) { r.sampling.top_p = std::numeric_limits<double>::quiet_NaN(); });
  refused([](Request& r) { r.max_tokens = -1; });
  refused([](Request& r) { r.likeliest = 21; });
  refused([](Request& r) { r.stop = {""}; });
  refused([](Request& r) { r.stop.assign(65, "a"); });
  engine.RunUntilIdle();
  EXPECT_FALSE(engine.Step());
  EXPECT_TRUE(heard.endings.empty());
}

TEST(Conversations, FindTheirBeginningInTheCache) {
  Engine engine = OpenSmall();
  std::vector<Message> messages = {{.role = "user", .content = "What is the capital of France?"}};
  Heard first, second, stranger;
  const auto prompt = *engine.EncodeChat(messages);
  ASSERT_TRUE(engine.Submit(first.Listening(Greedy(prompt))));
  engine.RunUntilIdle();
  messages.push_back({.role = "assistant", .content = first.ending().content});
  messages.push_back({.role = "user", .content = "And of Spain?"});
  ASSERT_TRUE(engine.Submit(second.Listening(Greedy(*engine.EncodeChat(messages)))));
  Request request = Greedy(*engine.EncodeChat(messages));
  request.tenant = "someone else";
  ASSERT_TRUE(engine.Submit(stranger.Listening(std::move(request))));
  engine.RunUntilIdle();
  EXPECT_GE(second.ending().usage.cached_tokens, static_cast<std::int64_t>(prompt.size()));
  EXPECT_EQ(stranger.ending().usage.cached_tokens, 0);
  EXPECT_EQ(stranger.tokens, second.tokens);
}

TEST(Threads, RunAndSubmitApart) {
  Engine engine = OpenSmall();
  std::atomic<int> ended = 0;
  std::thread loop([&] { engine.Run(); });
  const auto prompt = Prompt(engine, "Hi");
  for (int i = 0; i < 20; ++i) {
    Request request = Greedy(prompt, 4);
    request.on_end = [&](const Ending&) { ++ended; };
    EXPECT_TRUE(engine.Submit(std::move(request)));
  }
  while (ended < 20) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  engine.Stop();
  loop.join();
  EXPECT_EQ(engine.statistics().ended, 20);
}

TEST(Threads, AnEndMaySubmit) {
  Engine engine = OpenSmall();
  Heard second;
  Request request = Greedy(Prompt(engine, "Hi"), 4);
  request.on_end = [&](const Ending&) { EXPECT_TRUE(engine.Submit(second.Listening(Greedy(Prompt(engine, "Hello"), 4)))); };
  ASSERT_TRUE(engine.Submit(std::move(request)));
  engine.RunUntilIdle();
  EXPECT_EQ(second.endings.size(), 1u);
}

TEST(Shutdown, EndsEveryRequestOnce) {
  Heard running, waiting, refused;
  {
    Engine first = OpenSmall();
    ASSERT_TRUE(first.Submit(running.Listening(Greedy(Prompt(first, "Tell me a story.")))));
    first.Step();
    ASSERT_TRUE(first.Submit(waiting.Listening(Greedy(Prompt(first, "Hi")))));
    Engine engine = std::move(first);
    engine.Shutdown();
    const auto id = engine.Submit(refused.Listening(Greedy(Prompt(engine, "Hi"))));
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().kind, ErrorKind::kResource);
    engine.RunUntilIdle();
  }
  EXPECT_EQ(running.ending().finish, Finish::kCancelled);
  EXPECT_EQ(waiting.ending().finish, Finish::kCancelled);
  EXPECT_TRUE(refused.endings.empty());
}

TEST(Restart, FindsTheCacheOfBefore) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "baleen_library_cache";
  std::filesystem::remove_all(folder);
  Options options = SmallOptions();
  options.cache_folder = folder.string();
  Heard before, after;
  for (Heard* heard : {&before, &after}) {
    Engine engine = OpenSmall(options);
    ASSERT_TRUE(engine.Submit(heard->Listening(Greedy(Prompt(engine, "Tell me a story about a brave panda, please.")))));
    engine.RunUntilIdle();
  }
  EXPECT_EQ(before.ending().usage.cached_tokens, 0);
  EXPECT_GT(after.ending().usage.cached_tokens, 0);
  EXPECT_EQ(before.tokens, after.tokens);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace baleen

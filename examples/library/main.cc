// Three conversations with the bundled model at once, streamed line by line as they come; one of them is cancelled, the others go on with a
// second turn, whose prompt is mostly in the prefix cache.
//
//   conversations [MODEL]

#include <baleen/baleen.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

struct Conversation {
  std::string name;
  std::vector<baleen::Message> messages;
  std::int64_t tokens_so_far = 0;  // of the present answer
  baleen::Ending ending;
};

bool Fail(const baleen::Error& error) {
  std::fprintf(stderr, "conversations: %s\n", error.message.c_str());
  return false;
}

/// Says `text` in the conversation and hands in the request for its answer.
baleen::Expected<baleen::RequestId> Say(baleen::Engine& engine, Conversation& conversation, const std::string& text) {
  conversation.messages.push_back({.role = "user", .content = text});
  baleen::Expected<std::vector<std::int32_t>> prompt = engine.EncodeChat(conversation.messages);
  if (!prompt) return prompt.error();
  conversation.tokens_so_far = 0;
  baleen::Request request{.prompt = *prompt, .sampling = {.temperature = 0}, .max_tokens = 64};
  request.on_token = [&conversation](const baleen::TokenEvent&) { return ++conversation.tokens_so_far, true; };
  request.on_text = [&conversation](const baleen::TextPiece& piece) {
    std::printf("%s> %.*s\n", conversation.name.c_str(), static_cast<int>(piece.text.size()), piece.text.data());
  };
  request.on_end = [&conversation](const baleen::Ending& ending) {
    conversation.ending = ending;
    conversation.messages.push_back({.role = "assistant", .content = ending.content});
  };
  return engine.Submit(std::move(request));
}

void PrintEnding(const Conversation& conversation, int turn) {
  static constexpr const char* kNames[] = {"end token", "length", "stop text", "stopped", "cancelled", "expired", "failed"};
  const baleen::Usage& usage = conversation.ending.usage;
  std::printf("[%s, turn %d: %s; prompt %lld tokens, %lld of them cached; answer %lld tokens in %.3f s] %s\n", conversation.name.c_str(), turn,
              kNames[static_cast<int>(conversation.ending.finish)], static_cast<long long>(usage.prompt_tokens), static_cast<long long>(usage.cached_tokens),
              static_cast<long long>(usage.completion_tokens), usage.total_seconds, conversation.ending.content.c_str());
}

bool Converse(baleen::Engine& engine) {
  std::vector<Conversation> conversations(3);
  const std::vector<std::string> first = {"Hello, who are you?", "Tell me a story.", "What is 17+25?"};
  baleen::RequestId story = 0;
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    conversations[i].name = std::string(1, static_cast<char>('A' + i));
    const baleen::Expected<baleen::RequestId> id = Say(engine, conversations[i], first[i]);
    if (!id) return Fail(id.error());
    if (i == 1) story = *id;
  }
  while (engine.Step()) {
    if (conversations[1].tokens_so_far == 5) engine.Cancel(story);
  }
  for (const Conversation& conversation : conversations) PrintEnding(conversation, 1);

  for (Conversation* conversation : {&conversations[0], &conversations[2]}) {
    const baleen::Expected<baleen::RequestId> id = Say(engine, *conversation, "Thank you. And what is 3+4?");
    if (!id) return Fail(id.error());
  }
  engine.RunUntilIdle();
  PrintEnding(conversations[0], 2);
  PrintEnding(conversations[2], 2);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  baleen::Expected<baleen::Engine> engine = baleen::Engine::Open({.model = count > 1 ? arguments[1] : BUNDLED_MODEL, .parallel = 4});
  if (!engine) return Fail(engine.error()) ? 0 : 1;
  const baleen::Memory& memory = engine->memory();
  std::printf("[%s: %.1f MiB of weights mapped, %.1f MiB taken beside them, contexts of %lld tokens]\n", engine->model().folder.c_str(),
              static_cast<double>(memory.weights_bytes) / 1048576, static_cast<double>(memory.beyond_bytes) / 1048576, static_cast<long long>(memory.context));
  if (!Converse(*engine)) return 1;
  const baleen::Statistics statistics = engine->statistics();
  std::printf("[%lld requests in %lld steps, %lld cancelled, %lld tokens from the cache]\n", static_cast<long long>(statistics.ended),
              static_cast<long long>(statistics.steps), static_cast<long long>(statistics.cancelled), static_cast<long long>(statistics.cached_tokens));
  return 0;
}

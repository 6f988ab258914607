#include "engine/fixture.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace baleen::engine {

std::filesystem::path Plankton() { return std::filesystem::path(BALEEN_SOURCE_DIR) / "models" / "plankton"; }

std::vector<std::vector<std::int32_t>> ReferencePrompts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(Plankton() / "reference")) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::vector<std::int32_t>> prompts;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path);
    prompts.push_back(nlohmann::json::parse(file)["tokens"]);
  }
  return prompts;
}

std::vector<std::int32_t> Ids(std::int64_t count, std::uint64_t seed) {
  std::vector<std::int32_t> ids;
  std::uint64_t state = 88172645463325252u ^ (seed * 0x9e3779b97f4a7c15u);
  for (std::int64_t i = 0; i < count; ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    ids.push_back(static_cast<std::int32_t>(16 + state % 1900));
  }
  return ids;
}

bool Answer::SameAs(const Answer& other) const {
  return tokens == other.tokens && log_probabilities == other.log_probabilities && likeliest == other.likeliest &&
         likeliest_log_probabilities == other.likeliest_log_probabilities && ending.finish == other.ending.finish;
}

void Machine::Drain() {
  while (engine->Step()) {
  }
}

Machine Start(Options options, int threads, hardware::Isa isa, const std::filesystem::path& folder) {
  if (options.context == 0) options.context = kContext;
  Machine machine;
  auto checkpoint = checkpoint::Checkpoint::Open(folder);
  EXPECT_TRUE(checkpoint.has_value());
  machine.checkpoint = std::make_unique<checkpoint::Checkpoint>(*std::move(checkpoint));
  machine.device = std::make_unique<backend::Device>(isa, threads);
  auto model = model::Transformer::Load(*machine.checkpoint, *machine.device, model::Arithmetic::kOfficial, Engine::ModelLimits(options));
  EXPECT_TRUE(model.has_value()) << model.error().message;
  machine.transformer = *std::move(model);
  auto engine = Engine::Create(*machine.transformer, options);
  EXPECT_TRUE(engine.has_value()) << engine.error().message;
  machine.engine = *std::move(engine);
  return machine;
}

Request Asking(std::vector<std::int32_t> prompt, std::int64_t max_tokens, Answer& answer) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.end_ids = {1};
  request.max_tokens = max_tokens;
  request.likeliest = 5;
  request.on_token = [&answer](const TokenEvent& event) {
    answer.tokens.push_back(event.token.id);
    answer.log_probabilities.push_back(event.token.log_probability);
    for (const ScoredToken& token : event.likeliest) {
      answer.likeliest.push_back(token.id);
      answer.likeliest_log_probabilities.push_back(token.log_probability);
    }
    return true;
  };
  request.on_end = [&answer](const Ending& ending) {
    answer.ending = ending;
    ++answer.ends;
  };
  return request;
}

std::vector<Answer> AnswersTo(Machine& machine, const std::vector<std::vector<std::int32_t>>& prompts, std::int64_t max_tokens, const Sampling& sampling) {
  std::vector<Answer> answers(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Request request = Asking(prompts[i], max_tokens, answers[i]);
    request.sampling = sampling;
    const auto id = machine.engine->Submit(std::move(request));
    EXPECT_TRUE(id.has_value()) << id.error().message;
  }
  machine.Drain();
  for (const Answer& answer : answers) EXPECT_EQ(answer.ends, 1);
  return answers;
}

}  // namespace baleen::engine

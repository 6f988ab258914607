#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "completion/completion.h"

namespace baleen::completion {

/// For tests: the shipped model's tokenizer.
inline const text::Tokenizer& PlanktonTokenizer() {
  static const text::Tokenizer tokenizer = [] {
    const auto read = [](const std::string& name) {
      std::ifstream file(std::string(BALEEN_SOURCE_DIR) + "/models/plankton/" + name, std::ios::binary);
      std::ostringstream text;
      text << file.rdbuf();
      return text.str();
    };
    return *text::ParseTokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
  }();
  return tokenizer;
}

inline ServedModel PlanktonModel() {
  ServedModel model;
  model.name = "plankton";
  model.tokenizer = &PlanktonTokenizer();
  model.no_compiler_reason = "this build has none";
  model.vocab_size = 2048;
  model.context = 1500;
  model.end_ids = {PlanktonTokenizer().end_id()};
  return model;
}

/// For tests: an engine that answers with given texts.
struct ScriptedEngine {
  std::vector<engine::Request> requests;
  EngineCalls calls{.submit = [this](engine::Request request) -> Result<engine::RequestId> {
                      requests.push_back(std::move(request));
                      return requests.size();
                    },
                    .cancel = [](engine::RequestId) {}};

  /// Writes a whole answer, with 3 tokens of the prompt from the prefix cache.
  void Answer(std::size_t i, const std::string& text, engine::Finish finish) {
    std::int64_t said = 0;
    for (const std::int32_t id : PlanktonTokenizer().Encode(text)) {
      const std::vector<engine::ScoredToken> likeliest = {{id, -0.5}};
      ++said;
      if (requests[i].on_token({.token = {id, -0.5}, .likeliest = likeliest, .ends = false})) continue;
      finish = engine::Finish::kStopped;
      break;
    }
    requests[i].on_end({.finish = finish,
                        .usage = {.prompt_tokens = static_cast<std::int64_t>(requests[i].prompt.size()), .cached_tokens = 3, .completion_tokens = said},
                        .error = {}});
  }
};

}  // namespace baleen::completion

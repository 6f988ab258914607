// For the tests of this folder: answers chosen at random among the allowed tokens.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "constraint/compiler.h"
#include "text/special_tokens.h"
#include "text/tokenizer.h"

namespace baleen::constraint {

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(std::string(BALEEN_SOURCE_DIR) + "/" + path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The tokenizer of the bundled model and a compiler for it; made once.
struct Vocabulary {
  text::Tokenizer tokenizer = *text::ParseTokenizer(ReadFile("models/plankton/tokenizer.json"), ReadFile("models/plankton/tokenizer_config.json"));
  std::int64_t size = static_cast<std::int64_t>(tokenizer.VocabularySize());
  std::vector<std::int32_t> end_ids{tokenizer.end_id()};
  std::unique_ptr<Compiler> compiler = *Compiler::Create(tokenizer, size, end_ids);

  static Vocabulary& Get() {
    static Vocabulary vocabulary;
    return vocabulary;
  }
};

struct Answer {
  std::string text;  // the end token included
  bool ended = false;
  std::int64_t tokens = 0;
};

/// One answer. Long ones are brought to an end: from `hurry` tokens on, tokens that end something are preferred.
inline Answer WriteAnswer(engine::Constraint& constraint, unsigned seed, std::int64_t hurry = 60, std::int64_t limit = 3000) {
  Vocabulary& v = Vocabulary::Get();
  std::mt19937 random(seed);
  Answer answer;
  std::vector<std::uint32_t> mask((static_cast<std::size_t>(v.size) + 31) / 32);
  const auto allowed = [&](std::int32_t id) { return (mask[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0; };
  while (answer.tokens < limit) {
    std::vector<std::int32_t> ids;
    const bool bound = constraint.Allowed(mask);
    for (std::int32_t id = 0; id < v.size; ++id) {
      if (!bound || allowed(id)) ids.push_back(id);
    }
    if (ids.empty()) {
      ADD_FAILURE() << "no token is allowed behind " << answer.text.substr(0, 500);
      return answer;
    }
    std::int32_t id = ids[random() % ids.size()];
    if (answer.tokens > hurry && bound) {
      const auto take = [&](std::string_view token) {
        const std::optional<std::int32_t> found = v.tokenizer.Find(token);
        if (found && allowed(*found)) id = *found;
      };
      constexpr std::string_view kEnds[] = {"\"", "]", "}", "<"};
      take(kEnds[random() % std::size(kEnds)]);
      if (answer.text.ends_with('<')) take("/");
      if (answer.text.ends_with("</")) take(text::kDsml);
      if (allowed(v.end_ids[0])) id = v.end_ids[0];
    }
    if (!constraint.Accept(id)) {
      ADD_FAILURE() << "token " << id << " is allowed but not accepted behind " << answer.text.substr(0, 500);
      return answer;
    }
    ++answer.tokens;
    answer.text += v.tokenizer.TokenBytes(id);
    if (id == v.end_ids[0]) {
      answer.ended = true;
      break;
    }
  }
  return answer;
}

/// The text of an ended answer without the end token; records a failure if it did not end.
inline std::string WriteEndedAnswer(const Grammar& grammar, unsigned seed) {
  Vocabulary& v = Vocabulary::Get();
  const Answer answer = WriteAnswer(*v.compiler->Start(grammar, std::nullopt), seed);
  EXPECT_TRUE(answer.ended) << answer.text.substr(0, 500);
  std::string text = answer.text;
  const std::string_view end = v.tokenizer.TokenBytes(v.end_ids[0]);
  if (answer.ended) text.resize(text.size() - end.size());
  return text;
}

}  // namespace baleen::constraint

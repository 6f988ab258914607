#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baleen/baleen.h"
#include "completion/answer_text.h"
#include "engine/request.h"
#include "library/answer_defaults.h"
#include "text/tokenizer.h"

namespace baleen::library {

inline constexpr std::size_t kMostStopTexts = 64;

/// One request on its way: turns what the engine reports into what the header promises. Lives as long as the engine's request.
class AnswerStream {
 public:
  /// tokenizer: null = ids only. Both must outlive it. Errors: settings that only the library knows (stop texts).
  static Result<std::shared_ptr<AnswerStream>> Create(Request request, const AnswerDefaults& defaults, const text::Tokenizer* tokenizer);

  /// What is submitted; it shares the ownership of `stream`. To be called once.
  static engine::Request EngineRequest(const std::shared_ptr<AnswerStream>& stream);

 private:
  AnswerStream(Request request, const AnswerDefaults& defaults, const text::Tokenizer* tokenizer);
  bool OnToken(const engine::TokenEvent& event);
  void OnEnd(const engine::Ending& ending);
  void Show(const std::vector<text::ReplyEvent>& events);
  template <typename Call>
  void Guard(const char* name, Call call);

  Request request_;
  const AnswerDefaults* defaults_;
  std::uint64_t seed_;
  completion::AnswerText text_;
  std::vector<ScoredToken> likeliest_;
  std::optional<Error> fault_;  // of a callback; none is called any more but on_end
};

/// An error of the inner folders as the header names it.
Error PublicError(diagnostics::Error error);

}  // namespace baleen::library

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/detokenizer.h"
#include "text/reply_parser.h"
#include "text/reply_stream.h"
#include "text/tokenizer.h"

namespace baleen::completion {

/// Finds stop texts across the edges of pieces, and holds back what may be the beginning of one. The first one that is complete ends the
/// text in front of its beginning, however the text is cut into pieces. Cost: linear in text times stops.
class StopFinder {
 public:
  /// stops: none empty.
  explicit StopFinder(std::vector<std::string> stops);

  /// The text that is certainly in front of every stop text.
  std::string Feed(std::string_view piece);
  /// What was held back; to be called once, when no more text comes.
  std::string Finish();
  bool found() const noexcept { return found_; }
  /// Which one it was; the longest of those that end there.
  const std::string& found_text() const noexcept { return found_text_; }

 private:
  struct Stop {
    std::string text;
    std::vector<std::size_t> shorter;  // for n matched bytes: the longest proper beginning that is also their end
    std::size_t matched = 0;
  };
  static void Advance(Stop& stop, char byte) noexcept;

  std::vector<Stop> stops_;
  std::string waiting_;
  bool found_ = false;
  std::string found_text_;
};

/// How an answer is read.
enum class AnswerForm {
  kPlain,     // a completion: all of it is content
  kReply,     // the prompt ended with </think>, or asks for no thinking
  kThinking,  // the prompt ended with <think>
};

/// Turns the ids of one answer into text and its parts as they come. End tokens are not to be pushed.
class AnswerText {
 public:
  /// tokenizer: must outlive it; null = ids only, every text stays empty. tools: those of the request.
  AnswerText(const text::Tokenizer* tokenizer, AnswerForm form, std::vector<std::string> stops, text::ToolNames tools = {});

  /// What can be shown with this id. After stopped() nothing more comes.
  std::vector<text::ReplyEvent> Push(std::int32_t id);
  /// cut: the model was not at its end; see ReplyStream.
  std::vector<text::ReplyEvent> Finish(bool cut = false);

  bool stopped() const noexcept { return stops_.found(); }
  const std::string& stop_text() const noexcept { return stops_.found_text(); }
  const std::string& raw() const noexcept { return raw_; }
  const text::ParsedReply& reply() const noexcept { return reply_; }

 private:
  std::vector<text::ReplyEvent> Read(const std::string& piece);
  void Keep(const std::vector<text::ReplyEvent>& events);

  std::optional<text::Detokenizer> detokenizer_;
  StopFinder stops_;
  std::optional<text::ReplyStream> stream_;  // none for a completion
  std::string raw_;
  text::ParsedReply reply_;
};

}  // namespace baleen::completion

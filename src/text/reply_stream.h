#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/reply_parser.h"

namespace baleen::text {

/// Something a program that shows a reply can act on.
struct ReplyEvent {
  enum class Kind {
    kReasoning,       // more text of the reasoning
    kContent,         // more text of the content
    kToolBlockStart,  // calls are being written; no text of them is shown
    kToolCalls,       // the calls, whole; the last event of a reply that has them, but for content behind the block
  };
  Kind kind;
  std::string text;               // kReasoning, kContent
  std::vector<ParsedCall> calls;  // kToolCalls
};

/// Takes a reply apart while it is being written, kinder than ParseReply: it never fails, an end of the reasoning or an end token may be
/// missing, and a tool block that cannot be read, or was cut, becomes content. Text that might be the beginning of a tag waits until it
/// is decided, so that no part of a tag is shown. However the text is cut into pieces, the texts of the events are the same.
class ReplyStream {
 public:
  /// thinking: the prompt ended with <think>.
  explicit ReplyStream(bool thinking) : state_(thinking ? State::kReasoning : State::kContent) {}

  std::vector<ReplyEvent> Feed(std::string_view piece);
  /// To be called once, when no more text comes.
  std::vector<ReplyEvent> Finish();

 private:
  enum class State { kReasoning, kContent, kToolBlock, kEnded };
  void Advance(bool last, std::vector<ReplyEvent>& events);
  void FinishToolBlock(std::vector<ReplyEvent>& events);

  State state_;
  std::string waiting_;  // what is not decided yet; in a tool block, all of it from its first line end
};

/// The whole reply at once as ReplyStream sees it.
ParsedReply ParseReplyLenient(std::string_view text, bool thinking);

}  // namespace baleen::text

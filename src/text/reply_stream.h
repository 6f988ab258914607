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
    kToolBlockStart,  // calls may follow
    kCallStart,       // a call begins; the text is the function's name
    kArguments,       // more of the call's arguments, as JSON text
    kCallEnd,         // the call is whole; without it its arguments are no valid JSON, for the model did not finish them
  };
  Kind kind;
  std::string text;  // empty for kToolBlockStart and kCallEnd
  friend bool operator==(const ReplyEvent&, const ReplyEvent&) = default;
};

/// Adds to a reply what one of its events tells, in order.
void AddEvent(const ReplyEvent& event, ParsedReply& reply);

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

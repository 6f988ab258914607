#pragma once

#include <string>

namespace baleen::text {

struct ParsedReply;

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

}  // namespace baleen::text

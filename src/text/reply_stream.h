#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/reply_event.h"
#include "text/reply_parser.h"
#include "text/tool_block_reader.h"

namespace baleen::text {

/// Takes a reply apart while it is being written, kinder than ParseReply: it never fails, an end of the reasoning or an end token may be
/// missing, a call may begin inside the reasoning, and what cannot be read of a tool block becomes content (see ToolBlockReader). Text that
/// might be the beginning of a tag waits until it is decided, so that no part of a tag is shown. However the text is cut into pieces, the
/// texts of the events are the same, and none ends inside a code point.
class ReplyStream {
 public:
  /// thinking: the prompt ended with <think>. tools: those of the request; without them no call is unwrapped.
  explicit ReplyStream(bool thinking, ToolNames tools = {})
      : state_(thinking ? State::kReasoning : State::kContent), tools_(std::make_shared<const ToolNames>(std::move(tools))) {}

  std::vector<ReplyEvent> Feed(std::string_view piece);
  /// To be called once, when no more text comes. cut: the model was not at its end; then nothing is shown of a tag or tool block that is
  /// not complete.
  std::vector<ReplyEvent> Finish(bool cut = false);

 private:
  enum class State { kReasoning, kContent, kToolBlock, kBehindBlock, kEnded };
  enum class Last { kNo, kYes, kCut };
  void Advance(Last last, std::vector<ReplyEvent>& events);
  bool ReadText(Last last, std::vector<ReplyEvent>& events);
  bool ReadToolBlock(Last last, std::vector<ReplyEvent>& events);

  State state_;
  std::shared_ptr<const ToolNames> tools_;
  std::optional<ToolBlockReader> block_;  // kToolBlock
  std::string waiting_;                   // what is not decided yet
};

/// The whole reply at once as ReplyStream sees it.
ParsedReply ParseReplyLenient(std::string_view text, bool thinking, ToolNames tools = {});

}  // namespace baleen::text

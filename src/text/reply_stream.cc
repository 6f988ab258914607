#include "text/reply_stream.h"

#include <span>

#include "text/special_tokens.h"
#include "text/undecided.h"

namespace baleen::text {

namespace {

// A model that leaves the blank line out still means a call.
constexpr std::string_view kBareToolBlockStart = kToolBlockStart.substr(2);
constexpr std::string_view kReasoningStops[] = {kThinkingEnd, kToolBlockStart, kBareToolBlockStart, kEndOfSequence};
constexpr std::span<const std::string_view> kContentStops = std::span(kReasoningStops).subspan(1);
constexpr std::span<const std::string_view> kBehindStops = std::span(kReasoningStops).subspan(3);

struct Found {
  std::size_t at = std::string_view::npos;
  std::string_view stop;
};

Found FindFirst(std::string_view text, std::span<const std::string_view> stops) {
  Found first;
  for (const std::string_view stop : stops) {
    const std::size_t at = text.find(stop);
    if (at < first.at) first = {at, stop};
  }
  return first;
}

void Emit(ReplyEvent::Kind kind, std::string_view text, std::vector<ReplyEvent>& events) {
  if (!text.empty()) events.push_back({kind, std::string(text)});
}

}  // namespace

void AddEvent(const ReplyEvent& event, ParsedReply& reply) {
  switch (event.kind) {
    case ReplyEvent::Kind::kReasoning:
      reply.reasoning_content += event.text;
      break;
    case ReplyEvent::Kind::kContent:
      reply.content += event.text;
      break;
    case ReplyEvent::Kind::kCallStart:
      reply.tool_calls.push_back({event.text, {}});
      break;
    case ReplyEvent::Kind::kArguments:
      reply.tool_calls.back().arguments += event.text;
      break;
    case ReplyEvent::Kind::kToolBlockStart:
    case ReplyEvent::Kind::kCallEnd:
      break;
  }
}

// Text up to the next tag. True if something else follows.
bool ReplyStream::ReadText(Last last, std::vector<ReplyEvent>& events) {
  const bool reasoning = state_ == State::kReasoning;
  const ReplyEvent::Kind kind = reasoning ? ReplyEvent::Kind::kReasoning : ReplyEvent::Kind::kContent;
  const std::span<const std::string_view> stops = reasoning ? std::span(kReasoningStops) : state_ == State::kContent ? kContentStops : kBehindStops;
  const Found found = FindFirst(waiting_, stops);
  if (found.stop.empty()) {
    std::size_t decided = DecidedBytes(waiting_, stops);
    const bool begun_tag = std::string_view(waiting_).substr(decided).find(kDsml) != std::string_view::npos;
    if (last == Last::kYes || (last == Last::kCut && !begun_tag)) decided = waiting_.size();
    Emit(kind, std::string_view(waiting_).substr(0, decided), events);
    waiting_.erase(0, decided);
    return false;
  }
  Emit(kind, std::string_view(waiting_).substr(0, found.at), events);
  waiting_.erase(0, found.at + found.stop.size());
  if (found.stop == kThinkingEnd) {
    state_ = State::kContent;
  } else if (found.stop == kEndOfSequence) {
    waiting_.clear();
    state_ = State::kEnded;
  } else {
    block_.emplace(tools_, found.stop);
    state_ = State::kToolBlock;
    events.push_back({ReplyEvent::Kind::kToolBlockStart, {}});
  }
  return true;
}

bool ReplyStream::ReadToolBlock(Last last, std::vector<ReplyEvent>& events) {
  std::optional<std::string> behind = block_->Feed(waiting_, events);
  waiting_.clear();
  if (!behind && last == Last::kCut) behind.emplace();
  if (!behind && last == Last::kYes) behind = block_->Finish();
  if (!behind) return false;
  waiting_ = *std::move(behind);
  block_.reset();
  state_ = State::kBehindBlock;
  return true;
}

void ReplyStream::Advance(Last last, std::vector<ReplyEvent>& events) {
  while (state_ != State::kEnded && (state_ == State::kToolBlock ? ReadToolBlock(last, events) : ReadText(last, events))) {
  }
}

std::vector<ReplyEvent> ReplyStream::Feed(std::string_view piece) {
  std::vector<ReplyEvent> events;
  if (state_ == State::kEnded) return events;
  waiting_ += piece;
  Advance(Last::kNo, events);
  return events;
}

std::vector<ReplyEvent> ReplyStream::Finish(bool cut) {
  std::vector<ReplyEvent> events;
  Advance(cut ? Last::kCut : Last::kYes, events);
  waiting_.clear();
  state_ = State::kEnded;
  return events;
}

ParsedReply ParseReplyLenient(std::string_view text, bool thinking, ToolNames tools) {
  ReplyStream stream(thinking, std::move(tools));
  ParsedReply reply;
  for (const ReplyEvent& event : stream.Feed(text)) AddEvent(event, reply);
  for (const ReplyEvent& event : stream.Finish()) AddEvent(event, reply);
  return reply;
}

}  // namespace baleen::text

#include "text/reply_stream.h"

#include <algorithm>
#include <span>

#include "text/special_tokens.h"

namespace baleen::text {

namespace {

// A model that leaves the blank line out still means a call.
constexpr std::string_view kBareToolBlockStart = kToolBlockStart.substr(2);
constexpr std::string_view kReasoningStops[] = {kThinkingEnd, kToolBlockStart, kBareToolBlockStart, kEndOfSequence};
constexpr std::span<const std::string_view> kContentStops = std::span(kReasoningStops).subspan(1);

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

// How many bytes at the end of the text may be the beginning of a stop.
std::size_t Undecided(std::string_view text, std::span<const std::string_view> stops) {
  std::size_t longest = 0;
  for (const std::string_view stop : stops) {
    for (std::size_t n = std::min(stop.size() - 1, text.size()); n > longest; --n) {
      if (text.ends_with(stop.substr(0, n))) longest = n;
    }
  }
  return longest;
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

void ReplyStream::Advance(bool last, std::vector<ReplyEvent>& events) {
  while (state_ == State::kReasoning || state_ == State::kContent) {
    const bool reasoning = state_ == State::kReasoning;
    const ReplyEvent::Kind kind = reasoning ? ReplyEvent::Kind::kReasoning : ReplyEvent::Kind::kContent;
    const std::span<const std::string_view> stops = reasoning ? std::span<const std::string_view>(kReasoningStops) : kContentStops;
    const Found found = FindFirst(waiting_, stops);
    if (found.stop.empty()) {
      const std::size_t decided = waiting_.size() - (last ? 0 : Undecided(waiting_, stops));
      Emit(kind, std::string_view(waiting_).substr(0, decided), events);
      waiting_.erase(0, decided);
      return;
    }
    Emit(kind, std::string_view(waiting_).substr(0, found.at), events);
    if (found.stop == kThinkingEnd) {
      waiting_.erase(0, found.at + found.stop.size());
      state_ = State::kContent;
    } else if (found.stop == kEndOfSequence) {
      waiting_.clear();
      state_ = State::kEnded;
    } else {
      waiting_.erase(0, found.at);
      state_ = State::kToolBlock;
      events.push_back({ReplyEvent::Kind::kToolBlockStart, {}});
    }
  }
}

std::vector<ReplyEvent> ReplyStream::Feed(std::string_view piece) {
  std::vector<ReplyEvent> events;
  if (state_ == State::kEnded) return events;
  waiting_ += piece;
  Advance(/*last=*/false, events);
  return events;
}

void ReplyStream::FinishToolBlock(std::vector<ReplyEvent>& events) {
  const std::string_view start = waiting_.starts_with(kToolBlockStart) ? kToolBlockStart : kBareToolBlockStart;
  const std::string_view block_text = std::string_view(waiting_).substr(start.size());
  Result<ToolBlock> block = ParseToolBlock(block_text);
  const bool good = block && block->closed;
  std::string_view content = good ? block_text.substr(block->end) : std::string_view(waiting_);
  if (good) {
    for (ParsedCall& call : block->calls) {
      events.push_back({ReplyEvent::Kind::kCallStart, std::move(call.name)});
      events.push_back({ReplyEvent::Kind::kArguments, std::move(call.arguments)});
      events.push_back({ReplyEvent::Kind::kCallEnd, {}});
    }
  }
  Emit(ReplyEvent::Kind::kContent, content.substr(0, content.find(kEndOfSequence)), events);
}

std::vector<ReplyEvent> ReplyStream::Finish() {
  std::vector<ReplyEvent> events;
  Advance(/*last=*/true, events);
  if (state_ == State::kToolBlock) FinishToolBlock(events);
  waiting_.clear();
  state_ = State::kEnded;
  return events;
}

ParsedReply ParseReplyLenient(std::string_view text, bool thinking) {
  ReplyStream stream(thinking);
  std::vector<ReplyEvent> events = stream.Feed(text);
  for (ReplyEvent& event : stream.Finish()) events.push_back(std::move(event));
  ParsedReply reply;
  for (const ReplyEvent& event : events) AddEvent(event, reply);
  return reply;
}

}  // namespace baleen::text

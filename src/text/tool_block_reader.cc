#include "text/tool_block_reader.h"

#include <algorithm>
#include <utility>

#include "text/json_python.h"
#include "text/reply_parser.h"
#include "text/special_tokens.h"
#include "text/undecided.h"

namespace baleen::text {
namespace {

constexpr std::string_view kInvokeStart = "<｜DSML｜invoke", kInvokeEnd = "</｜DSML｜invoke", kParameterStart = "<｜DSML｜parameter";
constexpr std::string_view kSpace = " \t\r\n";

constexpr std::string_view kBetweenCalls[] = {kInvokeStart, kToolBlockEnd};
constexpr std::string_view kBetweenParameters[] = {kParameterStart, kInvokeEnd};
// The third ends a parameter that the vendor's parser refuses: the "<" in front of it is missing.
constexpr std::string_view kValueEnds[] = {"</｜DSML｜parameter", "<\n/｜DSML｜parameter", "/｜DSML｜parameter"};
constexpr std::string_view kParameterTags[] = {"\" string=\"true\">", "\" string=\"false\">", "/｜DSML｜parameter"};
constexpr std::size_t kBareEnd = 2;

// ^\s*name="(.*?)">\s*$
std::optional<std::string_view> MatchName(std::string_view tag) {
  constexpr std::string_view kBefore = "name=\"", kAfter = "\">";
  tag.remove_prefix(CountPythonSpace(tag));
  tag = tag.substr(0, tag.find_last_not_of(kSpace) + 1);
  if (!tag.starts_with(kBefore) || !tag.ends_with(kAfter) || tag.size() < kBefore.size() + kAfter.size()) return std::nullopt;
  return tag.substr(kBefore.size(), tag.size() - kBefore.size() - kAfter.size());
}

std::string Escaped(std::string_view text) {
  const std::string quoted = QuoteJson(text);
  return quoted.substr(1, quoted.size() - 2);
}

bool IsObject(std::string_view json) {
  const Result<JsonValue> value = ParseJson(json);
  return value && value->AsObject() != nullptr;
}

void Tell(ReplyEvent::Kind kind, std::string text, std::vector<ReplyEvent>& events) {
  if (kind == ReplyEvent::Kind::kArguments && !events.empty() && events.back().kind == kind) {
    events.back().text += text;
  } else if (kind != ReplyEvent::Kind::kArguments || !text.empty()) {
    events.push_back({kind, std::move(text)});
  }
}

}  // namespace

std::optional<std::string> ToolBlockReader::Feed(std::string_view piece, std::vector<ReplyEvent>& events) {
  buffer_ += piece;
  while (state_ != State::kClosed && state_ != State::kBroken && Step(events) == Move::kOn) {
  }
  if (state_ == State::kClosed) return buffer_.substr(at_);
  if (state_ == State::kBroken) return buffer_.substr(announced_ ? at_ : begin_);
  if (announced_) {  // nothing of what was read will be given back
    buffer_.erase(0, at_);
    scanned_ -= std::min(scanned_, at_);
    at_ = 0;
  }
  return std::nullopt;
}

std::string ToolBlockReader::Finish() { return announced_ ? std::string() : buffer_.substr(begin_); }

ToolBlockReader::Move ToolBlockReader::Break() noexcept {
  state_ = State::kBroken;
  return Move::kOn;
}

ToolBlockReader::Move ToolBlockReader::Step(std::vector<ReplyEvent>& events) {
  switch (state_) {
    case State::kOpening:
    case State::kBehindCall:
      return ReadBracket(State::kBetweenCalls);
    case State::kBetweenCalls:
      return ReadBetweenCalls();
    case State::kCallTag:
      return ReadCallTag(events);
    case State::kParameterTag:
      return ReadParameterTag(events);
    case State::kValue:
      return ReadValue(events);
    case State::kBehindValue:
      return ReadBracket(State::kBehindParameters);
    case State::kBehindParameters:
      return ReadBehindParameters(events);
    case State::kClosed:
    case State::kBroken:
      break;
  }
  return Move::kWait;
}

// The ">" of a tag.
ToolBlockReader::Move ToolBlockReader::ReadBracket(State next) {
  if (Rest().empty()) return Move::kWait;
  if (Rest().front() != '>') return Break();
  ++at_;
  state_ = next;
  return Move::kOn;
}

// White space and one of the tags: reads them and says which tag. Nothing if more text is needed, or in state kBroken if it is another text.
std::optional<std::size_t> ToolBlockReader::Expect(std::span<const std::string_view> tags) {
  at_ += std::min(Rest().find_first_not_of(kSpace), Rest().size());
  bool possible = false;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (Rest().starts_with(tags[i])) {
      at_ += tags[i].size();
      scanned_ = at_;
      return i;
    }
    possible = possible || tags[i].starts_with(Rest());
  }
  if (!possible) Break();
  return std::nullopt;
}

// The first of the tags behind at_, which is not moved. What was searched once is not searched again.
ToolBlockReader::Found ToolBlockReader::Search(std::span<const std::string_view> tags) {
  Found first;
  const std::size_t from = std::max(scanned_, at_);
  std::size_t longest = 0;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    longest = std::max(longest, tags[i].size());
    const std::size_t at = buffer_.find(tags[i], from);
    if (at < first.at) first = {at, i};
  }
  scanned_ = std::max(from, buffer_.size() - std::min(buffer_.size(), longest - 1));
  return first;
}

ToolBlockReader::Move ToolBlockReader::ReadBetweenCalls() {
  const std::optional<std::size_t> tag = Expect(kBetweenCalls);
  if (!tag) return state_ == State::kBroken ? Move::kOn : Move::kWait;
  if (*tag == 1) {
    state_ = State::kClosed;
    return Move::kOn;
  }
  if (announced_) begin_ = at_ - kInvokeStart.size();
  announced_ = false;
  parameters_.clear();
  held_.reset();
  state_ = State::kCallTag;
  return Move::kOn;
}

ToolBlockReader::Move ToolBlockReader::ReadCallTag(std::vector<ReplyEvent>& events) {
  const Found found = Search(kBetweenParameters);
  if (found.at == std::string::npos) return Move::kWait;
  const std::optional<std::string_view> name = MatchName(std::string_view(buffer_).substr(at_, found.at - at_));
  if (!name) return Break();
  name_ = *name;
  at_ = scanned_ = found.at + kBetweenParameters[found.which].size();
  state_ = State::kParameterTag;
  if (found.which == 1) EndCall(events);
  return Move::kOn;
}

ToolBlockReader::Move ToolBlockReader::ReadParameterTag(std::vector<ReplyEvent>& events) {
  constexpr std::string_view kBefore = " name=\"";
  const std::string_view rest = Rest();
  if (!rest.starts_with(kBefore)) return kBefore.starts_with(rest) ? Move::kWait : Break();
  scanned_ = std::max(scanned_, at_ + kBefore.size());
  const Found found = Search(kParameterTags);
  if (found.at == std::string::npos) return Move::kWait;
  const std::size_t name_at = at_ + kBefore.size();
  const std::string name = buffer_.substr(name_at, found.at - name_at);
  if (found.which == kBareEnd || parameters_.contains(name)) return Break();
  is_string_ = found.which == 0;
  at_ = scanned_ = found.at + kParameterTags[found.which].size();
  state_ = State::kValue;
  BeginParameter(name, events);
  return Move::kOn;
}

void ToolBlockReader::Announce(std::vector<ReplyEvent>& events) {
  announced_ = true;
  Tell(ReplyEvent::Kind::kCallStart, name_, events);
  Tell(ReplyEvent::Kind::kArguments, "{", events);
}

void ToolBlockReader::BeginParameter(const std::string& name, std::vector<ReplyEvent>& events) {
  parameters_.insert(name);
  const bool first = parameters_.size() == 1;
  const auto tool = tools_->find(name_);
  if (first && (name == "arguments" || name == "input") && tool != tools_->end() &&
      std::find(tool->second.begin(), tool->second.end(), name) == tool->second.end()) {
    held_ = Held{.name = name, .value = {}};
    return;
  }
  if (first) Announce(events);
  Tell(ReplyEvent::Kind::kArguments, first ? "" : ", ", events);
  TellParameter(name, events);
}

void ToolBlockReader::TellParameter(std::string_view name, std::vector<ReplyEvent>& events) const {
  Tell(ReplyEvent::Kind::kArguments, QuoteJson(name) + (is_string_ ? ": \"" : ": "), events);
}

void ToolBlockReader::AddValue(std::string_view text, std::vector<ReplyEvent>& events) {
  if (held_) {
    held_->value += text;
  } else {
    Tell(ReplyEvent::Kind::kArguments, is_string_ ? Escaped(text) : std::string(text), events);
  }
}

// The call is not wrapped after all.
void ToolBlockReader::Release(std::vector<ReplyEvent>& events) {
  const Held held = *std::exchange(held_, std::nullopt);
  Announce(events);
  TellParameter(held.name, events);
  AddValue(held.value, events);
  if (is_string_) Tell(ReplyEvent::Kind::kArguments, "\"", events);
}

ToolBlockReader::Move ToolBlockReader::ReadValue(std::vector<ReplyEvent>& events) {
  const Found found = Search(kValueEnds);
  const bool ends = found.at != std::string::npos;
  const std::size_t decided = ends ? found.at - at_ : DecidedBytes(Rest(), kValueEnds);
  AddValue(Rest().substr(0, decided), events);
  at_ += decided;
  if (!ends) return Move::kWait;
  if (found.which == kBareEnd) return Break();
  if (is_string_ && !held_) Tell(ReplyEvent::Kind::kArguments, "\"", events);
  at_ = scanned_ = found.at + kValueEnds[found.which].size();
  state_ = State::kBehindValue;
  return Move::kOn;
}

ToolBlockReader::Move ToolBlockReader::ReadBehindParameters(std::vector<ReplyEvent>& events) {
  const std::optional<std::size_t> tag = Expect(kBetweenParameters);
  if (!tag) return state_ == State::kBroken ? Move::kOn : Move::kWait;
  if (*tag == 1) {
    EndCall(events);
    return Move::kOn;
  }
  if (held_) Release(events);
  state_ = State::kParameterTag;
  return Move::kOn;
}

void ToolBlockReader::EndCall(std::vector<ReplyEvent>& events) {
  state_ = State::kBehindCall;
  if (held_ && IsObject(held_->value)) {
    announced_ = true;
    Tell(ReplyEvent::Kind::kCallStart, name_, events);
    Tell(ReplyEvent::Kind::kArguments, held_->value, events);
  } else {
    if (held_) Release(events);
    if (!announced_) Announce(events);
    Tell(ReplyEvent::Kind::kArguments, "}", events);
  }
  Tell(ReplyEvent::Kind::kCallEnd, {}, events);
}

}  // namespace baleen::text

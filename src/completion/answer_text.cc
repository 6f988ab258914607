#include "completion/answer_text.h"

#include <algorithm>
#include <utility>

namespace baleen::completion {

// The search of Knuth, Morris and Pratt, one automaton for each stop text.
StopFinder::StopFinder(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    Stop stop{.text = std::move(text), .shorter = {}, .matched = 0};
    stop.shorter.assign(stop.text.size() + 1, 0);
    for (std::size_t n = 2; n <= stop.text.size(); ++n) {
      std::size_t k = stop.shorter[n - 1];
      while (k > 0 && stop.text[k] != stop.text[n - 1]) k = stop.shorter[k];
      stop.shorter[n] = stop.text[k] == stop.text[n - 1] ? k + 1 : 0;
    }
    stops_.push_back(std::move(stop));
  }
}

void StopFinder::Advance(Stop& stop, char byte) noexcept {
  while (stop.matched > 0 && stop.text[stop.matched] != byte) stop.matched = stop.shorter[stop.matched];
  if (stop.text[stop.matched] == byte) ++stop.matched;
}

std::string StopFinder::Feed(std::string_view piece) {
  if (found_) return {};
  std::size_t undecided = 0;
  for (const char byte : piece) {
    waiting_ += byte;
    std::size_t longest = 0;
    undecided = 0;
    for (Stop& stop : stops_) {
      Advance(stop, byte);
      undecided = std::max(undecided, stop.matched);
      if (stop.matched == stop.text.size()) longest = std::max(longest, stop.matched);
    }
    if (longest == 0) continue;
    found_ = true;
    found_text_ = waiting_.substr(waiting_.size() - longest);
    waiting_.resize(waiting_.size() - longest);
    return std::exchange(waiting_, {});
  }
  if (piece.empty()) return {};
  std::string text = waiting_.substr(0, waiting_.size() - undecided);
  waiting_.erase(0, text.size());
  return text;
}

std::string StopFinder::Finish() { return std::exchange(waiting_, {}); }

AnswerText::AnswerText(const text::Tokenizer* tokenizer, AnswerForm form, std::vector<std::string> stops, text::ToolNames tools) : stops_(std::move(stops)) {
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer);
  if (form != AnswerForm::kPlain) stream_.emplace(form == AnswerForm::kThinking, std::move(tools));
}

std::vector<text::ReplyEvent> AnswerText::Push(std::int32_t id) {
  if (!detokenizer_) return {};
  return Read(stops_.Feed(detokenizer_->Push(id)));
}

std::vector<text::ReplyEvent> AnswerText::Finish(bool cut) {
  if (!detokenizer_) return {};
  std::string rest = stops_.Feed(detokenizer_->Finish());
  rest += stops_.Finish();
  std::vector<text::ReplyEvent> events = Read(rest);
  if (stream_) {
    std::vector<text::ReplyEvent> last = stream_->Finish(cut);
    Keep(last);
    events.insert(events.end(), std::make_move_iterator(last.begin()), std::make_move_iterator(last.end()));
  }
  return events;
}

std::vector<text::ReplyEvent> AnswerText::Read(const std::string& piece) {
  if (piece.empty()) return {};
  raw_ += piece;
  std::vector<text::ReplyEvent> events;
  if (stream_) {
    events = stream_->Feed(piece);
  } else {
    events.push_back({text::ReplyEvent::Kind::kContent, piece});
  }
  Keep(events);
  return events;
}

void AnswerText::Keep(const std::vector<text::ReplyEvent>& events) {
  for (const text::ReplyEvent& event : events) text::AddEvent(event, reply_);
}

}  // namespace baleen::completion

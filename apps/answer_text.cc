#include "apps/answer_text.h"

#include <unistd.h>

#include <algorithm>

#include "apps/commands.h"

namespace baleen::apps {
namespace {

constexpr std::string_view kDim = "\033[2m", kPlain = "\033[0m";

}  // namespace

std::string StopFinder::Feed(std::string_view piece) {
  if (found_) return {};
  waiting_ += piece;
  std::size_t end = std::string::npos, undecided = 0;
  for (const std::string& stop : stops_) {
    end = std::min(end, waiting_.find(stop));
    for (std::size_t n = std::min(stop.size() - 1, waiting_.size()); n > undecided; --n) {
      if (waiting_.ends_with(std::string_view(stop).substr(0, n))) undecided = n;
    }
  }
  found_ = end != std::string::npos;
  const std::size_t decided = found_ ? end : waiting_.size() - undecided;
  std::string text = waiting_.substr(0, decided);
  waiting_ = found_ ? std::string() : waiting_.substr(decided);
  return text;
}

std::string StopFinder::Finish() { return std::exchange(waiting_, {}); }

AnswerText::AnswerText(const text::Tokenizer* tokenizer, AnswerForm form, std::vector<std::string> stops) : stops_(std::move(stops)) {
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer);
  if (form != AnswerForm::kPlain) stream_.emplace(form == AnswerForm::kThinking);
}

std::vector<text::ReplyEvent> AnswerText::Push(std::int32_t id) {
  if (!detokenizer_) return {};
  return Read(stops_.Feed(detokenizer_->Push(id)));
}

std::vector<text::ReplyEvent> AnswerText::Finish() {
  if (!detokenizer_) return {};
  std::string rest = stops_.Feed(detokenizer_->Finish());
  rest += stops_.Finish();
  std::vector<text::ReplyEvent> events = Read(rest);
  if (stream_) {
    std::vector<text::ReplyEvent> last = stream_->Finish();
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
    events.push_back({text::ReplyEvent::Kind::kContent, piece, {}});
  }
  Keep(events);
  return events;
}

void AnswerText::Keep(const std::vector<text::ReplyEvent>& events) {
  for (const text::ReplyEvent& event : events) {
    if (event.kind == text::ReplyEvent::Kind::kReasoning) reply_.reasoning_content += event.text;
    if (event.kind == text::ReplyEvent::Kind::kContent) reply_.content += event.text;
    reply_.tool_calls.insert(reply_.tool_calls.end(), event.calls.begin(), event.calls.end());
  }
}

AnswerPrinter::AnswerPrinter(bool show_thinking) : show_thinking_(show_thinking), terminal_(isatty(STDOUT_FILENO) == 1) {}

void AnswerPrinter::Begin(Part part, std::string& out) {
  if (part_ == part) return;
  if (part_ == Part::kThinking) out += (terminal_ ? std::string(kPlain) : std::string()) + "\n\n";
  if (part == Part::kThinking && terminal_) out += kDim;
  part_ = part;
}

Status AnswerPrinter::Show(const std::vector<text::ReplyEvent>& events) {
  std::string out;
  for (const text::ReplyEvent& event : events) {
    const bool thinking = event.kind == text::ReplyEvent::Kind::kReasoning;
    if (thinking && !show_thinking_) continue;
    if (!event.text.empty()) {
      Begin(thinking ? Part::kThinking : Part::kContent, out);
      out += terminal_ ? WithoutControls(event.text) : event.text;
    }
    for (const text::ParsedCall& call : event.calls) {
      if (part_ == Part::kContent) out += "\n";
      Begin(Part::kContent, out);
      out += terminal_ ? WithoutControls(CallText(call)) : CallText(call);
    }
  }
  return WriteStandardOutput(out);
}

Status AnswerPrinter::Finish() {
  const bool dimmed = terminal_ && part_ == Part::kThinking;
  part_ = Part::kNothing;
  return WriteStandardOutput(dimmed ? std::string(kPlain) + "\n" : "\n");
}

std::string CallText(const text::ParsedCall& call) { return call.name + "(" + call.arguments + ")"; }

std::string WithoutControls(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
      safe += "\xEF\xBF\xBD";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string Dimmed(std::string_view text, bool terminal) { return terminal ? std::string(kDim) + std::string(text) + std::string(kPlain) : std::string(text); }

}  // namespace baleen::apps

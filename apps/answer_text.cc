#include "apps/answer_text.h"

#include <unistd.h>

#include "apps/commands.h"

namespace baleen::apps {
namespace {

constexpr std::string_view kDim = "\033[2m", kPlain = "\033[0m";

}  // namespace

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
    const bool call = event.kind == text::ReplyEvent::Kind::kCallStart;
    if (call && part_ == Part::kContent) out += "\n";
    if (event.text.empty() && event.kind != text::ReplyEvent::Kind::kCallEnd) continue;
    Begin(thinking ? Part::kThinking : Part::kContent, out);
    out += terminal_ ? WithoutControls(event.text) : event.text;
    if (call) out += "(";
    if (event.kind == text::ReplyEvent::Kind::kCallEnd) out += ")";
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

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "completion/answer_text.h"
#include "diagnostics/result.h"
#include "text/reply_parser.h"
#include "text/reply_stream.h"

namespace baleen::apps {

using completion::AnswerForm;
using completion::AnswerText;

/// Writes an answer's events to standard output as they come; thinking is dimmed where that is a terminal.
class AnswerPrinter {
 public:
  explicit AnswerPrinter(bool show_thinking);

  Status Show(const std::vector<text::ReplyEvent>& events);
  /// Ends the last line.
  Status Finish();

 private:
  enum class Part { kNothing, kThinking, kContent };
  void Begin(Part part, std::string& out);

  bool show_thinking_, terminal_;
  Part part_ = Part::kNothing;
};

/// A call as a line of text: name(arguments).
std::string CallText(const text::ParsedCall& call);

/// Text for a terminal: control characters that could command it become U+FFFD.
std::string WithoutControls(std::string_view text);

/// DIM text RESET for notes beside an answer, plain where `terminal` is false.
std::string Dimmed(std::string_view text, bool terminal);

}  // namespace baleen::apps

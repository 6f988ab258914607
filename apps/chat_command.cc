// baleen chat: a conversation at a terminal, or one message a line from a pipe.

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "apps/answer_text.h"
#include "apps/chat_actions.h"
#include "apps/chat_input.h"
#include "apps/chat_session.h"
#include "apps/commands.h"
#include "apps/interrupt.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

constexpr std::int64_t kMostErrors = 30;  // printed from a pipe; the last line counts them all

struct ChatFlags {
  ModelFlags model;
  SamplingFlags sampling;
};

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

bool IsAction(std::string_view line) { return line.starts_with('/'); }

void PrintError(const diagnostics::Error& error, const std::string& where = "") {
  std::fprintf(stderr, "baleen: error: %s%s\n", where.c_str(), error.message.c_str());
}

void PrintNote(const std::string& note) { std::fprintf(stderr, "%s\n", Dimmed(WithoutControls(note), isatty(STDERR_FILENO) == 1).c_str()); }

std::string SpeedLine(const ChatSession& session, const ChatAnswer& answer) {
  char line[256];
  const auto rate = [](std::int64_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; };
  std::snprintf(line, sizeof line, "[prompt %lld tokens (%lld held), %.0f tokens/s; answer %lld tokens, %.1f tokens/s; context %lld of %lld]",
                static_cast<long long>(answer.prompt_tokens), static_cast<long long>(answer.reused_tokens),
                rate(answer.prompt_tokens - answer.reused_tokens, answer.prefill_seconds), static_cast<long long>(answer.written_tokens),
                rate(answer.written_tokens, answer.decode_seconds), static_cast<long long>(session.used()), static_cast<long long>(session.context()));
  return line;
}

void AnswerAtTerminal(ChatSession& session, const std::string& line) {
  const Result<ChatAnswer> answer = session.Answer(line, true);  // Ctrl-C since the line was read counts
  if (!answer) return PrintError(answer.error());
  if (InterruptWatch::Seen()) PrintNote("stopped");
  if (answer->finish == engine::Finish::kLength) {
    PrintNote(session.used() + 1 >= session.context() ? "the context is full: the answer was cut; /reset starts a new conversation"
                                                      : "the answer was cut at --max-tokens");
  }
  PrintNote(SpeedLine(session, *answer));
}

Status TalkAtTerminal(ChatSession& session) {
  const InterruptWatch watch;
  TerminalInput input(HistoryFile());
  PrintNote(session.Description() + "\n/help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves.");
  while (true) {
    const InputLine line = input.Read();
    if (line.kind != InputLine::Kind::kText) TRY(WriteStandardOutput("\n"));
    if (line.kind == InputLine::Kind::kInterrupted) continue;
    if (line.kind == InputLine::Kind::kEnd) return {};
    if (IsBlank(line.text)) continue;
    if (!IsAction(line.text)) {
      AnswerAtTerminal(session, line.text);
      continue;
    }
    const Result<ActionResult> done = RunAction(session, line.text);
    if (!done) {
      PrintError(done.error());
      continue;
    }
    if (done->quit) return {};
    if (!done->note.empty()) PrintNote(done->note);
  }
}

// Everything that some reader takes for the end of a line becomes a space.
std::string OneLine(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const text::Utf8Step step = text::ReadUtf8(text);
    const char32_t c = step.code_point;
    const bool breaks = (c >= U'\n' && c <= U'\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (text.starts_with("\r\n")) text.remove_prefix(1);
    line += breaks ? std::string_view(" ") : text.substr(0, step.bytes);
    text.remove_prefix(breaks && c < 0x80 ? 1 : step.bytes);
  }
  return line;
}

std::string AnswerLine(const text::ParsedReply& reply) {
  std::string text = reply.content;
  for (const text::ParsedCall& call : reply.tool_calls) text += (text.empty() ? "" : " ") + CallText(call);
  return OneLine(text) + "\n";
}

/// One message a line, one answer a line. A refused line goes to standard error and does not end the run, but its error becomes the
/// result's kind. Errors of input and output themselves end it.
Status TalkThroughPipe(ChatSession& session) {
  PipeInput input;
  std::optional<diagnostics::ErrorKind> first;
  std::int64_t refused = 0;
  const auto refuse = [&](const diagnostics::Error& error, std::int64_t number) {
    if (refused < kMostErrors) PrintError(error, "line " + std::to_string(number) + ": ");
    if (!first) first = error.kind;
    ++refused;
  };
  for (std::int64_t number = 1;; ++number) {
    TRY_ASSIGN(const InputLine line, input.Read());
    if (line.kind == InputLine::Kind::kEnd) break;
    if (IsBlank(line.text)) continue;
    if (IsAction(line.text)) {
      const Result<ActionResult> done = RunAction(session, line.text);
      if (!done) refuse(done.error(), number);
      if (done && done->quit) break;
      continue;
    }
    const Result<ChatAnswer> answer = session.Answer(line.text, false);
    if (answer) {
      TRY(WriteStandardOutput(AnswerLine(answer->reply)));
    } else {
      refuse(answer.error(), number);
    }
  }
  if (first) return diagnostics::Error{*first, "lines refused: " + std::to_string(refused) + "; the others were answered"};
  return {};
}

Status Chat(const ChatFlags& flags) {
  TRY_ASSIGN(const std::unique_ptr<ChatSession> session, ChatSession::Open(flags.model, flags.sampling));
  return isatty(STDIN_FILENO) == 1 ? TalkAtTerminal(*session) : TalkThroughPipe(*session);
}

}  // namespace

void AddChatCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a model, by default the bundled one. /help lists what can be done inside.");
  AddModelFlags(*command, flags->model, true);
  AddSamplingFlags(*command, flags->sampling);
  command->footer(
      "From a pipe one message is read a line and one answer written a line, line ends inside as spaces; commands work there too and print nothing.\n\n"
      "Examples:\n"
      "  baleen chat\n"
      "  baleen chat --model models/plankton --think high --system 'Be brief.'\n"
      "  printf 'hello\\n35+4\\n' | baleen chat --temperature 0");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return Chat(*flags); }); });
}

}  // namespace baleen::apps

#include "apps/chat_actions.h"

#include <cstdlib>

#include "apps/message_file.h"
#include "hardware/file.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;

constexpr char kActions[] = "/help, /think off|low|high|max, /reset, /save FILE, /load FILE, /quit";
constexpr char kHelp[] =
    "/think off|low|high|max   how much the model thinks before it answers\n"
    "/reset                    start a new conversation\n"
    "/save FILE                write the messages as JSON\n"
    "/load FILE                go on from messages that were saved\n"
    "/quit                     leave (also Ctrl-D)\n"
    "Ctrl-C stops an answer (again two seconds later: the program), or clears the line.";

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string_view ThinkingWord(text::Thinking thinking) {
  switch (thinking) {
    case text::Thinking::kOff:
      return "off";
    case text::Thinking::kLow:
      return "low";
    case text::Thinking::kHigh:
      return "high";
    case text::Thinking::kMax:
      return "max";
  }
  return "";
}

Result<std::string> FileName(std::string_view argument, std::string_view action) {
  if (argument.empty()) return InvalidInput(std::string(action) + ": expected the name of a file, found nothing; write " + std::string(action) + " FILE");
  const char* home = std::getenv("HOME");
  if (argument.starts_with("~/") && home != nullptr) return home + std::string(argument.substr(1));
  return std::string(argument);
}

Result<ActionResult> Think(ChatSession& session, std::string_view argument) {
  if (!argument.empty()) {
    const Result<text::Thinking> thinking = text::ParseThinking(argument);
    if (!thinking) return InvalidInput("/think: expected off, low, high or max, found '" + diagnostics::Quoted(argument) + "'; choose one of the four");
    session.SetThinking(*thinking);
  }
  return ActionResult{.note = "thinking: " + std::string(ThinkingWord(session.thinking()))};
}

Result<ActionResult> Save(const ChatSession& session, std::string_view argument) {
  TRY_ASSIGN(const std::string path, FileName(argument, "/save"));
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(WriteMessages(session.messages())));
  TRY(file.Commit());
  return ActionResult{.note = std::to_string(session.messages().size()) + " messages saved to " + path};
}

Result<ActionResult> Load(ChatSession& session, std::string_view argument) {
  TRY_ASSIGN(const std::string path, FileName(argument, "/load"));
  if (path == "-") return InvalidInput("/load: expected the name of a file, found -; standard input is the conversation itself");
  TRY_ASSIGN(text::Messages messages, ReadMessageFile(path));
  const std::size_t count = messages.size();
  if (const Status replaced = session.Replace(std::move(messages)); !replaced) return InvalidInput(diagnostics::Quoted(path, 300) + ": " + replaced.error().message);
  return ActionResult{.note = std::to_string(count) + " messages loaded from " + path};
}

}  // namespace

Result<ActionResult> RunAction(ChatSession& session, std::string_view line) {
  TRY(text::CheckUtf8(line, "command"));
  line = Trimmed(line);
  const std::size_t space = line.find_first_of(" \t");
  const std::string_view name = line.substr(0, space);
  const std::string_view argument = space == std::string_view::npos ? std::string_view() : Trimmed(line.substr(space));
  if (name == "/think") return Think(session, argument);
  if (name == "/save") return Save(session, argument);
  if (name == "/load") return Load(session, argument);
  const bool known = name == "/help" || name == "/reset" || name == "/quit";
  if (!known) return InvalidInput("unknown command '" + diagnostics::Quoted(name) + "'; there are " + kActions);
  if (!argument.empty()) return InvalidInput(std::string(name) + ": expected nothing behind it, found '" + diagnostics::Quoted(argument) + "'");
  if (name == "/help") return ActionResult{.note = kHelp};
  if (name == "/quit") return ActionResult{.quit = true};
  session.Reset();
  return ActionResult{.note = "a new conversation"};
}

}  // namespace baleen::apps

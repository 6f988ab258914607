#include "apps/chat_input.h"

#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "apps/interrupt.h"
#include "text/utf8.h"

namespace baleen::apps {
namespace {

constexpr int kHistoryLines = 1000;
constexpr char kControlC = '\x03';
constexpr std::size_t kMostLineBytes = std::size_t{16} << 20;

char* Prompt(EditLine*) {
  static char prompt[] = "> ";
  return prompt;
}

// Ctrl-Z: the terminal is given back as it was found while others have it.
unsigned char Suspend(EditLine* editor, int) {
  el_set(editor, EL_PREP_TERM, 0);
  std::raise(SIGTSTP);
  el_set(editor, EL_PREP_TERM, 1);
  return CC_REDISPLAY;
}

// While a line is edited Ctrl-C is a byte among the others, not a signal: a signal that comes between two reads would wake neither, and the
// terminal drops what was typed before it. A byte that ends a broken character is the beginning of the next one.
int ReadCharacter(EditLine*, wchar_t* character) {
  static std::string bytes;
  while (true) {
    const text::Utf8Step step = bytes.empty() ? text::Utf8Step{.cut = true} : text::ReadUtf8(bytes);
    if (step.valid || !step.cut) {
      *character = static_cast<wchar_t>(step.code_point);
      bytes.erase(0, step.bytes);
      return 1;
    }
    char byte = 0;
    const ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR && !InterruptWatch::Seen()) continue;
    if (got <= 0) {
      bytes.clear();
      return static_cast<int>(got);
    }
    if (byte == kControlC) {
      bytes.clear();
      InterruptWatch::Mark();
      return -1;
    }
    bytes += byte;
  }
}

void SetUtf8Locale() {
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

TerminalInput::TerminalInput(const std::filesystem::path& history_file) : history_file_(history_file) {
  SetUtf8Locale();
  HistEvent event;
  history_ = history_init();
  history(history_, &event, H_SETSIZE, kHistoryLines);
  history(history_, &event, H_SETUNIQUE, 1);
  if (!history_file_.empty()) history(history_, &event, H_LOAD, history_file_.c_str());
  editor_ = el_init("baleen", stdin, isatty(STDOUT_FILENO) == 1 ? stdout : stderr, stderr);
  el_set(editor_, EL_PROMPT, Prompt);
  el_set(editor_, EL_EDITOR, "emacs");
  el_set(editor_, EL_HIST, history, history_);
  el_set(editor_, EL_GETCFN, ReadCharacter);
  el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor_, EL_ADDFN, "suspend", "Stop the program until it is continued", Suspend);
  el_set(editor_, EL_BIND, "^Z", "suspend", nullptr);
}

TerminalInput::~TerminalInput() {
  if (!history_file_.empty()) {
    std::error_code code;
    std::filesystem::create_directories(history_file_.parent_path(), code);
    HistEvent event;
    if (history(history_, &event, H_SAVE, history_file_.c_str()) >= 0) {
      std::filesystem::permissions(history_file_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, code);
    }
  }
  el_end(editor_);
  history_end(history_);
}

InputLine TerminalInput::Read() {
  InterruptWatch::Clear();
  el_resize(editor_);
  el_set(editor_, EL_PREP_TERM, 1);  // before the prompt is written: a Ctrl-D typed at once must not be the line discipline's
  int count = 0;
  const char* line = el_gets(editor_, &count);
  if (InterruptWatch::Seen()) {
    el_reset(editor_);
    return {.kind = InputLine::Kind::kInterrupted};
  }
  if (line == nullptr || count <= 0) return {.kind = InputLine::Kind::kEnd};
  std::string text(line, static_cast<std::size_t>(count));
  HistEvent event;
  if (text.find_first_not_of(" \t\r\n") != std::string::npos) history(history_, &event, H_ENTER, text.c_str());
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return {.kind = InputLine::Kind::kText, .text = std::move(text)};
}

Result<InputLine> PipeInput::Read() {
  std::size_t searched = start_;
  while (true) {
    std::size_t end = waiting_.find('\n', searched);
    if (end == std::string::npos && ended_ && start_ < waiting_.size()) end = waiting_.size();
    if (end != std::string::npos) {
      InputLine line{.kind = InputLine::Kind::kText, .text = waiting_.substr(start_, end - start_)};
      start_ = std::min(end + 1, waiting_.size());
      if (line.text.ends_with('\r')) line.text.pop_back();
      return line;
    }
    if (ended_) return InputLine{.kind = InputLine::Kind::kEnd};
    waiting_.erase(0, std::exchange(start_, 0));
    searched = waiting_.size();
    if (searched > kMostLineBytes) {
      return diagnostics::InvalidInput("standard input: expected lines of at most " + std::to_string(kMostLineBytes) +
                                       " bytes, found a longer one; split the message");
    }
    char buffer[1 << 16];
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return diagnostics::ResourceError(std::string("standard input cannot be read: ") + std::strerror(errno));
    ended_ = got == 0;
    waiting_.append(buffer, static_cast<std::size_t>(got));
  }
}

std::filesystem::path HistoryFile() {
  const std::filesystem::path place = std::filesystem::path("baleen") / "history";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') return state / place;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0) return std::filesystem::path(home) / ".local" / "state" / place;
  return {};
}

}  // namespace baleen::apps

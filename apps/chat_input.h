#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "diagnostics/result.h"

struct editline;
struct history;

namespace baleen::apps {

/// What came when a line was asked for.
struct InputLine {
  enum class Kind { kText, kInterrupted, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;  // without its line end
};

/// A terminal with line editing and history (libedit). Wants an InterruptWatch to live as long, so that Ctrl-C clears the line.
class TerminalInput {
 public:
  /// The history is read from `history_file` and written there at the end; where that cannot be done it is kept for this run only.
  explicit TerminalInput(const std::filesystem::path& history_file);
  ~TerminalInput();
  TerminalInput(const TerminalInput&) = delete;
  TerminalInput& operator=(const TerminalInput&) = delete;

  InputLine Read();

 private:
  std::filesystem::path history_file_;
  editline* editor_;
  history* history_;
};

/// Standard input that is no terminal, line by line. Errors: a line beyond 16 MiB, a read that fails.
class PipeInput {
 public:
  Result<InputLine> Read();

 private:
  std::string waiting_;
  std::size_t start_ = 0;  // of the next line in waiting_
  bool ended_ = false;
};

/// $XDG_STATE_HOME/baleen/history, else ~/.local/state/baleen/history; empty where neither is known.
std::filesystem::path HistoryFile();

}  // namespace baleen::apps

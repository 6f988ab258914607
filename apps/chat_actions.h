#pragma once

#include <string>
#include <string_view>

#include "apps/chat_session.h"
#include "diagnostics/result.h"

namespace baleen::apps {

/// What a line that begins with / did.
struct ActionResult {
  std::string note;  // for the person at the terminal; may be empty
  bool quit = false;
};

/// Does /help, /think MODE, /reset, /save FILE, /load FILE or /quit.
/// Errors: an unknown command or a wrong argument (the message says what there is), a file that cannot be written or read.
Result<ActionResult> RunAction(ChatSession& session, std::string_view line);

}  // namespace baleen::apps

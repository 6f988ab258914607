#pragma once

#include <string>

#include "diagnostics/result.h"
#include "text/chat_encoding.h"

namespace baleen::apps {

/// The messages of a JSON file; - is standard input. Errors: as of text::ParseMessages, with the file in front; an empty array; an
/// unreadable file or one beyond 256 MiB.
Result<text::Messages> ReadMessageFile(const std::string& path);

/// Messages as a JSON array that ReadMessageFile reads back to the same, one message a line.
std::string WriteMessages(const text::Messages& messages);

}  // namespace baleen::apps

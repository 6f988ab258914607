#pragma once

#include <string>

namespace baleen::apps {

/// Appends what printf would print, at most 1,023 bytes of it.
[[gnu::format(printf, 2, 3)]] void AddText(std::string& text, const char* format, ...);
/// The same and an end of line.
[[gnu::format(printf, 2, 3)]] void AddLine(std::string& text, const char* format, ...);

}  // namespace baleen::apps

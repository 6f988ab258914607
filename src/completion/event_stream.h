#pragma once

#include <string>
#include <string_view>

#include "text/json_python.h"

namespace baleen::completion {

/// One server-sent event that has data only. The JSON stays one line for every reader.
inline std::string DataEvent(std::string_view json) { return "data: " + text::KeepOneLine(json) + "\n\n"; }

/// One server-sent event with a name.
inline std::string NamedEvent(std::string_view name, std::string_view json) { return "event: " + std::string(name) + "\n" + DataEvent(json); }

/// A comment, which every client skips.
inline constexpr std::string_view kKeepAliveComment = ": keep-alive\n\n";

}  // namespace baleen::completion

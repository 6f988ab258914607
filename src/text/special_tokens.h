#pragma once

#include <string_view>

namespace baleen::text {

/// The strings of the wire format (§11.1). ｜ is U+FF5C and ▁ is U+2581; the tags of thinking are ASCII.
inline constexpr std::string_view kBeginOfSequence = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEndOfSequence = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kLatestReminder = "<｜latest_reminder｜>";
inline constexpr std::string_view kThinkingStart = "<think>";
inline constexpr std::string_view kThinkingEnd = "</think>";
inline constexpr std::string_view kFimBegin = "<｜fim▁begin｜>";  // then the text in front of the gap, then kFimHole, the text behind it, kFimEnd
inline constexpr std::string_view kFimHole = "<｜fim▁hole｜>";
inline constexpr std::string_view kFimEnd = "<｜fim▁end｜>";
inline constexpr std::string_view kDsml = "｜DSML｜";
inline constexpr std::string_view kToolBlockStart = "\n\n<｜DSML｜tool_calls";  // the blank line is not part of the content
inline constexpr std::string_view kToolBlockEnd = "</｜DSML｜tool_calls>";

}  // namespace baleen::text

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace baleen::apps {

/// What can be told of a line that is refused before it is read: nested too deep, or with half a surrogate pair. Found without recursion.
struct LineOutline {
  std::optional<std::string> custom_id;  // where it can be read
  std::string field;                     // of the body, or of the line, that holds the first such fault; empty = there is none
};

/// Errors: nothing; of a text that is not one object with all its brackets closed the outline is empty.
LineOutline OutlineOf(std::string_view line);

}  // namespace baleen::apps

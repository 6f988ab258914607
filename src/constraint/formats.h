#pragma once

#include <optional>
#include <string_view>

namespace baleen::constraint {

/// A pattern whose texts all have the format of JSON schema's `format`; nothing for an unknown format.
std::optional<std::string_view> PatternOfFormat(std::string_view format);

}  // namespace baleen::constraint

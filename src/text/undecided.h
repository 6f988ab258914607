#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace baleen::text {

/// How much of a text, to which more may come, can be shown: all but what may be the beginning of one of the tags, and all but the
/// beginning of a code point.
std::size_t DecidedBytes(std::string_view text, std::span<const std::string_view> tags) noexcept;

}  // namespace baleen::text

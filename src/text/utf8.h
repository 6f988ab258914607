#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::text {

/// What stands at the front of some bytes.
struct Utf8Step {
  char32_t code_point = 0;  // U+FFFD where `valid` is false
  std::size_t bytes = 0;    // of the code point; where invalid, of its longest well-formed beginning, at least 1
  bool valid = false;
  bool cut = false;         // invalid only because the bytes end: more of them could complete it
};

/// Reads the code point at the front of `bytes`, which are not empty. Overlong forms, surrogates and what is above U+10FFFF are invalid.
Utf8Step ReadUtf8(std::string_view bytes) noexcept;

/// The offset of the first byte that is not part of valid UTF-8, or npos.
std::size_t FindInvalidUtf8(std::string_view bytes) noexcept;

/// An error that names `what` and the offset of the first bad byte, if `bytes` are not UTF-8.
Status CheckUtf8(std::string_view bytes, std::string_view what);

/// The text with U+FFFD for every longest beginning of a code point that is not completed, as decoders of the Unicode standard do it.
std::string ReplaceInvalidUtf8(std::string_view bytes);

/// Appends a code point (a scalar value) to `text`.
void AppendUtf8(std::string& text, char32_t code_point);

}  // namespace baleen::text

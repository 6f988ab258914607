#pragma once

#include <cstdint>
#include <span>

namespace baleen::text {

/// The classes of characters that the pre-tokenizer's patterns name, as bits. Unicode 16.0 (§11.1: older tables give other ids).
enum CharacterClass : std::uint8_t {
  kLetter = 1,        // \p{L}
  kMark = 2,          // \p{M}
  kNumber = 4,        // \p{N}
  kPunctuation = 8,   // \p{P}
  kSymbol = 16,       // \p{S}
  kWhiteSpace = 32,   // \s = White_Space: U+0085 is one, U+001C..1F and U+200B are not
};

/// The bits of CharacterClass that hold for a code point; 0 for unassigned ones and for what is above U+10FFFF.
std::uint8_t CharacterClasses(char32_t code_point) noexcept;

/// The generated table: (first code point << 8) | classes, ascending; a run ends where the next begins.
std::span<const std::uint32_t> UnicodeRuns() noexcept;

}  // namespace baleen::text

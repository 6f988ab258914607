#pragma once

#include <functional>
#include <string_view>
#include <vector>

namespace baleen::text {

/// A pattern of tokenizer.json's Split stages, matched by hand-written code in linear time.
enum class SplitPattern {
  kDigitGroups,   // \p{N}{1,3}
  kSingleDigits,  // \p{N}
  kIdeographs,    // [一-龥぀-ゟ゠-ヿ]+
  kWords,         // the third pattern of §11.1: words, punctuation, line ends, spaces
};

/// The pattern written as a regular expression in tokenizer.json, or nullptr if this program has no matcher for it.
const SplitPattern* FindSplitPattern(std::string_view regex) noexcept;

/// Cuts UTF-8 text into the pieces that are merged apart from each other. The pieces in order are the text again.
///
/// Each stage cuts the pieces of the stage before it: every match is a piece, and so is every run of text between matches
/// ("isolated"). A byte that is not part of UTF-8 counts as a character without a class.
///
/// Cost      linear in the text for each stage.
/// Source    specification §11.1
void SplitIntoPieces(std::string_view text, const std::vector<SplitPattern>& stages, const std::function<void(std::string_view)>& piece);

}  // namespace baleen::text

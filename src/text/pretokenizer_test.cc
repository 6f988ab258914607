#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/unicode_categories.h"
#include "text/utf8.h"

namespace baleen::text {
namespace {

using Pieces = std::vector<std::string>;

Pieces Split(std::string_view text) {
  Pieces pieces;
  SplitIntoPieces(text, {SplitPattern::kDigitGroups, SplitPattern::kIdeographs, SplitPattern::kWords},
                  [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

TEST(Pretokenizer, FollowsThePatterns) {
  EXPECT_EQ(Split(""), Pieces{});
  EXPECT_EQ(Split("Hello world"), (Pieces{"Hello", " world"}));
  EXPECT_EQ(Split("12345 6"), (Pieces{"123", "45", " ", "6"}));
  EXPECT_EQ(Split("x中文y"), (Pieces{"x", "中文", "y"}));
  EXPECT_EQ(Split("don't .self"), (Pieces{"don", "'t", " .", "self"}));
  EXPECT_EQ(Split("a  b"), (Pieces{"a", " ", " b"}));
  EXPECT_EQ(Split("a   "), (Pieces{"a", "   "}));
  EXPECT_EQ(Split("a \n\n  b"), (Pieces{"a", " \n\n", " ", " b"}));
  EXPECT_EQ(Split("a!\r\nb"), (Pieces{"a", "!\r\n", "b"}));
  EXPECT_EQ(Split("\x01\x02"), (Pieces{"\x01\x02"}));
  EXPECT_EQ(Split("\x01\x02z"), (Pieces{"\x01", "\x02z"}));
  EXPECT_EQ(Split("e\u0301t\u00e9"), (Pieces{"e\u0301t\u00e9"}));
  EXPECT_EQ(Split("\t\tif"), (Pieces{"\t", "\tif"}));
}

TEST(Pretokenizer, FindsPatternsByTheirText) {
  ASSERT_NE(FindSplitPattern(R"(\p{N}{1,3})"), nullptr);
  EXPECT_EQ(*FindSplitPattern(R"(\p{N})"), SplitPattern::kSingleDigits);
  EXPECT_EQ(FindSplitPattern("x"), nullptr);
}

TEST(UnicodeCategories, AreThoseOfUnicode16) {
  EXPECT_EQ(CharacterClasses('A'), kLetter);
  EXPECT_EQ(CharacterClasses('~'), kSymbol);
  EXPECT_EQ(CharacterClasses('_'), kPunctuation);
  EXPECT_EQ(CharacterClasses(U'²'), kNumber);
  EXPECT_EQ(CharacterClasses(0x0301), kMark);
  EXPECT_EQ(CharacterClasses(0x85), kWhiteSpace);
  EXPECT_EQ(CharacterClasses(0x1C), 0);
  EXPECT_EQ(CharacterClasses(0x200B), 0);
  EXPECT_EQ(CharacterClasses(0x113D4), kPunctuation);  // new in 16.0
  EXPECT_EQ(CharacterClasses(0x10FFFF), 0);
  EXPECT_EQ(CharacterClasses(0x110000), 0);
}

TEST(Utf8, ReplacesLongestBeginnings) {
  EXPECT_EQ(ReplaceInvalidUtf8("a\xF0\x9F\x98z\xFF\xE2\x82\xC3\xA9"), "a\uFFFDz\uFFFD\uFFFDé");
  EXPECT_EQ(ReplaceInvalidUtf8("\xC0\x80\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(FindInvalidUtf8("aé\xF4\x90\x80\x80"), 3U);
  EXPECT_EQ(FindInvalidUtf8("\U0010FFFF"), std::string::npos);
  EXPECT_FALSE(CheckUtf8("\xFF", "input"));
}

}  // namespace
}  // namespace baleen::text

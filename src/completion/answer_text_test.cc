#include "completion/answer_text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace baleen::completion {
namespace {

std::string Whole(StopFinder& finder, const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += finder.Feed(piece);
  return text + finder.Finish();
}

TEST(StopFinder, FindsAcrossEdges) {
  StopFinder finder({"END", "stop"});
  EXPECT_EQ(finder.Feed("one E"), "one ");
  EXPECT_EQ(finder.Feed("N"), "");
  EXPECT_EQ(finder.Feed("T"), "ENT");
  EXPECT_EQ(finder.Feed("ENENDxx"), "EN");
  EXPECT_TRUE(finder.found());
  EXPECT_EQ(finder.Feed("more"), "");
  EXPECT_EQ(finder.Finish(), "");
}

TEST(StopFinder, GivesBackWhatWasHeld) {
  StopFinder finder({"aab"});
  EXPECT_EQ(Whole(finder, {"a", "a", "a"}), "aaa");
  EXPECT_FALSE(finder.found());
  StopFinder none({});
  EXPECT_EQ(none.Feed("text"), "text");
}

TEST(StopFinder, IsFastWithLongStops) {
  StopFinder finder(std::vector<std::string>(16, std::string(4095, 'a') + "b"));
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += finder.Feed("a");
  EXPECT_EQ(text.size(), 100'000U - 4095U);
}

// However the text is cut, what comes is the text in front of the first stop that is complete.
RC_GTEST_PROP(StopFinder, DoesNotDependOnPieces, ()) {
  const auto letters = rc::gen::container<std::string>(rc::gen::element('a', 'b'));
  const auto stops = *rc::gen::container<std::vector<std::string>>(rc::gen::nonEmpty(letters));
  const auto pieces = *rc::gen::container<std::vector<std::string>>(letters);
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  std::string expected = text;
  bool found = false;
  for (std::size_t end = 1; end <= text.size() && !found; ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (std::string_view(text).substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest == 0) continue;
    found = true;
    expected = text.substr(0, end - longest);
  }
  StopFinder finder(stops);
  RC_ASSERT(Whole(finder, pieces) == expected);
  RC_ASSERT(finder.found() == found);
}

}  // namespace
}  // namespace baleen::completion

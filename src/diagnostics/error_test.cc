#include "diagnostics/error.h"

#include <gtest/gtest.h>

#include "diagnostics/result.h"

namespace baleen::diagnostics {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return InvalidInput("expected an even number");
  return value / 2;
}

Result<int> Quarter(int value) {
  TRY_ASSIGN(const int half, Half(value));
  TRY(Half(half));
  return half / 2;
}

TEST(Error, ExitCodesAreWithinTheContract) {
  EXPECT_EQ(InvalidInput("").ExitCode(), 2);
  EXPECT_EQ(NotFound("").ExitCode(), 3);
  EXPECT_EQ(Unsupported("").ExitCode(), 4);
  EXPECT_EQ(ResourceError("").ExitCode(), 5);
}

TEST(Error, TryPassesValuesAndErrors) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_FALSE(Quarter(6));
  EXPECT_EQ(Quarter(3).error().message, "expected an even number");
}

TEST(Error, QuotedIsOneBoundedLine) {
  EXPECT_EQ(Quoted("plain ü"), "plain ü");
  EXPECT_EQ(Quoted(std::string("a\nb\0c", 5)), "a\\x0ab\\x00c");
  EXPECT_EQ(Quoted("\xff\xc3(\xed\xa0\x80"), "\\xff\\xc3(\\xed\\xa0\\x80");
  EXPECT_EQ(Quoted(std::string(500, 'x'), 10), "xxxxxxxxxx…");
}

}  // namespace
}  // namespace baleen::diagnostics

#include "server/replay_memory.h"

#include <fstream>

#include <gtest/gtest.h>

#include "checkpoint/temporary_folder.h"

namespace baleen::server {
namespace {

SampledTurn Turn(std::int32_t first, std::string reasoning) { return {.ids = {first, first + 1, 1}, .thinking = !reasoning.empty(), .reasoning = std::move(reasoning)}; }

class ReplayMemoryTest : public testing::Test {
 protected:
  checkpoint::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "turns.sqlite";
};

TEST_F(ReplayMemoryTest, FindsWhatATenantKeptAndNothingElse) {
  ReplayMemory memory({}, "model");
  memory.Keep("a", "key", Turn(10, "why"));
  EXPECT_EQ(memory.Find("a", "key"), Turn(10, "why"));
  EXPECT_EQ(memory.Find("b", "key"), std::nullopt);
  EXPECT_EQ(memory.Find("ak", "ey"), std::nullopt);
  EXPECT_EQ(memory.Find("a", "other"), std::nullopt);
  memory.Keep("a", "key", Turn(20, ""));
  EXPECT_EQ(memory.Find("a", "key"), Turn(20, ""));
}

TEST_F(ReplayMemoryTest, ForgetsWhatWasLongestNotAskedFor) {
  ReplayMemory memory({}, "model", 900);
  memory.Keep("a", "first", Turn(1, "x"));
  memory.Keep("a", "second", Turn(2, "x"));
  for (int i = 0; i < 5; ++i) {
    memory.Keep("a", std::to_string(i), Turn(i, "x"));
    EXPECT_NE(memory.Find("a", "first"), std::nullopt);
  }
  EXPECT_EQ(memory.Find("a", "second"), std::nullopt);
  EXPECT_LE(memory.bytes(), 900U);
  memory.Keep("a", "huge", Turn(1, std::string(2000, 'x')));
  EXPECT_EQ(memory.Find("a", "huge"), std::nullopt);
  EXPECT_NE(memory.Find("a", "first"), std::nullopt);
}

TEST_F(ReplayMemoryTest, OutlivesTheProcessInAFileOnlyItsOwnerReads) {
  {
    ReplayMemory memory(file_, "model");
    memory.Keep("a", "key", Turn(10, std::string("zero \0 inside", 13)));
    memory.Keep("a", "none", {});
  }
  EXPECT_EQ(std::filesystem::status(file_).permissions() & std::filesystem::perms(077), std::filesystem::perms::none);
  ReplayMemory memory(file_, "model");
  EXPECT_EQ(memory.Find("a", "key"), Turn(10, std::string("zero \0 inside", 13)));
  EXPECT_EQ(memory.Find("a", "none"), SampledTurn{});
  EXPECT_EQ(memory.Find("b", "key"), std::nullopt);
  EXPECT_EQ(ReplayMemory(file_, "another model").Find("a", "key"), std::nullopt);
}

TEST_F(ReplayMemoryTest, TheFileKeepsItsBounds) {
  {
    ReplayMemory memory(file_, "model", std::size_t{1} << 20);
    for (int i = 0; i < 60; ++i) memory.Keep("a", std::to_string(i), Turn(i, std::string(100'000, 'x')));
  }
  EXPECT_LT(std::filesystem::file_size(file_), std::size_t{3} << 19);
  ReplayMemory memory(file_, "model");
  EXPECT_NE(memory.Find("a", "59"), std::nullopt);
  EXPECT_EQ(memory.Find("a", "0"), std::nullopt);
}

TEST_F(ReplayMemoryTest, LeavesAForeignFileAloneAndGoesOn) {
  const std::string foreign = "not a database, but somebody's notes, longer than a header of SQLite so that it is read: " + std::string(200, '.');
  std::ofstream(file_) << foreign;
  ReplayMemory memory(file_, "model");
  memory.Keep("a", "key", Turn(10, ""));
  EXPECT_EQ(memory.Find("a", "key"), Turn(10, ""));
  std::ifstream in(file_);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), foreign);
}

TEST_F(ReplayMemoryTest, AFolderThatIsNotThereIsNoError) {
  ReplayMemory memory(folder_.path() / "missing" / "turns.sqlite", "model");
  memory.Keep("a", "key", Turn(10, ""));
  EXPECT_EQ(memory.Find("a", "key"), Turn(10, ""));
}

}  // namespace
}  // namespace baleen::server

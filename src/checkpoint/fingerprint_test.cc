#include "checkpoint/fingerprint.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "checkpoint/temporary_folder.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;

void FlipByte(const fs::path& path, std::int64_t from_end) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-from_end, std::ios::end);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(-from_end, std::ios::end);
  file.put(byte);
}

Fingerprint Of(const fs::path& folder, const fs::path& memory = {}) {
  const auto checkpoint = Checkpoint::Open(folder);
  EXPECT_TRUE(checkpoint.has_value());
  const auto fingerprint = FingerprintOf(*checkpoint, memory);
  EXPECT_TRUE(fingerprint.has_value());
  return *fingerprint;
}

class FingerprintTest : public testing::Test {
 protected:
  void SetUp() override {
    const fs::path source = fs::path(BALEEN_SOURCE_DIR) / "models" / "plankton";
    for (const auto& entry : fs::directory_iterator(source)) {
      if (entry.is_regular_file()) fs::copy_file(entry.path(), folder_.path() / entry.path().filename());
    }
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      if (entry.path().extension() == ".safetensors") weights_ = entry.path();
    }
  }

  TemporaryFolder folder_, memory_;
  fs::path weights_;
};

TEST_F(FingerprintTest, ChangesWithAByteOfTheWeightsOrOfTheConfig) {
  const Fingerprint before = Of(folder_.path());
  EXPECT_EQ(Of(folder_.path()), before);
  FlipByte(weights_, 1);
  const Fingerprint weights = Of(folder_.path());
  EXPECT_NE(weights, before);
  FlipByte(weights_, 1);
  EXPECT_EQ(Of(folder_.path()), before);
  std::ofstream(folder_.path() / "config.json", std::ios::app) << "\n";
  EXPECT_NE(Of(folder_.path()), before);
}

TEST_F(FingerprintTest, IsRememberedUntilAFileChanges) {
  for (const auto& entry : fs::directory_iterator(folder_.path())) fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - std::chrono::hours(1));
  // The time of change cannot be set: what was copied just now is not remembered yet.
  const Fingerprint before = Of(folder_.path(), memory_.path());
  EXPECT_TRUE(fs::is_empty(memory_.path()));
  const fs::path repository = fs::path(BALEEN_SOURCE_DIR) / "models" / "plankton";
  const Fingerprint first = Of(repository, memory_.path());
  EXPECT_EQ(first, before) << "the same bytes elsewhere";
}

}  // namespace
}  // namespace baleen::checkpoint

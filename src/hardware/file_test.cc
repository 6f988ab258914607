#include "hardware/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace baleen::hardware {
namespace {

std::filesystem::path FreshFolder() {
  const auto folder = std::filesystem::temp_directory_path() / ("baleen-file-test-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

std::size_t Entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const auto folder = FreshFolder();
  {
    auto file = AtomicFile::Create(folder / "a");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->Write(std::string_view("half")));
  }
  EXPECT_EQ(Entries(folder), 0u);
  {
    auto file = AtomicFile::Create(folder / "a");
    ASSERT_TRUE(file->Write(std::string_view("whole")));
    ASSERT_TRUE(file->Commit());
  }
  EXPECT_EQ(*ReadFile(folder / "a", 100), "whole");
  EXPECT_EQ(Entries(folder), 1u);
  std::filesystem::remove_all(folder);
}

TEST(AtomicFile, RefusesFoldersAndMissingPlaces) {
  const auto folder = FreshFolder();
  EXPECT_FALSE(AtomicFile::Create(folder));
  EXPECT_FALSE(AtomicFile::Create(folder / "missing" / "a"));
  EXPECT_FALSE(AtomicFile::Create(""));
  std::filesystem::remove_all(folder);
}

TEST(AtomicFile, WritesDevicesAndRefusesPipes) {
  const auto folder = FreshFolder();
  auto null = AtomicFile::Create("/dev/null");
  ASSERT_TRUE(null);
  EXPECT_TRUE(null->Write(std::string_view("gone")));
  EXPECT_TRUE(null->Commit());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  auto full = AtomicFile::Create("/dev/full");
  ASSERT_TRUE(full);
  EXPECT_FALSE(full->Write(std::string_view("no room")));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(AtomicFile::Create(folder / "pipe"));
  std::filesystem::remove_all(folder);
}

TEST(Files, ReadAndMapGiveTheBytesOrAClearError) {
  const auto folder = FreshFolder();
  std::ofstream(folder / "a") << "content";
  EXPECT_EQ(*ReadFile(folder / "a", 7), "content");
  EXPECT_FALSE(ReadFile(folder / "a", 6));
  EXPECT_EQ(ReadFile(folder / "b", 6).error().kind, diagnostics::ErrorKind::kNotFound);
  EXPECT_FALSE(ReadFile(folder, 100));
  const auto map = Mapping::Open(folder / "a");
  ASSERT_TRUE(map);
  EXPECT_EQ(map->bytes().size(), 7u);
  EXPECT_FALSE(Mapping::Open(folder));
  std::ofstream(folder / "empty").flush();
  EXPECT_TRUE(Mapping::Open(folder / "empty")->bytes().empty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace baleen::hardware

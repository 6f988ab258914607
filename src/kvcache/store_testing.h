#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/store.h"

namespace baleen::kvcache {

/// A folder of its own for each test, removed in the end.
class StoreTest : public testing::Test {
 protected:
  static constexpr Hash128 kModel = {0x1111, 0x2222};
  static constexpr std::uint64_t kBudget = std::uint64_t{1} << 30;

  void SetUp() override {
    std::string name = testing::TempDir() + "storeXXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    std::error_code code;
    std::filesystem::remove_all(folder_, code);
  }

  std::unique_ptr<Store> Opened(StoreOptions options = {}, std::uint64_t budget_bytes = kBudget, const Hash128& model = kModel) const {
    auto store = Store::Open(folder_, model, budget_bytes, std::move(options));
    EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().message);
    return store ? *std::move(store) : nullptr;
  }

  static Hash128 Key(std::uint64_t number) { return {number, number * 0x9E3779B97F4A7C15u}; }

  /// Bytes that depend on the number and the size, at every place.
  static std::vector<std::byte> Content(std::uint64_t number, std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::uint64_t state = number * 0x9E3779B97F4A7C15u + size + 1;
    for (std::byte& byte : bytes) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<std::byte>(state >> 56);
    }
    return bytes;
  }

  std::filesystem::path File(const Hash128& key, const Hash128& model = kModel) const {
    return folder_ / model.Hex() / key.Hex().substr(0, 2) / (key.Hex() + ".rec");
  }

  std::vector<std::filesystem::path> Files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      if (!entry.is_directory()) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
  }

  static std::string Bytes(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void Put(const std::filesystem::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

  std::filesystem::path folder_;
};

}  // namespace baleen::kvcache

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "diagnostics/result.h"

struct sqlite3;

namespace baleen::server {

/// What was sampled for one turn of an assistant.
struct SampledTurn {
  std::vector<std::int32_t> ids;  // from behind <think> or </think>, with the end token
  bool thinking = false;          // the prompt ended with <think>
  std::string reasoning;          // as the client got it

  friend bool operator==(const SampledTurn&, const SampledTurn&) = default;
};

/// Turns by key, so that the next request of a conversation can be made of the very tokens that were sampled. Holds at most so many bytes; the
/// turn that was longest not asked for goes first. With a file it outlives the process. Safe to use from several threads.
class ReplayMemory {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;

  /// file: empty = in memory only. model: a hash of what gives ids their meaning; turns of another model are not found.
  /// A file that cannot be used is said and left alone: the memory then ends with the process.
  ReplayMemory(const std::filesystem::path& file, std::string model, std::size_t most_bytes = kMostBytes);
  ~ReplayMemory();
  ReplayMemory(const ReplayMemory&) = delete;
  ReplayMemory& operator=(const ReplayMemory&) = delete;

  void Keep(const std::string& tenant, std::string_view key, SampledTurn turn);
  std::optional<SampledTurn> Find(const std::string& tenant, std::string_view key);

  std::size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    SampledTurn turn;
  };
  using Entries = std::list<Entry>;  // the last used first
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };

  std::string FullKey(const std::string& tenant, std::string_view key) const;
  void Remember(std::string key, SampledTurn turn);
  Status OpenFile(const std::filesystem::path& file);
  void Write(const std::string& key, const SampledTurn& turn);
  std::optional<SampledTurn> Read(const std::string& key);
  void GiveUpFile(std::string_view what);

  const std::string model_;
  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_key_;
  std::size_t bytes_ = 0;
  std::unique_ptr<sqlite3, Close> file_;  // null: none, or given up
};

}  // namespace baleen::server

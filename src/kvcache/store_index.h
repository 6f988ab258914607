#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "kvcache/hash.h"

namespace baleen::kvcache {

/// The name of a record on disk.
struct RecordName {
  Hash128 fingerprint;
  Hash128 key;

  friend bool operator==(const RecordName&, const RecordName&) = default;
  friend std::strong_ordering operator<=>(const RecordName& a, const RecordName& b) {
    const auto parts = [](const RecordName& n) { return std::tuple(n.fingerprint.high, n.fingerprint.low, n.key.high, n.key.low); };
    return parts(a) <=> parts(b);
  }
};

/// Which records a directory holds, their sizes, and when each was used last. Not thread-safe.
class StoreIndex {
 public:
  struct Record {
    std::uint64_t file_bytes = 0;
    std::int64_t used_ns = 0;
  };

  /// What a file of so many bytes takes from the budget: whole pages of 4096 bytes.
  static std::uint64_t Cost(std::uint64_t file_bytes) { return (file_bytes + 4095) / 4096 * 4096; }

  /// Adds the record, or replaces it.
  void Put(const RecordName& name, const Record& record);
  void Remove(const RecordName& name);
  bool Contains(const RecordName& name) const { return records_.contains(name); }

  /// Marks a known record as used later than every other, and returns its new time: `now_ns`, or just after the latest time when the clock
  /// stands behind it. Nothing for an unknown record.
  std::optional<std::int64_t> Use(const RecordName& name, std::int64_t now_ns);

  /// The time for a record that is used now.
  std::int64_t After(std::int64_t now_ns) const;

  /// Keeps of every record that both hold the later time: `other` was current until this one was listed.
  void KeepLaterTimes(const StoreIndex& other);

  /// The record whose use is longest ago.
  std::optional<RecordName> Oldest() const;

  std::uint64_t cost() const { return cost_; }
  std::uint64_t size() const { return records_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const RecordName& name) const noexcept { return std::hash<Hash128>()(name.key); }
  };

  std::unordered_map<RecordName, Record, Hash> records_;
  std::set<std::pair<std::int64_t, RecordName>> by_use_;
  std::uint64_t cost_ = 0;
};

}  // namespace baleen::kvcache

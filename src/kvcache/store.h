#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "diagnostics/result.h"
#include "kvcache/disk_calls.h"
#include "kvcache/hash.h"
#include "kvcache/store_folder.h"
#include "kvcache/store_index.h"

namespace baleen::kvcache {

struct StoreOptions {
  std::uint64_t queue_bytes = std::uint64_t{256} << 20;  // what may wait to be written; one record larger than that may wait alone
  DiskCalls calls = DiskCalls::Real();
};

/// Records by 128-bit key in a directory: what is read is what was written, whole, or nothing. Records are written by one background thread;
/// the one used longest ago makes room for the next, records of other fingerprints included. Any process may share the directory. After an
/// error of the disk the store warns once and is off: it drops writes and finds nothing. All members may be called from any thread.
class Store {
 public:
  struct Counts {
    std::uint64_t records = 0, disk_bytes = 0;            // now on disk, of every fingerprint
    std::uint64_t queued_bytes = 0;                       // of content, not yet on disk
    std::uint64_t written = 0, dropped = 0, evicted = 0;  // records since Open
  };

  /// `fingerprint` names what else the content depends on: weights, config, format. The index is made by listing, without reading. At
  /// most `budget_bytes` are taken, in whole pages of 4096; between listings, other processes may exceed it by what they write.
  /// Errors: the directory cannot be made, read or written, or is no folder (ResourceError, InvalidInput); no thread can be started.
  static Result<std::unique_ptr<Store>> Open(const std::filesystem::path& directory, const Hash128& fingerprint, std::uint64_t budget_bytes,
                                             StoreOptions options = {});

  /// Writes what is queued.
  ~Store();

  /// Whether a record is known, or another process wrote it more than a millisecond ago. Cheap also when asked for each length of a prompt.
  bool Contains(const Hash128& key) const;

  /// The content of a record, queued or on disk; it counts as used. A file that is damaged, of another format or of another fingerprint is
  /// removed and is a miss.
  std::optional<std::vector<std::byte>> Read(const Hash128& key);

  /// Queues a record, in place of an earlier one of this key, and returns at once. Dropped when the queue is full, when the record is larger
  /// than the budget, or when the store is off.
  void Write(const Hash128& key, std::vector<std::byte> content);

  /// Counts as used now. Kept as the time of the file, so that a restart knows it.
  void Touch(const Hash128& key);

  /// Returns when all queued records are on disk, or the store is off.
  void Flush();

  /// false after an error of the disk.
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  Counts counts() const;
  bool has_ring() const { return has_ring_; }  // records are written through io_uring

 private:
  struct Work {  // what the background thread does between two looks at the queue
    std::vector<OutgoingRecord> records;
    std::vector<std::pair<Hash128, std::int64_t>> used;
    bool list = false;
  };

  Store(std::filesystem::path directory, const Hash128& fingerprint, std::uint64_t budget_bytes, std::uint64_t queue_bytes,
        std::unique_ptr<StoreFolder> folder);
  RecordName Name(const Hash128& key) const { return {fingerprint_, key}; }
  void Use(const RecordName& name);  // holds mutex_
  bool HasWork() const;              // holds mutex_
  bool ListIsDue() const;            // holds mutex_
  void TakeWork(Work& work);         // holds mutex_
  void Run() noexcept;
  void Do(const Work& work);
  void Done(const Work& work);
  void List();
  bool MakeRoom(std::uint64_t bytes);
  bool Succeeded(const DiskFailure& failure);

  const std::filesystem::path directory_;
  const Hash128 fingerprint_;
  const std::uint64_t budget_bytes_, queue_bytes_;
  const std::unique_ptr<StoreFolder> folder_;
  const bool has_ring_;
  std::atomic<bool> enabled_ = true;

  mutable std::mutex mutex_;
  mutable std::condition_variable wake_;  // there is work, or stopping_
  std::condition_variable idle_;
  StoreIndex index_;
  std::deque<OutgoingRecord> queue_;
  std::unordered_map<Hash128, std::shared_ptr<const std::vector<std::byte>>> waiting_;  // the latest content of each key not yet on disk
  std::vector<std::pair<Hash128, std::int64_t>> used_;                                  // times not yet on disk
  std::uint64_t queued_bytes_ = 0, unlisted_bytes_ = 0;                                 // unlisted: written since the last listing
  std::uint64_t written_ = 0, dropped_ = 0, evicted_ = 0;
  std::int64_t mark_ = 0;             // the folder's ChangeMark when it was listed or written by this store
  mutable bool list_wanted_ = false;  // another process has written
  std::chrono::steady_clock::time_point listed_at_;
  mutable std::chrono::steady_clock::time_point looked_at_;  // when the mark was last found unchanged
  bool busy_ = false, stopping_ = false;
  std::thread thread_;  // started last
};

}  // namespace baleen::kvcache

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "diagnostics/result.h"
#include "kvcache/disk_calls.h"
#include "kvcache/disk_ring.h"
#include "kvcache/hash.h"
#include "kvcache/store_index.h"
#include "kvcache/store_record.h"

namespace baleen::kvcache {

/// A record on its way to the disk.
struct OutgoingRecord {
  Hash128 key;
  std::shared_ptr<const std::vector<std::byte>> content;
};

/// A call of the system that failed. `code` is its errno, 0 when all went well.
struct DiskFailure {
  int code = 0;
  const char* action = "";
};

/// The files of a store: DIRECTORY/<fingerprint>/<first 2 digits of the key>/<key>.rec, all names in hex. Every name is opened beneath an
/// open folder and no link is followed, so that nothing outside of the directory is touched. Several processes may use it at once.
/// Write, List and SetUsed belong to one thread; the others may be called from any.
class StoreFolder {
 public:
  /// Makes what is missing of the directory. Errors: it cannot be made, is not a folder, may not be written.
  static Result<std::unique_ptr<StoreFolder>> Open(const std::filesystem::path& directory, const Hash128& fingerprint, DiskCalls calls);

  /// The records of all fingerprints, without reading them; removes what writers that have died left.
  DiskFailure List(StoreIndex& index);

  /// Whether a file stands under the name of the record.
  bool Exists(const Hash128& key) const;

  /// The content of a whole record of this format, fingerprint and key of at most `limit_bytes`. Anything else is no record and is removed.
  /// `failure` says when the disk itself failed.
  std::optional<std::vector<std::byte>> Read(const Hash128& key, std::uint64_t limit_bytes, DiskFailure& failure);

  /// Puts the records in place: each is there whole or not at all, whatever happens meanwhile. On a failure some may have been written.
  DiskFailure Write(std::span<const OutgoingRecord> records);

  DiskFailure Remove(const RecordName& name);

  /// Keeps when a record was used, as the time of its file. Nothing happens if it is gone.
  DiskFailure SetUsed(const Hash128& key, std::int64_t time_ns);

  /// A number that changes when any process has written records.
  std::int64_t ChangeMark() const;

  /// Whether records are written through io_uring.
  bool has_ring() const { return ring_ != nullptr; }

 private:
  struct Partial;  // a record's file before it has its name

  explicit StoreFolder(DiskCalls calls) : calls_(std::move(calls)) {}
  Descriptor OpenFolder(int folder, const char* name) const;
  DiskFailure OpenBucket(const Hash128& key, Descriptor& bucket);
  DiskFailure Start(const OutgoingRecord& record, Partial& partial);
  DiskFailure WriteAndSync(std::span<FileWrite> files);
  DiskFailure Commit(std::span<Partial> partials);
  DiskFailure ListFingerprint(const Hash128& fingerprint, StoreIndex& index);
  void ListFile(int bucket, const Hash128& fingerprint, const char* name, StoreIndex& index);
  void RemoveIfAbandoned(int bucket, const char* name);
  std::optional<std::vector<std::byte>> ReadFile(int file, const Hash128& key, std::uint64_t limit_bytes, DiskFailure& failure);

  DiskCalls calls_;
  Hash128 fingerprint_;
  Descriptor root_;  // DIRECTORY
  Descriptor own_;   // DIRECTORY/<fingerprint>
  std::unique_ptr<DiskRing> ring_;
  std::uint64_t partials_ = 0;  // made so far
};

}  // namespace baleen::kvcache

#include "kvcache/store_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace baleen::kvcache {
namespace {

constexpr char kSuffix[] = ".rec";
constexpr char kPartialSuffix[] = ".partial";
constexpr std::size_t kHexDigits = 32;

std::string Bucket(const Hash128& key) { return key.Hex().substr(0, 2); }
std::string FileName(const Hash128& key) { return key.Hex() + kSuffix; }

/// The time of change in ns since 1970, from 0 on.
std::int64_t ChangedAt(const struct stat& info) {
  constexpr std::int64_t kLatest = 9'000'000'000;  // seconds: their ns still have room in 63 bits
  return std::clamp<std::int64_t>(info.st_mtim.tv_sec, 0, kLatest) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

/// What means that a name holds no record, rather than that the disk failed.
bool IsAbsence(int code) { return code == ENOENT || code == ELOOP || code == ENOTDIR || code == ENXIO; }

/// Calls each(name) for every entry of the folder.
template <typename Each>
int ForEachName(int folder, Each each) {
  const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) return errno;
  DIR* const entries = fdopendir(again);
  if (entries == nullptr) {
    const int code = errno;
    close(again);
    return code;
  }
  int code = 0;
  while (true) {
    errno = 0;
    const dirent* const entry = readdir(entries);
    if (entry == nullptr) {
      code = errno;
      break;
    }
    each(static_cast<const char*>(entry->d_name));
  }
  closedir(entries);
  return code;
}

Status MakeDirectory(const std::filesystem::path& directory) {
  const std::string shown = diagnostics::Quoted(directory.string(), 300);
  if (directory.empty()) return diagnostics::InvalidInput("the cache's folder: expected a path, found an empty one");
  std::error_code code;
  if (std::filesystem::exists(directory, code)) {
    if (std::filesystem::is_directory(directory, code)) return {};
    return diagnostics::InvalidInput(shown + ": expected a folder for the cache, found something else; name another or remove it");
  }
  const std::filesystem::path parent = directory.has_filename() ? directory.parent_path() : directory.parent_path().parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, code);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return diagnostics::ResourceError(shown + ": cannot make the folder for the cache: " + std::strerror(errno) + "; name one that can be written");
  }
  return {};
}

}  // namespace

struct StoreFolder::Partial {
  Hash128 key;
  RecordHead head;
  std::string name;
  Descriptor bucket, file;
};

Result<std::unique_ptr<StoreFolder>> StoreFolder::Open(const std::filesystem::path& directory, const Hash128& fingerprint, DiskCalls calls) {
  TRY(MakeDirectory(directory));
  std::unique_ptr<StoreFolder> folder(new StoreFolder(std::move(calls)));
  const auto failed = [&](const char* action, int code) {
    return diagnostics::ResourceError(diagnostics::Quoted(directory.string(), 300) + ": cannot " + action + ": " + std::strerror(code) +
                                      "; name a folder for the cache that this user may write");
  };
  folder->fingerprint_ = fingerprint;
  folder->root_ = Descriptor(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder->root_) return failed("open it", errno);
  const std::string name = fingerprint.Hex();
  const int made = folder->calls_.make_folder(folder->root_.number(), name.c_str());
  if (made < 0 && made != -EEXIST) return failed("make a folder in it", -made);
  folder->own_ = folder->OpenFolder(folder->root_.number(), name.c_str());
  if (!folder->own_) return failed("open the model's folder in it", -folder->own_.number());
  // Says "read-only" of a file system too, which nothing that only opens would.
  if (faccessat(folder->own_.number(), ".", W_OK | X_OK, AT_EACCESS) != 0) return failed("write in it", errno);
  const int synced = made == 0 ? folder->calls_.sync(folder->root_.number()) : 0;
  if (synced < 0 && synced != -EINVAL) return failed("sync it", -synced);
  if (folder->calls_.ring) folder->ring_ = DiskRing::Create(folder->calls_.ring_result);
  return folder;
}

Descriptor StoreFolder::OpenFolder(int folder, const char* name) const { return Descriptor(calls_.open(folder, name, O_RDONLY | O_DIRECTORY)); }

DiskFailure StoreFolder::List(StoreIndex& index) {
  std::vector<Hash128> fingerprints;
  const int code = ForEachName(root_.number(), [&](const char* name) {
    if (const auto found = Hash128::FromHex(name)) fingerprints.push_back(*found);
  });
  if (code != 0) return {code, "list the folder"};
  for (const Hash128& fingerprint : fingerprints) {
    const DiskFailure failure = ListFingerprint(fingerprint, index);
    if (failure.code != 0 && fingerprint == fingerprint_) return failure;  // others may belong to somebody else
  }
  return {};
}

DiskFailure StoreFolder::ListFingerprint(const Hash128& fingerprint, StoreIndex& index) {
  const Descriptor folder = OpenFolder(root_.number(), fingerprint.Hex().c_str());
  if (!folder) return {-folder.number(), "open a folder"};
  int failed = 0;
  const int code = ForEachName(folder.number(), [&](const char* name) {
    if (std::strlen(name) != 2 || !Hash128::FromHex(std::string(30, '0') + name)) return;
    const Descriptor bucket = OpenFolder(folder.number(), name);
    if (!bucket) {
      if (!IsAbsence(-bucket.number())) failed = -bucket.number();
      return;
    }
    const std::string digits = name;
    const int inner = ForEachName(bucket.number(), [&](const char* file) {
      if (digits.compare(0, 2, file, std::min<std::size_t>(2, std::strlen(file))) == 0) ListFile(bucket.number(), fingerprint, file, index);
    });
    if (inner != 0) failed = inner;
  });
  if (code != 0) failed = code;
  return {failed, "list a folder"};
}

void StoreFolder::ListFile(int bucket, const Hash128& fingerprint, const char* name, StoreIndex& index) {
  const std::string_view text = name;
  const auto key = Hash128::FromHex(text.substr(0, kHexDigits));
  if (!key || text.size() <= kHexDigits) return;
  if (text.ends_with(kPartialSuffix)) return RemoveIfAbandoned(bucket, name);
  struct stat info {};
  if (text.substr(kHexDigits) != kSuffix || fstatat(bucket, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) return;
  index.Put({fingerprint, *key}, {static_cast<std::uint64_t>(info.st_size), ChangedAt(info)});
}

void StoreFolder::RemoveIfAbandoned(int bucket, const char* name) {
  const Descriptor file(calls_.open(bucket, name, O_RDONLY));
  struct stat info {};
  if (!file || fstat(file.number(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  // A writer holds a lock on its file as long as it lives.
  if (flock(file.number(), LOCK_EX | LOCK_NB) == 0) calls_.remove(bucket, name);
}

bool StoreFolder::Exists(const Hash128& key) const {
  struct stat info {};
  const std::string path = Bucket(key) + "/" + FileName(key);
  return fstatat(own_.number(), path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
}

std::optional<std::vector<std::byte>> StoreFolder::Read(const Hash128& key, std::uint64_t limit_bytes, DiskFailure& failure) {
  const std::string name = FileName(key);
  const Descriptor bucket = OpenFolder(own_.number(), Bucket(key).c_str());
  const Descriptor file = bucket ? Descriptor(calls_.open(bucket.number(), name.c_str(), O_RDONLY)) : Descriptor(bucket.number());
  if (!file) {
    if (!IsAbsence(-file.number())) failure = {-file.number(), "open a record"};
    if (bucket && file.number() == -ELOOP) calls_.remove(bucket.number(), name.c_str());
    return std::nullopt;
  }
  auto content = ReadFile(file.number(), key, limit_bytes, failure);
  if (!content && failure.code == 0) calls_.remove(bucket.number(), name.c_str());
  return content;
}

std::optional<std::vector<std::byte>> StoreFolder::ReadFile(int file, const Hash128& key, std::uint64_t limit_bytes, DiskFailure& failure) {
  struct stat info {};
  if (fstat(file, &info) != 0) {
    failure = {errno, "look at a record"};
    return std::nullopt;
  }
  const auto file_bytes = static_cast<std::uint64_t>(info.st_size);
  if (!S_ISREG(info.st_mode) || file_bytes > limit_bytes) return std::nullopt;
  const auto read = [&](std::span<std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
      const ssize_t got = calls_.read(file, bytes, offset);
      if (got == -EINTR) continue;
      if (got < 0) failure = {static_cast<int>(-got), "read a record"};
      if (got <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return true;
  };
  RecordHead head;
  if (!read(head, 0)) return std::nullopt;
  const auto size = ContentBytes(head, fingerprint_, key, file_bytes);
  if (!size) return std::nullopt;
  try {
    std::vector<std::byte> content(*size);
    if (read(content, kRecordHeadBytes) && IsWhole(head, content)) return content;
  } catch (const std::bad_alloc&) {
    failure = {ENOMEM, "read a record"};
  }
  return std::nullopt;
}

DiskFailure StoreFolder::OpenBucket(const Hash128& key, Descriptor& bucket) {
  const std::string name = Bucket(key);
  bucket = OpenFolder(own_.number(), name.c_str());
  if (bucket) return {};
  if (bucket.number() != -ENOENT) return {-bucket.number(), "open a folder"};
  const int made = calls_.make_folder(own_.number(), name.c_str());
  if (made < 0 && made != -EEXIST) return {-made, "make a folder"};
  const int synced = calls_.sync(own_.number());
  if (synced < 0 && synced != -EINVAL) return {-synced, "sync a folder"};
  bucket = OpenFolder(own_.number(), name.c_str());
  return {bucket ? 0 : -bucket.number(), "open a folder"};
}

DiskFailure StoreFolder::Start(const OutgoingRecord& record, Partial& partial) {
  partial.key = record.key;
  partial.head = MakeRecordHead(fingerprint_, record.key, *record.content);
  const DiskFailure failure = OpenBucket(record.key, partial.bucket);
  if (failure.code != 0) return failure;
  for (int tries = 0; tries < 100; ++tries) {
    const std::string name = record.key.Hex() + "." + std::to_string(getpid()) + "-" + std::to_string(++partials_) + kPartialSuffix;
    Descriptor file(calls_.open(partial.bucket.number(), name.c_str(), O_RDWR | O_CREAT | O_EXCL));
    if (file.number() == -EEXIST) continue;
    if (!file) return {-file.number(), "make a file"};
    // Another process may take the lock first and remove what it believes abandoned: then under another name.
    struct stat info {};
    const bool ours = flock(file.number(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (!ours || fstat(file.number(), &info) != 0 || info.st_nlink == 0) continue;
    partial.name = name;
    partial.file = std::move(file);
    return {};
  }
  return {EEXIST, "make a file"};
}

DiskFailure StoreFolder::WriteAndSync(std::span<FileWrite> files) {
  // Taken out while it works: a ring that failed or threw is not used again.
  std::unique_ptr<DiskRing> ring = std::move(ring_);
  if (ring != nullptr && ring->WriteFiles(files)) ring_ = std::move(ring);
  if (ring_ == nullptr) WriteFiles(calls_, files);
  for (const FileWrite& file : files) {
    if (file.error != 0) return {file.error, "write a record"};
  }
  return {};
}

DiskFailure StoreFolder::Write(std::span<const OutgoingRecord> records) {
  std::vector<Partial> partials(records.size());
  std::vector<FileWrite> files(records.size());
  DiskFailure failure;
  for (std::size_t i = 0; i < records.size() && failure.code == 0; ++i) {
    failure = Start(records[i], partials[i]);
    files[i] = {.file = partials[i].file.number(), .head = partials[i].head, .body = *records[i].content};
  }
  if (failure.code == 0) failure = WriteAndSync(files);
  if (failure.code == 0) failure = Commit(partials);
  for (const Partial& partial : partials) {
    if (!partial.name.empty()) calls_.remove(partial.bucket.number(), partial.name.c_str());
  }
  return failure;
}

DiskFailure StoreFolder::Commit(std::span<Partial> partials) {
  for (Partial& partial : partials) {
    const int renamed = calls_.rename(partial.bucket.number(), partial.name.c_str(), FileName(partial.key).c_str());
    if (renamed < 0) return {-renamed, "put a record in place"};
    partial.name.clear();
  }
  std::vector<std::string> synced;
  for (const Partial& partial : partials) {
    if (std::ranges::find(synced, Bucket(partial.key)) != synced.end()) continue;
    const int code = calls_.sync(partial.bucket.number());
    if (code < 0 && code != -EINVAL) return {-code, "sync a folder"};
    synced.push_back(Bucket(partial.key));
  }
  timespec times[2] = {{0, UTIME_OMIT}, {}};
  clock_gettime(CLOCK_REALTIME, &times[1]);  // UTIME_NOW would stand still for milliseconds
  futimens(own_.number(), times);            // others look at it (ChangeMark); without it they find the records later
  return {};
}

DiskFailure StoreFolder::Remove(const RecordName& name) {
  const Descriptor folder = OpenFolder(root_.number(), name.fingerprint.Hex().c_str());
  const Descriptor bucket = folder ? OpenFolder(folder.number(), Bucket(name.key).c_str()) : Descriptor(folder.number());
  const int removed = bucket ? calls_.remove(bucket.number(), FileName(name.key).c_str()) : bucket.number();
  // A folder of somebody else stays and is not counted any more.
  const bool theirs = name.fingerprint != fingerprint_ && (removed == -EACCES || removed == -EPERM);
  if (removed >= 0 || IsAbsence(-removed) || theirs) return {};
  return {-removed, "remove a record"};
}

DiskFailure StoreFolder::SetUsed(const Hash128& key, std::int64_t time_ns) {
  const Descriptor bucket = OpenFolder(own_.number(), Bucket(key).c_str());
  const int set = bucket ? calls_.set_time(bucket.number(), FileName(key).c_str(), time_ns) : bucket.number();
  // The file of another user may be read but keeps its time.
  if (set >= 0 || IsAbsence(-set) || set == -EPERM || set == -EACCES) return {};
  return {-set, "mark a record as used"};
}

std::int64_t StoreFolder::ChangeMark() const {
  struct stat info {};
  return fstat(own_.number(), &info) == 0 ? ChangedAt(info) : 0;
}

}  // namespace baleen::kvcache

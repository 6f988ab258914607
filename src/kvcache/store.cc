#include "kvcache/store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "diagnostics/log.h"

namespace baleen::kvcache {
namespace {

constexpr std::size_t kBatchRecords = 32;
constexpr std::uint64_t kBatchBytes = std::uint64_t{64} << 20;
constexpr std::chrono::seconds kListInterval{1};
constexpr std::chrono::milliseconds kLookInterval{1};

std::int64_t Now() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count());
}

std::uint64_t RecordCost(std::uint64_t content_bytes) { return StoreIndex::Cost(kRecordHeadBytes + content_bytes); }

/// What the process lacks for a while; it says nothing of the disk.
bool IsTransient(int code) { return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS; }

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const std::filesystem::path& directory, const Hash128& fingerprint, std::uint64_t budget_bytes,
                                           StoreOptions options) {
  try {
    TRY_ASSIGN(std::unique_ptr<StoreFolder> folder, StoreFolder::Open(directory, fingerprint, std::move(options.calls)));
    std::unique_ptr<Store> store(new Store(directory, fingerprint, budget_bytes, options.queue_bytes, std::move(folder)));
    store->mark_ = store->folder_->ChangeMark();
    const DiskFailure failure = store->folder_->List(store->index_);
    if (failure.code != 0) {
      return diagnostics::ResourceError(diagnostics::Quoted(directory.string(), 300) + ": cannot " + failure.action + ": " + std::strerror(failure.code) +
                                        "; name another folder for the cache");
    }
    store->thread_ = std::thread([opened = store.get()] { opened->Run(); });
    return store;
  } catch (const std::bad_alloc&) {
    return diagnostics::ResourceError(diagnostics::Quoted(directory.string(), 300) + ": not enough memory to open the cache");
  } catch (const std::system_error& error) {
    return diagnostics::ResourceError(std::string("the cache's thread cannot be started: ") + error.what());
  }
}

Store::Store(std::filesystem::path directory, const Hash128& fingerprint, std::uint64_t budget_bytes, std::uint64_t queue_bytes,
             std::unique_ptr<StoreFolder> folder)
    : directory_(std::move(directory)),
      fingerprint_(fingerprint),
      budget_bytes_(budget_bytes),
      queue_bytes_(queue_bytes),
      folder_(std::move(folder)),
      has_ring_(folder_->has_ring()),
      listed_at_(std::chrono::steady_clock::now()) {}

Store::~Store() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Store::Contains(const Hash128& key) const {
  if (!enabled()) return false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.contains(key) || index_.Contains(Name(key))) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_at_ < kLookInterval) return false;
    if (folder_->ChangeMark() == mark_) {
      looked_at_ = now;
      return false;
    }
    list_wanted_ = true;
  }
  wake_.notify_all();
  return folder_->Exists(key);
}

std::optional<std::vector<std::byte>> Store::Read(const Hash128& key) {
  if (!enabled()) return std::nullopt;
  try {
    std::shared_ptr<const std::vector<std::byte>> queued;
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = waiting_.find(key); found != waiting_.end()) queued = found->second;
    }
    if (queued != nullptr) return *queued;
    DiskFailure failure;
    auto content = folder_->Read(key, budget_bytes_, failure);
    Succeeded(failure);
    const std::lock_guard lock(mutex_);
    if (content) {
      if (!index_.Contains(Name(key))) index_.Put(Name(key), {kRecordHeadBytes + content->size(), 0});
      Use(Name(key));
    } else if (failure.code == 0 && !waiting_.contains(key)) {
      index_.Remove(Name(key));
    }
    return content;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

void Store::Write(const Hash128& key, std::vector<std::byte> content) {
  const std::uint64_t bytes = content.size();
  try {
    const std::lock_guard lock(mutex_);
    const bool full = queued_bytes_ > 0 && (bytes > queue_bytes_ || queued_bytes_ > queue_bytes_ - bytes);
    if (!enabled() || full || bytes > budget_bytes_ || RecordCost(bytes) > budget_bytes_) {
      ++dropped_;
      return;
    }
    queue_.push_back({key, std::make_shared<const std::vector<std::byte>>(std::move(content))});
    queued_bytes_ += bytes;
    waiting_[key] = queue_.back().content;
  } catch (const std::bad_alloc&) {
    return;
  }
  wake_.notify_all();
}

void Store::Touch(const Hash128& key) {
  if (!enabled()) return;
  try {
    const std::lock_guard lock(mutex_);
    Use(Name(key));
  } catch (const std::bad_alloc&) {
    return;
  }
  wake_.notify_all();
}

void Store::Flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return !enabled() || (!busy_ && queue_.empty() && used_.empty()); });
}

Store::Counts Store::counts() const {
  const std::lock_guard lock(mutex_);
  return {index_.size(), index_.cost(), queued_bytes_, written_, dropped_, evicted_};
}

void Store::Use(const RecordName& name) {
  const auto time_ns = index_.Use(name, Now());
  if (time_ns) used_.emplace_back(name.key, *time_ns);
}

bool Store::ListIsDue() const {
  const bool other_process = list_wanted_ && std::chrono::steady_clock::now() - listed_at_ >= kListInterval;
  return enabled() && (other_process || unlisted_bytes_ > budget_bytes_ / 16);
}

bool Store::HasWork() const { return !queue_.empty() || !used_.empty() || ListIsDue(); }

void Store::TakeWork(Work& work) {
  work.list = ListIsDue();
  work.used = std::exchange(used_, {});
  std::uint64_t bytes = 0;  // never more than the budget at once; one record alone is not more
  while (!queue_.empty() && work.records.size() < kBatchRecords) {
    const std::uint64_t cost = RecordCost(queue_.front().content->size());
    if (bytes > 0 && bytes + cost > std::min(kBatchBytes, budget_bytes_)) break;
    bytes += cost;
    work.records.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void Store::Run() noexcept {
  std::unique_lock lock(mutex_);
  while (true) {
    if (list_wanted_) {
      wake_.wait_until(lock, listed_at_ + kListInterval, [&] { return stopping_ || HasWork(); });
    } else {
      wake_.wait(lock, [&] { return stopping_ || list_wanted_ || HasWork(); });
    }
    if (stopping_ && queue_.empty() && used_.empty()) return;
    if (!HasWork()) continue;
    Work work;
    busy_ = true;
    try {
      TakeWork(work);
      lock.unlock();
      Do(work);
    } catch (const std::bad_alloc&) {
      // What was taken is not written: a miss later, no fault of the disk.
    }
    if (!lock.owns_lock()) lock.lock();
    Done(work);
    busy_ = false;
    idle_.notify_all();
  }
}

void Store::Do(const Work& work) {
  if (!enabled()) return;
  for (const auto& [key, time_ns] : work.used) {
    if (!Succeeded(folder_->SetUsed(key, time_ns))) return;
  }
  if (work.list) List();
  if (!enabled() || work.records.empty()) return;
  std::uint64_t bytes = 0;
  for (const OutgoingRecord& record : work.records) bytes += RecordCost(record.content->size());
  if (!MakeRoom(bytes)) return;
  const bool alone = folder_->ChangeMark() == mark_;
  const bool written = Succeeded(folder_->Write(work.records));
  const std::lock_guard lock(mutex_);
  if (alone) mark_ = folder_->ChangeMark();
  unlisted_bytes_ += bytes;
  if (!written) {
    dropped_ += work.records.size();
    return;
  }
  for (const OutgoingRecord& record : work.records) {
    const std::int64_t now_ns = Now(), used_ns = index_.After(now_ns);
    index_.Put(Name(record.key), {kRecordHeadBytes + record.content->size(), used_ns});
    if (used_ns != now_ns) used_.emplace_back(record.key, used_ns);  // the clock went back
    ++written_;
  }
}

void Store::Done(const Work& work) {
  for (const OutgoingRecord& record : work.records) {
    queued_bytes_ -= record.content->size();
    const auto found = waiting_.find(record.key);
    if (found != waiting_.end() && found->second == record.content) waiting_.erase(found);
  }
}

void Store::List() {
  {
    const std::lock_guard lock(mutex_);
    unlisted_bytes_ = 0;
    list_wanted_ = false;
    listed_at_ = std::chrono::steady_clock::now();
  }
  StoreIndex listed;
  const std::int64_t mark = folder_->ChangeMark();
  if (!Succeeded(folder_->List(listed))) return;
  const std::lock_guard lock(mutex_);
  listed.KeepLaterTimes(index_);
  index_ = std::move(listed);
  mark_ = mark;
}

bool Store::MakeRoom(std::uint64_t bytes) {
  while (true) {
    RecordName oldest;
    {
      const std::lock_guard lock(mutex_);
      const auto found = index_.Oldest();
      if (!found || index_.cost() + bytes <= budget_bytes_) return true;
      oldest = *found;
      index_.Remove(oldest);
      ++evicted_;
    }
    if (!Succeeded(folder_->Remove(oldest))) return false;
  }
}

bool Store::Succeeded(const DiskFailure& failure) {
  if (failure.code == 0) return true;
  if (IsTransient(failure.code)) return false;
  {
    const std::lock_guard lock(mutex_);
    if (!enabled_.exchange(false)) return false;
    dropped_ += queue_.size();
    for (const OutgoingRecord& record : queue_) queued_bytes_ -= record.content->size();
    queue_.clear();
    waiting_.clear();
    used_.clear();
  }
  idle_.notify_all();
  diagnostics::Warn(diagnostics::Quoted(directory_.string(), 300) + ": cannot " + failure.action + ": " + std::strerror(failure.code) +
                    "; the cache on disk is off until the next start, serving goes on");
  return false;
}

}  // namespace baleen::kvcache

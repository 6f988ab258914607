#include "kvcache/store_index.h"

#include <algorithm>

namespace baleen::kvcache {

void StoreIndex::Put(const RecordName& name, const Record& record) {
  Remove(name);
  records_.emplace(name, record);
  by_use_.emplace(record.used_ns, name);
  cost_ += Cost(record.file_bytes);
}

void StoreIndex::Remove(const RecordName& name) {
  const auto found = records_.find(name);
  if (found == records_.end()) return;
  cost_ -= Cost(found->second.file_bytes);
  by_use_.erase({found->second.used_ns, name});
  records_.erase(found);
}

std::optional<std::int64_t> StoreIndex::Use(const RecordName& name, std::int64_t now_ns) {
  const auto found = records_.find(name);
  if (found == records_.end()) return std::nullopt;
  const Record used = {found->second.file_bytes, After(now_ns)};
  Put(name, used);
  return used.used_ns;
}

std::int64_t StoreIndex::After(std::int64_t now_ns) const { return by_use_.empty() ? now_ns : std::max(now_ns, by_use_.rbegin()->first + 1); }

void StoreIndex::KeepLaterTimes(const StoreIndex& other) {
  for (const auto& [name, record] : other.records_) {
    const auto found = records_.find(name);
    if (found != records_.end() && found->second.used_ns < record.used_ns) Put(name, {found->second.file_bytes, record.used_ns});
  }
}

std::optional<RecordName> StoreIndex::Oldest() const {
  if (by_use_.empty()) return std::nullopt;
  return by_use_.begin()->second;
}

}  // namespace baleen::kvcache

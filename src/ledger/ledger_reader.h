#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "ledger/accounts.h"
#include "ledger/database.h"

namespace baleen::ledger {

/// Follows the file, which other processes change too, into Accounts. Any thread.
class LedgerReader {
 public:
  LedgerReader(std::unique_ptr<Database> database, std::shared_ptr<Accounts> accounts) : database_(std::move(database)), accounts_(std::move(accounts)) {}

  /// Rereads the keys if the file changed since the last call, or with `always`.
  Status FollowKeys(bool always);
  /// Takes in the records that were added since the last call; `no_longer_open` are those of them that Accounts has as open. After an
  /// error the next call does it.
  Status FollowUsage(const std::vector<DayUsage>& no_longer_open);

  Result<std::vector<StoredKey>> ReadKeys();
  Result<UsageReport> ReadUsage(const UsageFilter& filter);

 private:
  Result<std::vector<StoredKey>> ReadKeysLocked();

  std::mutex mutex_;
  std::unique_ptr<Database> database_;
  std::shared_ptr<Accounts> accounts_;
  std::int64_t last_usage_ = 0;               // id of the last record taken in
  std::vector<DayUsage> no_longer_open_;      // of calls that failed
  std::optional<std::int64_t> data_version_;  // SQLite's count of changes by others, when the keys were read
};

}  // namespace baleen::ledger

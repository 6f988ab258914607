#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/secret.h"

namespace baleen::ledger {

/// A key as the file has it.
struct StoredKey {
  KeyFacts facts;
  Hash hash = {};
};

/// What a key used on one day.
struct DayUsage {
  std::int64_t key = 0, day = 0;  // days since 1970-01-01, UTC
  std::int64_t tokens = 0;
  PicoDollars cost = 0;
};

/// Keys and what they used, in memory: what is in the file ("settled") and what has ended but is not there yet ("open"). Any thread.
class Accounts : public std::enable_shared_from_this<Accounts> {
 public:
  std::optional<KeyFacts> Authenticate(std::string_view secret) const;
  bool HasKeys() const;
  std::expected<Permit, Refusal> Begin(std::int64_t key, std::int64_t now);
  std::optional<Balance> BalanceOf(std::int64_t key, std::int64_t now) const;

  /// The keys as they are now.
  void SetKeys(std::vector<StoredKey> keys);
  /// Adds what came into the file and takes away what is no longer open, both at once.
  void Settle(const std::vector<DayUsage>& settled, const std::vector<DayUsage>& no_longer_open);
  /// Counts a request that has ended.
  void Open(const DayUsage& usage);

 private:
  friend class Permit;

  struct Account {
    std::int64_t running = 0, tokens_total = 0;
    PicoDollars money_total = 0;
    // Of the days and months that can still matter: this one and later ones, as seen when something is added.
    std::map<std::int64_t, std::int64_t> tokens_of_day;
    std::map<std::int64_t, PicoDollars> money_of_month;
  };

  void End(std::int64_t key);
  void Add(const DayUsage& usage, int sign);
  Balance BalanceOf(const KeyFacts& key, std::int64_t now) const;
  const StoredKey* Find(std::int64_t key) const;

  mutable std::mutex mutex_;
  std::vector<StoredKey> keys_;
  std::map<std::int64_t, Account> accounts_;
};

}  // namespace baleen::ledger

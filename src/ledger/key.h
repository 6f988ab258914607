#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ledger/money.h"

namespace baleen::ledger {

/// What a key may use; what is absent is unlimited. Tokens are those of prompts and answers together. Days and months are UTC's.
struct Quotas {
  std::optional<std::int64_t> concurrent_requests;
  std::optional<std::int64_t> tokens_per_day;
  std::optional<std::int64_t> tokens_total;
  std::optional<PicoDollars> money_per_month;
  std::optional<PicoDollars> money_total;

  friend bool operator==(const Quotas&, const Quotas&) = default;
};

/// What is known of a key. Its secret is known to nobody but its holder.
struct KeyFacts {
  std::int64_t id = 0;
  std::string name;
  std::int64_t created = 0;             // unix seconds
  std::optional<std::int64_t> revoked;  // unix seconds
  Quotas quotas;
};

/// What a key has used, with the requests that have ended but are not yet in the file.
struct Balance {
  Quotas quotas;
  std::int64_t running = 0;
  std::int64_t tokens_today = 0, tokens_total = 0;
  PicoDollars money_this_month = 0, money_total = 0;

  /// What may still be spent now: the less of what the month and the total leave, never below 0; absent without a money quota.
  std::optional<PicoDollars> MoneyLeft() const;
};

/// A key's name: 1 to 64 letters, digits, '.', '_' and '-'.
Status CheckKeyName(const std::string& name);
/// Errors: a quota below 0 or beyond 63 bits.
Status CheckQuotas(const Quotas& quotas);

}  // namespace baleen::ledger

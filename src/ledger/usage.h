#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "ledger/money.h"

namespace baleen::ledger {

/// One request that has ended. With several choices the prompt counts once.
struct UsageRecord {
  std::string request_id;           // 1 to 256 bytes; a second record of the same id is not counted
  std::optional<std::int64_t> key;  // KeyFacts::id
  std::string model, route;
  std::int64_t time = 0;  // unix seconds at which the request came in; says which day and month it counts to
  std::int64_t prompt_tokens = 0, hit_tokens = 0, miss_tokens = 0, completion_tokens = 0, reasoning_tokens = 0;
  std::int64_t choices = 1;
  std::int64_t status = 200;  // of HTTP
  std::string finish;         // stop, length, cancelled, …
  double queue_seconds = 0, first_token_seconds = 0, total_seconds = 0;
  PicoDollars cost = 0;
};

/// Errors: a negative number, more than 2^40 tokens, a cost beyond 63 bits, a text that is too long or holds control characters.
Status CheckRecord(const UsageRecord& record);

struct UsageTotals {
  std::int64_t requests = 0, failed = 0;  // failed: a status of 400 and more
  std::int64_t prompt_tokens = 0, hit_tokens = 0, miss_tokens = 0, completion_tokens = 0, reasoning_tokens = 0;
  PicoDollars cost = 0;

  UsageTotals& operator+=(const UsageTotals& other);
};

/// Which records count; what is absent does not restrict.
struct UsageFilter {
  std::optional<std::int64_t> since, until;  // unix seconds; until itself is outside
  std::optional<std::string> key;            // a key's name, of all keys that ever had it
  std::optional<std::string> model;
};

/// Requests without a key stand under this name, which no key can have.
inline constexpr const char* kNoKey = "(none)";

struct UsageReport {
  UsageTotals total;
  std::map<std::string, UsageTotals> by_key, by_model, by_day;  // days: "2026-11-27", UTC
};

}  // namespace baleen::ledger

#include "ledger/ledger_reader.h"

#include <algorithm>

#include "ledger/calendar.h"

namespace baleen::ledger {
namespace {

// Money is summed in two parts, neither of which can overflow 64 bits in a file of a size that exists.
constexpr std::int64_t kPart = 1'000'000'000;

constexpr char kKeys[] =
    "SELECT k.id, k.name, k.hash, k.created, r.time, q.concurrent_requests, q.tokens_per_day, q.tokens_total, q.money_per_month, q.money_total FROM keys k"
    " LEFT JOIN revocations r ON r.key_id = k.id"
    " LEFT JOIN quotas q ON q.id = (SELECT max(id) FROM quotas WHERE key_id = k.id) ORDER BY k.id";

constexpr char kAdded[] =
    "SELECT key_id, time / 86400, sum(prompt_tokens + completion_tokens), sum(cost / 1000000000), sum(cost % 1000000000) FROM usage"
    " WHERE id > ?1 AND id <= ?2 AND key_id IS NOT NULL GROUP BY 1, 2";

constexpr char kReport[] =
    "SELECT coalesce(k.name, ?5), u.model, u.time / 86400, count(*), sum(u.status >= 400), sum(u.prompt_tokens), sum(u.hit_tokens), sum(u.miss_tokens),"
    " sum(u.completion_tokens), sum(u.reasoning_tokens), sum(u.cost / 1000000000), sum(u.cost % 1000000000)"
    " FROM usage u LEFT JOIN keys k ON k.id = u.key_id"
    " WHERE (?1 IS NULL OR u.time >= ?1) AND (?2 IS NULL OR u.time < ?2) AND (?3 = '' OR k.name = ?3 OR (?3 = ?5 AND u.key_id IS NULL)) AND (?4 = 0 OR u.model "
    "= ?6)"
    " GROUP BY 1, 2, 3";

PicoDollars Money(const Statement& row, int column) { return PicoDollars{row.Integer(column)} * kPart + row.Integer(column + 1); }

Result<StoredKey> ReadKey(const Statement& row) {
  StoredKey key;
  key.facts.id = row.Integer(0);
  key.facts.name = row.Text(1);
  const std::string hash = row.Text(2);
  if (hash.size() != key.hash.size())
    return diagnostics::InvalidInput("ledger: key " + diagnostics::Quoted(key.facts.name) + ": expected a hash of 32 bytes, found another size");
  std::copy(hash.begin(), hash.end(), key.hash.begin());
  key.facts.created = row.Integer(3);
  key.facts.revoked = row.OptionalInteger(4);
  key.facts.quotas = {row.OptionalInteger(5), row.OptionalInteger(6), row.OptionalInteger(7), row.OptionalInteger(8), row.OptionalInteger(9)};
  return key;
}

}  // namespace

Result<std::vector<StoredKey>> LedgerReader::ReadKeys() {
  const std::lock_guard lock(mutex_);
  return ReadKeysLocked();
}

Result<std::vector<StoredKey>> LedgerReader::ReadKeysLocked() {
  TRY_ASSIGN(Statement select, database_->Prepare(kKeys));
  std::vector<StoredKey> keys;
  while (true) {
    TRY_ASSIGN(const bool row, select.Step());
    if (!row) return keys;
    TRY_ASSIGN(StoredKey key, ReadKey(select));
    keys.push_back(std::move(key));
  }
}

Status LedgerReader::FollowKeys(bool always) {
  const std::lock_guard lock(mutex_);
  // Read before the keys: a change between the two is seen by the next call.
  TRY_ASSIGN(const std::int64_t version, database_->Number("PRAGMA data_version"));
  if (!always && data_version_ == version) return {};
  TRY_ASSIGN(std::vector<StoredKey> keys, ReadKeysLocked());
  accounts_->SetKeys(std::move(keys));
  data_version_ = version;
  return {};
}

Status LedgerReader::FollowUsage(const std::vector<DayUsage>& no_longer_open) {
  const std::lock_guard lock(mutex_);
  no_longer_open_.insert(no_longer_open_.end(), no_longer_open.begin(), no_longer_open.end());
  TRY_ASSIGN(const std::int64_t last, database_->Number("SELECT coalesce(max(id), 0) FROM usage"));
  TRY_ASSIGN(Statement select, database_->Prepare(kAdded));
  select.Bind(1, last_usage_);
  select.Bind(2, last);
  std::vector<DayUsage> added;
  while (true) {
    TRY_ASSIGN(const bool row, select.Step());
    if (!row) break;
    added.push_back({select.Integer(0), select.Integer(1), select.Integer(2), Money(select, 3)});
  }
  accounts_->Settle(added, no_longer_open_);
  no_longer_open_.clear();
  last_usage_ = last;
  return {};
}

Result<UsageReport> LedgerReader::ReadUsage(const UsageFilter& filter) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(Statement select, database_->Prepare(kReport));
  select.Bind(1, filter.since);
  select.Bind(2, filter.until);
  select.Bind(3, std::string_view(filter.key ? *filter.key : ""));
  select.Bind(4, std::int64_t{filter.model.has_value()});
  select.Bind(5, std::string_view(kNoKey));
  select.Bind(6, std::string_view(filter.model ? *filter.model : ""));
  UsageReport report;
  while (true) {
    TRY_ASSIGN(const bool row, select.Step());
    if (!row) return report;
    const UsageTotals totals = {select.Integer(3), select.Integer(4), select.Integer(5), select.Integer(6),
                                select.Integer(7), select.Integer(8), select.Integer(9), Money(select, 10)};
    report.total += totals;
    report.by_key[select.Text(0)] += totals;
    report.by_model[select.Text(1)] += totals;
    report.by_day[WriteDay(select.Integer(2))] += totals;
  }
}

}  // namespace baleen::ledger

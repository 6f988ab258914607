#include "ledger/accounts.h"

#include <algorithm>
#include <string>

#include "ledger/calendar.h"

namespace baleen::ledger {
namespace {

// Requests that came in this long ago may still end.
constexpr std::size_t kDaysKept = 8, kMonthsKept = 3;

template <typename Value>
void KeepNewest(std::map<std::int64_t, Value>& values, std::size_t count) {
  while (values.size() > count) values.erase(values.begin());
}

std::optional<Refusal> TokenRefusal(const Balance& balance, std::int64_t now) {
  const auto message = [](const std::string& which, std::int64_t used, std::int64_t quota, const std::string& next) {
    return "this key's quota of tokens " + which + " is used up: " + std::to_string(used) + " of " + std::to_string(quota) + "; " + next;
  };
  if (balance.quotas.tokens_total && balance.tokens_total >= *balance.quotas.tokens_total) {
    return Refusal{Refusal::Kind::kTokens, message("in total", balance.tokens_total, *balance.quotas.tokens_total, "ask for a larger quota"), 0};
  }
  if (balance.quotas.tokens_per_day && balance.tokens_today >= *balance.quotas.tokens_per_day) {
    return Refusal{Refusal::Kind::kTokens, message("a day", balance.tokens_today, *balance.quotas.tokens_per_day, "it begins anew at 00:00 UTC"),
                   (DayOf(now) + 1) * kSecondsPerDay - now};
  }
  return std::nullopt;
}

std::optional<Refusal> MoneyRefusal(const Balance& balance, std::int64_t now) {
  const auto message = [](const std::string& which, PicoDollars used, PicoDollars quota, const std::string& next) {
    return "this key's quota of money " + which + " is used up: USD " + WriteDollars(used) + " of " + WriteDollars(quota) + "; " + next;
  };
  if (balance.quotas.money_total && balance.money_total >= *balance.quotas.money_total) {
    return Refusal{Refusal::Kind::kMoney, message("in total", balance.money_total, *balance.quotas.money_total, "ask for a larger quota"), 0};
  }
  if (balance.quotas.money_per_month && balance.money_this_month >= *balance.quotas.money_per_month) {
    return Refusal{Refusal::Kind::kMoney,
                   message("a month", balance.money_this_month, *balance.quotas.money_per_month, "it begins anew with the next month (UTC)"),
                   FirstDayOfNextMonth(DayOf(now)) * kSecondsPerDay - now};
  }
  return std::nullopt;
}

}  // namespace

Permit& Permit::operator=(Permit&& other) noexcept {
  if (this == &other) return *this;
  if (accounts_) accounts_->End(key_);
  accounts_ = std::move(other.accounts_);
  key_ = other.key_;
  return *this;
}

Permit::~Permit() {
  if (accounts_) accounts_->End(key_);
}

std::optional<KeyFacts> Accounts::Authenticate(std::string_view secret) const {
  if (secret.empty() || secret.size() > 1024) return std::nullopt;
  const Hash hash = Sha256(secret);
  const std::lock_guard lock(mutex_);
  const StoredKey* found = nullptr;
  for (const StoredKey& key : keys_) {  // all of them: the time says nothing about which one it was
    if (SameHash(key.hash, hash)) found = &key;
  }
  if (found == nullptr || found->facts.revoked) return std::nullopt;
  return found->facts;
}

bool Accounts::HasKeys() const {
  const std::lock_guard lock(mutex_);
  return !keys_.empty();
}

const StoredKey* Accounts::Find(std::int64_t key) const {
  const auto at = std::find_if(keys_.begin(), keys_.end(), [key](const StoredKey& k) { return k.facts.id == key; });
  return at == keys_.end() ? nullptr : &*at;
}

std::expected<Permit, Refusal> Accounts::Begin(std::int64_t key, std::int64_t now) {
  const std::lock_guard lock(mutex_);
  const StoredKey* stored = Find(key);
  if (stored == nullptr || stored->facts.revoked)
    return std::unexpected(Refusal{Refusal::Kind::kUnknownKey, "this key is unknown or revoked; use another one", 0});
  const Balance balance = BalanceOf(stored->facts, now);
  const Quotas& quotas = balance.quotas;
  if (quotas.concurrent_requests && balance.running >= *quotas.concurrent_requests) {
    return std::unexpected(Refusal{Refusal::Kind::kConcurrency,
                                   "this key's quota of concurrent requests is used up: " + std::to_string(balance.running) + " of " +
                                       std::to_string(*quotas.concurrent_requests) + " are running; wait for one to end",
                                   1});
  }
  if (auto refusal = TokenRefusal(balance, now)) return std::unexpected(*std::move(refusal));
  if (auto refusal = MoneyRefusal(balance, now)) return std::unexpected(*std::move(refusal));
  ++accounts_[key].running;
  return Permit(shared_from_this(), key);
}

void Accounts::End(std::int64_t key) {
  const std::lock_guard lock(mutex_);
  --accounts_[key].running;
}

std::optional<Balance> Accounts::BalanceOf(std::int64_t key, std::int64_t now) const {
  const std::lock_guard lock(mutex_);
  const StoredKey* stored = Find(key);
  return stored != nullptr ? std::optional(BalanceOf(stored->facts, now)) : std::nullopt;
}

Balance Accounts::BalanceOf(const KeyFacts& key, std::int64_t now) const {
  Balance balance;
  balance.quotas = key.quotas;
  const auto at = accounts_.find(key.id);
  if (at == accounts_.end()) return balance;
  const Account& account = at->second;
  balance.running = account.running;
  balance.tokens_total = account.tokens_total;
  balance.money_total = account.money_total;
  const std::int64_t day = DayOf(now);
  if (const auto tokens = account.tokens_of_day.find(day); tokens != account.tokens_of_day.end()) balance.tokens_today = tokens->second;
  if (const auto money = account.money_of_month.find(MonthOf(day)); money != account.money_of_month.end()) balance.money_this_month = money->second;
  return balance;
}

void Accounts::SetKeys(std::vector<StoredKey> keys) {
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

void Accounts::Settle(const std::vector<DayUsage>& settled, const std::vector<DayUsage>& no_longer_open) {
  const std::lock_guard lock(mutex_);
  for (const DayUsage& usage : settled) Add(usage, 1);
  for (const DayUsage& usage : no_longer_open) Add(usage, -1);
}

void Accounts::Open(const DayUsage& usage) {
  const std::lock_guard lock(mutex_);
  Add(usage, 1);
}

void Accounts::Add(const DayUsage& usage, int sign) {
  Account& account = accounts_[usage.key];
  account.tokens_total += sign * usage.tokens;
  account.money_total += sign * usage.cost;
  account.tokens_of_day[usage.day] += sign * usage.tokens;
  account.money_of_month[MonthOf(usage.day)] += sign * usage.cost;
  KeepNewest(account.tokens_of_day, kDaysKept);
  KeepNewest(account.money_of_month, kMonthsKept);
}

}  // namespace baleen::ledger

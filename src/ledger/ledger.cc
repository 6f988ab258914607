#include "ledger/ledger.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "ledger/accounts.h"
#include "ledger/calendar.h"
#include "ledger/ledger_reader.h"
#include "ledger/record_writer.h"

namespace baleen::ledger {
namespace {

constexpr auto kFollowEvery = std::chrono::milliseconds(500);

std::int64_t Now() { return static_cast<std::int64_t>(std::time(nullptr)); }

std::vector<DayUsage> DaysOf(const std::vector<UsageRecord>& records) {
  std::vector<DayUsage> days;
  for (const UsageRecord& record : records) {
    if (record.key) days.push_back({*record.key, DayOf(record.time), record.prompt_tokens + record.completion_tokens, record.cost});
  }
  return days;
}

/// The live key of a name, inside a transaction of the caller.
Result<std::optional<std::int64_t>> LiveKey(const Database& database, const std::string& name) {
  TRY_ASSIGN(Statement select, database.Prepare("SELECT id FROM keys WHERE name = ?1 AND id NOT IN (SELECT key_id FROM revocations)"));
  select.Bind(1, name);
  TRY_ASSIGN(const bool row, select.Step());
  return row ? std::optional(select.Integer(0)) : std::nullopt;
}

Result<std::int64_t> NeedLiveKey(const Database& database, const std::string& name) {
  TRY(CheckKeyName(name));
  TRY_ASSIGN(const std::optional<std::int64_t> key, LiveKey(database, name));
  if (key) return *key;
  return diagnostics::NotFound("ledger " + diagnostics::Quoted(database.path(), 300) + ": there is no live key '" + name +
                               "'; see: baleen keys list --ledger FILE");
}

std::optional<std::int64_t> Stored(const std::optional<PicoDollars>& money) { return money ? std::optional(static_cast<std::int64_t>(*money)) : std::nullopt; }

Status AddQuotas(const Database& database, std::int64_t key, const Quotas& quotas) {
  TRY_ASSIGN(Statement insert,
             database.Prepare("INSERT INTO quotas (key_id, time, concurrent_requests, tokens_per_day, tokens_total, money_per_month, money_total)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  insert.Bind(1, key);
  insert.Bind(2, Now());
  insert.Bind(3, quotas.concurrent_requests);
  insert.Bind(4, quotas.tokens_per_day);
  insert.Bind(5, quotas.tokens_total);
  insert.Bind(6, Stored(quotas.money_per_month));
  insert.Bind(7, Stored(quotas.money_total));
  return insert.Run();
}

}  // namespace

/// Three connections, so that a slow disk under one does not keep the others: for records, for following the file, for orders and reports.
struct Ledger::Parts {
  std::shared_ptr<Accounts> accounts = std::make_shared<Accounts>();
  std::unique_ptr<LedgerReader> follower;
  std::mutex orders_mutex;
  std::unique_ptr<Database> orders;
  std::unique_ptr<LedgerReader> reports;

  // Held while records are written and taken in: a request is never counted both as open and as settled.
  std::mutex writing_mutex;
  std::mutex ending_mutex;
  std::condition_variable ending_wake;
  bool ending = false;
  std::thread follow_thread;
  std::unique_ptr<RecordWriter> writer;

  ~Parts() {
    writer.reset();
    {
      const std::lock_guard lock(ending_mutex);
      ending = true;
    }
    ending_wake.notify_one();
    if (follow_thread.joinable()) follow_thread.join();
  }

  // An error here (a disk that is full or gone) leaves what is known as it is; whoever writes next hears of it.
  void Follow() {
    std::unique_lock lock(ending_mutex);
    while (!ending_wake.wait_for(lock, kFollowEvery, [this] { return ending; })) {
      lock.unlock();
      (void)follower->FollowKeys(false);
      if (const std::unique_lock writing(writing_mutex, std::try_to_lock); writing) (void)follower->FollowUsage({});
      lock.lock();
    }
  }
};

Ledger::Ledger(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::Open(const std::string& path, Options options) {
  auto parts = std::make_unique<Parts>();
  TRY_ASSIGN(parts->orders, Database::Open(path, options.create));
  TRY(parts->orders->CheckWhole());
  TRY_ASSIGN(std::unique_ptr<Database> following, Database::Open(path, false));
  TRY_ASSIGN(std::unique_ptr<Database> writing, Database::Open(path, false));
  TRY_ASSIGN(std::unique_ptr<Database> reporting, Database::Open(path, false));
  parts->follower = std::make_unique<LedgerReader>(std::move(following), parts->accounts);
  parts->reports = std::make_unique<LedgerReader>(std::move(reporting), parts->accounts);
  TRY(parts->follower->FollowKeys(true));
  TRY(parts->follower->FollowUsage({}));
  Parts& there = *parts;
  parts->writer = std::make_unique<RecordWriter>(std::move(writing), there.writing_mutex, [&there](const std::vector<UsageRecord>& records) {
    (void)there.follower->FollowUsage(DaysOf(records));  // what cannot be read back stays open, and counts so
  });
  parts->follow_thread = std::thread([&there] { there.Follow(); });
  return std::unique_ptr<Ledger>(new Ledger(std::move(parts)));
}

Result<std::string> Ledger::CreateKey(const std::string& name, const Quotas& quotas) {
  TRY(CheckKeyName(name));
  TRY(CheckQuotas(quotas));
  TRY_ASSIGN(std::string secret, MakeSecret());
  const Hash hash = Sha256(secret);
  {
    const std::lock_guard lock(parts_->orders_mutex);
    const Database& database = *parts_->orders;
    TRY_ASSIGN(Transaction transaction, Transaction::Begin(database, true));
    TRY_ASSIGN(const std::optional<std::int64_t> same, LiveKey(database, name));
    if (same)
      return diagnostics::InvalidInput("key '" + name + "': expected a name that no live key has, found one that does; revoke it first, or choose another");
    TRY_ASSIGN(Statement insert, database.Prepare("INSERT INTO keys (name, hash, created) VALUES (?1, ?2, ?3) RETURNING id"));
    insert.Bind(1, name);
    insert.BindBytes(2, std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
    insert.Bind(3, Now());
    TRY(insert.Step());
    const std::int64_t id = insert.Integer(0);
    TRY(insert.Run());
    TRY(AddQuotas(database, id, quotas));
    TRY(transaction.Commit());
  }
  TRY(parts_->follower->FollowKeys(true));
  return secret;
}

Result<std::vector<KeyFacts>> Ledger::Keys() {
  TRY_ASSIGN(const std::vector<StoredKey> stored, parts_->reports->ReadKeys());
  std::vector<KeyFacts> keys;
  for (const StoredKey& key : stored) keys.push_back(key.facts);
  return keys;
}

Status Ledger::Revoke(const std::string& name) {
  {
    const std::lock_guard lock(parts_->orders_mutex);
    TRY_ASSIGN(Transaction transaction, Transaction::Begin(*parts_->orders, true));
    TRY_ASSIGN(const std::int64_t key, NeedLiveKey(*parts_->orders, name));
    TRY_ASSIGN(Statement insert, parts_->orders->Prepare("INSERT INTO revocations (key_id, time) VALUES (?1, ?2)"));
    insert.Bind(1, key);
    insert.Bind(2, Now());
    TRY(insert.Run());
    TRY(transaction.Commit());
  }
  return parts_->follower->FollowKeys(true);
}

Status Ledger::SetQuotas(const std::string& name, const Quotas& quotas) {
  TRY(CheckQuotas(quotas));
  {
    const std::lock_guard lock(parts_->orders_mutex);
    TRY_ASSIGN(Transaction transaction, Transaction::Begin(*parts_->orders, true));
    TRY_ASSIGN(const std::int64_t key, NeedLiveKey(*parts_->orders, name));
    TRY(AddQuotas(*parts_->orders, key, quotas));
    TRY(transaction.Commit());
  }
  return parts_->follower->FollowKeys(true);
}

std::optional<KeyFacts> Ledger::Authenticate(std::string_view secret) const { return parts_->accounts->Authenticate(secret); }
bool Ledger::HasKeys() const { return parts_->accounts->HasKeys(); }
std::expected<Permit, Refusal> Ledger::Begin(std::int64_t key) { return parts_->accounts->Begin(key, Now()); }
std::optional<Balance> Ledger::BalanceOf(std::int64_t key) const { return parts_->accounts->BalanceOf(key, Now()); }
Result<UsageReport> Ledger::Usage(const UsageFilter& filter) { return parts_->reports->ReadUsage(filter); }

void Ledger::Record(UsageRecord record, std::function<void(Status)> done) {
  if (Status status = CheckRecord(record); !status) {
    if (done) done(std::move(status));
    return;
  }
  for (const DayUsage& usage : DaysOf({record})) parts_->accounts->Open(usage);
  parts_->writer->Add(std::move(record), std::move(done));
}

}  // namespace baleen::ledger

#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/key.h"
#include "ledger/usage.h"

namespace baleen::ledger {

class Accounts;
class Database;
class RecordWriter;

/// Why a key may not begin a request now.
struct Refusal {
  enum class Kind { kUnknownKey, kConcurrency, kTokens, kMoney };
  Kind kind = Kind::kUnknownKey;
  std::string message;               // for the client: which quota, what is used, when it is free again
  std::int64_t retry_after_seconds;  // 1 and more; to the end of the day or the month for their quotas; 0 where waiting does not help
};

/// A request of a key that is running; it counts until this is destroyed, which may be after the Ledger's end.
class Permit {
 public:
  Permit() = default;
  Permit(Permit&& other) noexcept = default;
  Permit& operator=(Permit&& other) noexcept;
  ~Permit();

 private:
  friend class Accounts;
  Permit(std::shared_ptr<Accounts> accounts, std::int64_t key) : accounts_(std::move(accounts)), key_(key) {}
  std::shared_ptr<Accounts> accounts_;
  std::int64_t key_ = 0;
};

/// Keys, their quotas and every request, in one SQLite file to which things are only ever added (docs/ledger.md). Several processes may use
/// one file at the same time; every function may be called from any thread.
class Ledger {
 public:
  struct Options {
    bool create = false;  // make the file (mode 0600) if it is missing or empty
  };

  /// Errors: not found; not a ledger, damaged, of a later version; cannot be read and written.
  static Result<std::unique_ptr<Ledger>> Open(const std::string& path, Options options);
  /// Writes what was recorded and calls every `done` before it returns.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Makes a key and returns its secret, "sk-baleen-" and 64 hexadecimal digits, which is shown this once: the file holds its SHA-256.
  /// Errors: a name that CheckKeyName refuses or that a live key has; the disk.
  Result<std::string> CreateKey(const std::string& name, const Quotas& quotas);
  /// All keys, also revoked ones, oldest first, read from the file.
  Result<std::vector<KeyFacts>> Keys();
  /// Errors: no live key has this name.
  Status Revoke(const std::string& name);
  /// Replaces all quotas of the live key. Errors: as Revoke.
  Status SetQuotas(const std::string& name, const Quotas& quotas);

  /// The live key with this secret. Never touches the disk; a change by another process is seen within 2 s, one by this object at once.
  std::optional<KeyFacts> Authenticate(std::string_view secret) const;
  /// Whether there is any key, also if all of them are revoked: then requests need one. Never touches the disk.
  bool HasKeys() const;

  /// Lets a request of the key begin, or says which quota is used up. A token or money quota is used up once what has ended reaches it;
  /// requests that are running then may go beyond it. Never touches the disk.
  std::expected<Permit, Refusal> Begin(std::int64_t key);
  /// Nothing for an unknown key. Never touches the disk.
  std::optional<Balance> BalanceOf(std::int64_t key) const;

  /// Adds a record. It counts to the key's quotas at once; `done` (may be empty) is called once, by the writer's thread, when the record
  /// is on disk, or with the error that kept it from there (it counts to the quotas all the same); for a record that CheckRecord refuses it
  /// is called at once, and nothing counts. `done` must not throw, and must not destroy the Ledger.
  void Record(UsageRecord record, std::function<void(Status)> done);

  /// Sums of the records on disk. Reads the file: not for the I/O thread.
  Result<UsageReport> Usage(const UsageFilter& filter);

 private:
  struct Parts;
  explicit Ledger(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace baleen::ledger

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "diagnostics/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace baleen::ledger {

class Database;

/// A prepared statement. Parameters count from 1, columns from 0, as in SQLite. Used by one thread at a time.
class Statement {
 public:
  void Bind(int parameter, std::int64_t value);
  void Bind(int parameter, double value);
  void Bind(int parameter, std::string_view value);
  void Bind(int parameter, std::optional<std::int64_t> value);
  /// Bytes instead of text.
  void BindBytes(int parameter, std::string_view value);

  /// True: there is a row to read. False: done; the statement can be bound and stepped again.
  Result<bool> Step();
  /// Steps to the end; rows are not wanted.
  Status Run();

  std::int64_t Integer(int column) const;
  std::optional<std::int64_t> OptionalInteger(int column) const;
  std::string Text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(const Database* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// A connection to the ledger's file. Used by one thread at a time; must outlive its statements.
class Database {
 public:
  /// Opens the ledger at path and checks that it is one. With `create`, a file that is missing or empty becomes one, for its owner only.
  static Result<std::unique_ptr<Database>> Open(const std::string& path, bool create);

  /// Reads all of the file. Errors: it is damaged.
  Status CheckWhole() const;

  /// Errors: those of SQLite.
  Result<Statement> Prepare(const std::string& sql) const;
  /// Statements without parameters or rows.
  Status Execute(const std::string& sql) const;
  /// The one number that sql gives.
  Result<std::int64_t> Number(const std::string& sql) const;

  /// What SQLite reports of the last call, as an error that says what to do. Never `doing` alone: the file's name is in it.
  diagnostics::Error Failure(const std::string& doing) const;
  const std::string& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  Database() = default;
  Status Connect();
  Status CheckFormat(bool create);
  Status TurnWalOn();
  Status MakeTables();

  std::string path_;
  std::unique_ptr<sqlite3, Close> connection_;
};

/// Keeps the changes made while it lives only if Commit was called.
class Transaction {
 public:
  /// `writing`: waits, up to the busy timeout, until no other process writes.
  static Result<Transaction> Begin(const Database& database, bool writing);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status Commit();

 private:
  explicit Transaction(const Database* database) : database_(database) {}
  const Database* database_;
};

}  // namespace baleen::ledger

#include "ledger/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "diagnostics/check.h"

namespace baleen::ledger {
namespace {

constexpr int kBusyMilliseconds = 5000;
constexpr std::int64_t kApplicationId = 0x42616c6e;  // "Baln"
constexpr std::int64_t kVersion = 1;

// Rows are only ever added: the newest row of quotas counts, a revocation is a row of its own.
constexpr char kTables[] = R"sql(
  CREATE TABLE keys (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, created INTEGER NOT NULL);
  CREATE TABLE revocations (key_id INTEGER PRIMARY KEY REFERENCES keys (id), time INTEGER NOT NULL);
  CREATE TABLE quotas (id INTEGER PRIMARY KEY AUTOINCREMENT, key_id INTEGER NOT NULL REFERENCES keys (id), time INTEGER NOT NULL,
    concurrent_requests INTEGER, tokens_per_day INTEGER, tokens_total INTEGER, money_per_month INTEGER, money_total INTEGER);
  CREATE TABLE usage (id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, key_id INTEGER,
    model TEXT NOT NULL, route TEXT NOT NULL, time INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, hit_tokens INTEGER NOT NULL, miss_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL, choices INTEGER NOT NULL, status INTEGER NOT NULL, finish TEXT NOT NULL,
    queue_seconds REAL NOT NULL, first_token_seconds REAL NOT NULL, total_seconds REAL NOT NULL, cost INTEGER NOT NULL);
  CREATE INDEX usage_time ON usage (time);
)sql";

std::string TriggersOf(const std::string& table) {
  std::string sql;
  for (const std::string change : {"UPDATE", "DELETE"}) {
    sql += "CREATE TRIGGER " + table + "_keeps_" + (change == "UPDATE" ? "values" : "rows") + " BEFORE " + change + " ON " + table +
           " BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;";
  }
  return sql;
}

std::string Named(const std::string& path) { return "ledger " + diagnostics::Quoted(path, 300); }

diagnostics::Error SystemError(const std::string& path) {
  const int code = errno;
  const std::string text = Named(path) + ": " + std::strerror(code);
  if (code == ENOENT || code == ENOTDIR) return diagnostics::NotFound(text + "; make one with: baleen keys create NAME --ledger FILE");
  return diagnostics::ResourceError(text + "; choose a file that can be read and written");
}

// A file that another connection of this process has open must not be opened and closed here: that would drop its locks.
Status CheckFile(const std::string& path, bool create) {
  if (path.find('\0') != std::string::npos || path.empty())
    return diagnostics::InvalidInput("ledger: expected the name of a file, found '" + diagnostics::Quoted(path) + "'");
  struct stat about = {};
  if (stat(path.c_str(), &about) != 0) {
    if (errno != ENOENT || !create) return SystemError(path);
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno != EEXIST) return SystemError(path);
    if (descriptor >= 0) close(descriptor);
    return {};
  }
  if (!S_ISREG(about.st_mode)) return diagnostics::InvalidInput(Named(path) + ": expected a file, found something else");
  if (about.st_size == 0 && !create) return diagnostics::InvalidInput(Named(path) + " is empty; make a key first: baleen keys create NAME --ledger FILE");
  return {};
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* connection) const { sqlite3_close(connection); }

// Binding fails only for a wrong number of a parameter or without memory.
void Statement::Bind(int parameter, std::int64_t value) { CHECK(sqlite3_bind_int64(statement_.get(), parameter, value) == SQLITE_OK); }
void Statement::Bind(int parameter, double value) { CHECK(sqlite3_bind_double(statement_.get(), parameter, value) == SQLITE_OK); }
void Statement::Bind(int parameter, std::string_view value) {
  CHECK(sqlite3_bind_text64(statement_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK);
}
void Statement::Bind(int parameter, std::optional<std::int64_t> value) {
  CHECK((value ? sqlite3_bind_int64(statement_.get(), parameter, *value) : sqlite3_bind_null(statement_.get(), parameter)) == SQLITE_OK);
}
void Statement::BindBytes(int parameter, std::string_view value) {
  CHECK(sqlite3_bind_blob64(statement_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT) == SQLITE_OK);
}

Result<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  diagnostics::Error error = database_->Failure(sqlite3_stmt_readonly(statement_.get()) != 0 ? "reading" : "writing");
  sqlite3_reset(statement_.get());
  return error;
}

Status Statement::Run() {
  for (bool more = true; more;) {
    TRY_ASSIGN(more, Step());
  }
  return {};
}

std::int64_t Statement::Integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::optional<std::int64_t> Statement::OptionalInteger(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL ? std::nullopt : std::optional(Integer(column));
}

std::string Statement::Text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, bool create) {
  TRY(CheckFile(path, create));
  std::unique_ptr<Database> database(new Database);
  database->path_ = path;
  TRY(database->Connect());
  TRY(database->CheckFormat(create));
  TRY(database->Execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"));
  return database;
}

Status Database::Connect() {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path_.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  connection_.reset(connection);
  if (code != SQLITE_OK) return Failure("opening");
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, kBusyMilliseconds);
  // A file from outside must not make SQLite run what its schema says.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (sqlite3_db_readonly(connection, "main") == 1) {
    return diagnostics::ResourceError(Named(path_) + ": expected a file that can be written, found one that cannot; change its permissions");
  }
  return {};
}

Status Database::CheckFormat(bool create) {
  std::int64_t application = 0, tables = 0;
  {
    // One look at both: another process may be making the tables.
    TRY_ASSIGN(const Transaction reading, Transaction::Begin(*this, false));
    TRY_ASSIGN(application, Number("PRAGMA application_id"));
    TRY_ASSIGN(tables, Number("SELECT count(*) FROM sqlite_master"));
  }
  if (application != kApplicationId) {
    if (application != 0 || tables != 0)
      return diagnostics::InvalidInput(Named(path_) + ": expected a ledger, found another SQLite database; choose another file");
    if (!create) return diagnostics::InvalidInput(Named(path_) + " is empty; make a key first: baleen keys create NAME --ledger FILE");
    TRY(MakeTables());
  }
  TRY_ASSIGN(const std::int64_t version, Number("PRAGMA user_version"));
  if (version != kVersion) {
    return diagnostics::Unsupported(Named(path_) + ": expected version " + std::to_string(kVersion) + " of the format, found " + std::to_string(version) +
                                    "; use the program that made it, or a later one");
  }
  return {};
}

Status Database::CheckWhole() const {
  TRY_ASSIGN(Statement check, Prepare("PRAGMA quick_check(1)"));
  TRY_ASSIGN(const bool answered, check.Step());
  if (!answered || check.Text(0) != "ok") {
    return diagnostics::InvalidInput(Named(path_) + " is damaged: " + diagnostics::Quoted(answered ? check.Text(0) : "", 200) +
                                     "; restore a copy, or begin a new file");
  }
  return {};
}

// SQLite does not wait where two processes change the mode at the same time.
Status Database::TurnWalOn() {
  const auto begin = std::chrono::steady_clock::now();
  while (true) {
    const Status done = Execute("PRAGMA journal_mode = WAL");
    const bool busy = (sqlite3_extended_errcode(connection_.get()) & 0xff) == SQLITE_BUSY;
    if (done || !busy || std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(kBusyMilliseconds)) return done;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// Two processes may do this at the same time: whoever comes second finds the tables.
Status Database::MakeTables() {
  TRY(TurnWalOn());
  TRY_ASSIGN(Transaction transaction, Transaction::Begin(*this, true));
  TRY_ASSIGN(const std::int64_t application, Number("PRAGMA application_id"));
  if (application == kApplicationId) return {};
  std::string sql = kTables;
  for (const char* table : {"keys", "revocations", "quotas", "usage"}) sql += TriggersOf(table);
  TRY(Execute(sql + "PRAGMA user_version = " + std::to_string(kVersion) + "; PRAGMA application_id = " + std::to_string(kApplicationId)));
  return transaction.Commit();
}

Result<Statement> Database::Prepare(const std::string& sql) const {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) return Failure("reading");
  return Statement(this, statement);
}

Status Database::Execute(const std::string& sql) const {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return Failure("writing");
  return {};
}

Result<std::int64_t> Database::Number(const std::string& sql) const {
  TRY_ASSIGN(Statement statement, Prepare(sql));
  TRY_ASSIGN(const bool row, statement.Step());
  return row ? statement.Integer(0) : 0;
}

diagnostics::Error Database::Failure(const std::string& doing) const {
  const int code = connection_ ? sqlite3_extended_errcode(connection_.get()) : SQLITE_NOMEM;
  const std::string text =
      Named(path_) + ": " + doing + " failed: " + (connection_ ? diagnostics::Quoted(sqlite3_errmsg(connection_.get()), 200) : "no memory");
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return diagnostics::InvalidInput(Named(path_) + ": expected a ledger, found a file that is no SQLite database; choose another file");
    case SQLITE_CORRUPT:
      return diagnostics::InvalidInput(text + "; the file is damaged: restore a copy, or begin a new file");
    case SQLITE_ERROR:
      return diagnostics::InvalidInput(text + "; the file is no ledger, or damaged");
    case SQLITE_FULL:
      return diagnostics::ResourceError(text + "; free disk space");
    case SQLITE_BUSY:
      return diagnostics::ResourceError(text + "; another process has held it for " + std::to_string(kBusyMilliseconds / 1000) + " s: try again");
    default:
      return diagnostics::ResourceError(text + "; check the disk and the permissions of the file and its folder");
  }
}

Result<Transaction> Transaction::Begin(const Database& database, bool writing) {
  TRY(database.Execute(writing ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(&database);
}

Transaction::~Transaction() {
  // After some errors SQLite has rolled back already; then this one says so and nothing else.
  if (database_ != nullptr) (void)database_->Execute("ROLLBACK");
}

Status Transaction::Commit() {
  TRY(database_->Execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace baleen::ledger

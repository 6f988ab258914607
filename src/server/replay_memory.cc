#include "server/replay_memory.h"

#include <cstring>
#include <system_error>
#include <utility>

#include <openssl/sha.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "diagnostics/log.h"

namespace baleen::server {
namespace {

using diagnostics::Quoted;

constexpr int kFormat = 1;  // PRAGMA user_version of the file

/// A prepared statement that is finalised with its scope.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) { sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // No bytes are a value too, and not SQL's NULL.
  void Bind(int place, std::string_view bytes) { sqlite3_bind_blob64(statement_, place, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_TRANSIENT); }
  void Bind(int place, std::int64_t number) { sqlite3_bind_int64(statement_, place, number); }
  int Step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  std::string_view Bytes(int column) {
    const void* data = sqlite3_column_blob(statement_, column);
    return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::int64_t Number(int column) { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

std::size_t BytesOf(const SampledTurn& turn) { return turn.ids.size() * sizeof(std::int32_t) + turn.reasoning.size() + 128; }

}  // namespace

void ReplayMemory::Close::operator()(sqlite3* database) const noexcept { sqlite3_close(database); }

ReplayMemory::ReplayMemory(const std::filesystem::path& file, std::string model, std::size_t most_bytes) : model_(std::move(model)), most_bytes_(most_bytes) {
  if (file.empty()) return;
  if (const Status opened = OpenFile(file); !opened) {
    file_.reset();
    diagnostics::Warn(opened.error().message);
  }
}

ReplayMemory::~ReplayMemory() = default;

Status ReplayMemory::OpenFile(const std::filesystem::path& file) {
  const auto failed = [&](const std::string& found) {
    return diagnostics::ResourceError("the memory of sampled turns: expected a file of this program at " + Quoted(file.string(), 300) + ", found " + found +
                                      "; it is left alone, and sampled turns are forgotten at the end");
  };
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const mode_t before = ::umask(077);
  int code = sqlite3_open_v2(file.c_str(), &database, flags, nullptr);
  file_.reset(database);
  const auto run = [&](const char* sql) { return code == SQLITE_OK ? code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr) : code; };
  if (code == SQLITE_OK) sqlite3_busy_timeout(database, 200);
  run("PRAGMA journal_mode=WAL");
  run("PRAGMA synchronous=NORMAL");
  ::umask(before);
  if (code != SQLITE_OK) return failed(database == nullptr ? "no memory" : sqlite3_errmsg(database));
  Statement version(database, "PRAGMA user_version"), tables(database, "SELECT count(*) FROM sqlite_master");
  if (version.Step() != SQLITE_ROW || tables.Step() != SQLITE_ROW) return failed(sqlite3_errmsg(database));
  const bool fresh = version.Number(0) == 0 && tables.Number(0) == 0;
  if (!fresh && version.Number(0) != kFormat) return failed("another format");
  run("CREATE TABLE IF NOT EXISTS turns (key BLOB PRIMARY KEY, thinking INTEGER NOT NULL, reasoning BLOB NOT NULL, ids BLOB NOT NULL) STRICT");
  run("PRAGMA user_version=1");
  return code == SQLITE_OK ? Status() : failed(sqlite3_errmsg(database));
}

// A hash that nobody can find another text for: what one tenant sampled must not be found by another.
std::string ReplayMemory::FullKey(const std::string& tenant, std::string_view key) const {
  std::string text;
  for (const std::string_view part : {std::string_view(model_), std::string_view(tenant), key}) text += std::to_string(part.size()) + ":" + std::string(part);
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

void ReplayMemory::Remember(std::string key, SampledTurn turn) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    bytes_ -= BytesOf(found->second->turn);
    entries_.erase(found->second);
    by_key_.erase(found);
  }
  bytes_ += BytesOf(turn);
  entries_.push_front({std::move(key), std::move(turn)});
  by_key_[entries_.front().key] = entries_.begin();
  while (bytes_ > most_bytes_) {
    bytes_ -= BytesOf(entries_.back().turn);
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void ReplayMemory::Keep(const std::string& tenant, std::string_view key, SampledTurn turn) {
  if (BytesOf(turn) > most_bytes_) return;
  const std::lock_guard lock(mutex_);
  std::string full = FullKey(tenant, key);
  if (file_ != nullptr) Write(full, turn);
  Remember(std::move(full), std::move(turn));
}

std::optional<SampledTurn> ReplayMemory::Find(const std::string& tenant, std::string_view key) {
  const std::lock_guard lock(mutex_);
  std::string full = FullKey(tenant, key);
  if (const auto found = by_key_.find(full); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->turn;
  }
  if (file_ == nullptr) return std::nullopt;
  std::optional<SampledTurn> turn = Read(full);
  if (turn) Remember(std::move(full), *turn);
  return turn;
}

// The file keeps the turns written last: where it is full a quarter goes, whose room later turns take.
void ReplayMemory::Write(const std::string& key, const SampledTurn& turn) {
  Statement insert(file_.get(), "INSERT OR REPLACE INTO turns (key, thinking, reasoning, ids) VALUES (?, ?, ?, ?)");
  insert.Bind(1, key);
  insert.Bind(2, std::int64_t{turn.thinking});
  insert.Bind(3, turn.reasoning);
  insert.Bind(4, std::string_view(reinterpret_cast<const char*>(turn.ids.data()), turn.ids.size() * sizeof(std::int32_t)));
  if (insert.Step() != SQLITE_DONE) return GiveUpFile("writing");
  Statement used(file_.get(), "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()");
  if (used.Step() != SQLITE_ROW) return GiveUpFile("measuring");
  if (static_cast<std::size_t>(used.Number(0)) <= most_bytes_) return;
  Statement trim(file_.get(), "DELETE FROM turns WHERE rowid IN (SELECT rowid FROM turns ORDER BY rowid LIMIT (SELECT count(*) / 4 + 1 FROM turns))");
  if (trim.Step() != SQLITE_DONE) GiveUpFile("making room");
}

std::optional<SampledTurn> ReplayMemory::Read(const std::string& key) {
  Statement select(file_.get(), "SELECT thinking, reasoning, ids FROM turns WHERE key = ?");
  select.Bind(1, key);
  const int code = select.Step();
  if (code == SQLITE_DONE || code == SQLITE_BUSY) return std::nullopt;
  if (code != SQLITE_ROW) return GiveUpFile("reading"), std::nullopt;
  SampledTurn turn{.ids = {}, .thinking = select.Number(0) != 0, .reasoning = std::string(select.Bytes(1))};
  const std::string_view ids = select.Bytes(2);
  turn.ids.resize(ids.size() / sizeof(std::int32_t));
  std::memcpy(turn.ids.data(), ids.data(), turn.ids.size() * sizeof(std::int32_t));
  return turn;
}

void ReplayMemory::GiveUpFile(std::string_view what) {
  diagnostics::Warn("the memory of sampled turns: " + std::string(what) + " its file failed (" + sqlite3_errmsg(file_.get()) + "); from now on it is kept in memory only");
  file_.reset();
}

std::size_t ReplayMemory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace baleen::server

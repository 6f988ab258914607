#include "ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "ledger/database.h"

namespace baleen::ledger {
namespace {

using ::testing::HasSubstr;

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ledger_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/ledger.db";
  }
  ~LedgerTest() override { std::filesystem::remove_all(folder_); }

  static std::unique_ptr<Ledger> Opened(const std::string& path) {
    Result<std::unique_ptr<Ledger>> ledger = Ledger::Open(path, {.create = true});
    EXPECT_TRUE(ledger) << ledger.error().message;
    return *std::move(ledger);
  }
  std::unique_ptr<Ledger> Opened() const { return Opened(path_); }

  static UsageRecord RecordOf(const std::string& id, std::optional<std::int64_t> key, std::int64_t tokens = 10, PicoDollars cost = 0) {
    UsageRecord record;
    record.request_id = id;
    record.key = key;
    record.model = "m";
    record.time = std::time(nullptr);
    record.prompt_tokens = tokens;
    record.miss_tokens = tokens;
    record.cost = cost;
    return record;
  }

  static Status Write(Ledger& ledger, UsageRecord record) {
    std::promise<Status> done;
    ledger.Record(std::move(record), [&done](Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }

  std::string folder_, path_;
};

template <typename Condition>
double SecondsUntil(Condition condition) {
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  while (!condition() && seconds() < 10) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return seconds();
}

TEST_F(LedgerTest, AKeyOpensAndOnlyItsHashIsStored) {
  std::string secret;
  {
    const auto ledger = Opened();
    EXPECT_FALSE(ledger->HasKeys());
    EXPECT_FALSE(ledger->Authenticate(""));
    secret = ledger->CreateKey("alice", {.tokens_per_day = 5}).value();
    EXPECT_EQ(secret.size(), 74u);
    EXPECT_EQ(secret.substr(0, 10), "sk-baleen-");
    EXPECT_TRUE(ledger->HasKeys());
    EXPECT_EQ(ledger->Authenticate(secret)->name, "alice");
    EXPECT_EQ(ledger->Authenticate(secret)->quotas.tokens_per_day, 5);
    std::string other = secret;
    other.back() = other.back() == '0' ? '1' : '0';
    EXPECT_FALSE(ledger->Authenticate(other));
    EXPECT_FALSE(ledger->Authenticate(secret.substr(0, 73)));
    for (const char* end : {"", "-wal", "-shm"}) EXPECT_THAT(FileText(path_ + end), Not(HasSubstr(secret.substr(10, 16)))) << end;
  }
  EXPECT_THAT(FileText(path_), Not(HasSubstr(secret.substr(10, 16))));
  struct stat about = {};
  ASSERT_EQ(stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(Opened()->Authenticate(secret)->name, "alice");
}

TEST_F(LedgerTest, NamesAreCheckedAndFreeAgainAfterARevoke) {
  const auto ledger = Opened();
  for (const std::string& name : {std::string(), std::string(65, 'a'), std::string("a b"), std::string("a\n"), std::string("é")})
    EXPECT_FALSE(ledger->CreateKey(name, {}));
  const std::string first = ledger->CreateKey(std::string(64, 'a'), {}).value();
  EXPECT_FALSE(ledger->CreateKey(std::string(64, 'a'), {}));
  EXPECT_TRUE(ledger->Revoke(std::string(64, 'a')));
  EXPECT_FALSE(ledger->Revoke(std::string(64, 'a')));
  EXPECT_FALSE(ledger->Authenticate(first));
  EXPECT_TRUE(ledger->HasKeys());  // a server whose last key was revoked does not open to all
  const std::string second = ledger->CreateKey(std::string(64, 'a'), {}).value();
  EXPECT_TRUE(ledger->Authenticate(second));
  EXPECT_FALSE(ledger->Authenticate(first));
  EXPECT_EQ(ledger->Keys()->size(), 2u);
}

TEST_F(LedgerTest, ConcurrentRequestsStopAtTheQuota) {
  const auto ledger = Opened();
  ASSERT_TRUE(ledger->CreateKey("a", {.concurrent_requests = 2}));
  const std::int64_t key = ledger->Keys()->front().id;
  auto first = ledger->Begin(key), second = ledger->Begin(key);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(ledger->BalanceOf(key)->running, 2);
  const auto third = ledger->Begin(key);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind, Refusal::Kind::kConcurrency);
  EXPECT_GE(third.error().retry_after_seconds, 1);
  Permit moved = *std::move(first);
  EXPECT_FALSE(ledger->Begin(key));
  moved = Permit();
  EXPECT_TRUE(ledger->Begin(key));
  EXPECT_EQ(ledger->Begin(key + 1).error().kind, Refusal::Kind::kUnknownKey);
}

TEST_F(LedgerTest, TokenAndMoneyQuotasEndAtTheirLastUnit) {
  const auto ledger = Opened();
  ASSERT_TRUE(ledger->CreateKey("day", {.tokens_per_day = 10}));
  ASSERT_TRUE(ledger->CreateKey("total", {.tokens_total = 10}));
  ASSERT_TRUE(ledger->CreateKey("month", {.money_per_month = 10}));
  ASSERT_TRUE(ledger->CreateKey("money", {.money_total = 10}));
  ASSERT_TRUE(ledger->CreateKey("none", {.tokens_total = 0}));
  const std::vector<KeyFacts> keys = ledger->Keys().value();
  for (const KeyFacts& key : keys) {
    const Refusal::Kind kind = key.name[0] == 'm' ? Refusal::Kind::kMoney : Refusal::Kind::kTokens;
    if (key.name != "none") {
      ASSERT_TRUE(Write(*ledger, RecordOf(key.name + "1", key.id, 9, 9)));
      EXPECT_TRUE(ledger->Begin(key.id)) << key.name;
      ledger->Record(RecordOf(key.name + "2", key.id, 1, 1), {});  // counts at once, not when it is written
    }
    const auto begun = ledger->Begin(key.id);
    ASSERT_FALSE(begun) << key.name;
    EXPECT_EQ(begun.error().kind, kind);
    EXPECT_THAT(begun.error().message, HasSubstr("used up"));
    ASSERT_TRUE(ledger->SetQuotas(key.name, {.tokens_total = 11, .money_total = 11}));
    EXPECT_TRUE(ledger->Begin(key.id)) << key.name;
  }
  EXPECT_EQ(ledger->BalanceOf(3)->MoneyLeft(), PicoDollars{1});
  EXPECT_EQ(Opened()->BalanceOf(3)->money_total, PicoDollars{10});
}

TEST_F(LedgerTest, UsageOfOtherDaysAndMonthsDoesNotCountToTodays) {
  const auto ledger = Opened();
  ASSERT_TRUE(ledger->CreateKey("a", {.tokens_per_day = 10, .money_per_month = 10}));
  UsageRecord old = RecordOf("old", 1, 100, 100);
  old.time -= 40 * 86400;
  ASSERT_TRUE(Write(*ledger, old));
  EXPECT_TRUE(ledger->Begin(1));
  EXPECT_EQ(ledger->BalanceOf(1)->tokens_total, 100);
  EXPECT_EQ(ledger->BalanceOf(1)->tokens_today, 0);
  EXPECT_EQ(Opened()->BalanceOf(1)->money_this_month, 0);
}

TEST_F(LedgerTest, ARequestIdIsCountedOnce) {
  const auto ledger = Opened();
  ASSERT_TRUE(ledger->CreateKey("a", {}));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Write(*ledger, RecordOf("same", 1, 7, 5)));
  const UsageReport report = ledger->Usage({}).value();
  EXPECT_EQ(report.total.requests, 1);
  EXPECT_EQ(report.total.prompt_tokens, 7);
  EXPECT_EQ(ledger->BalanceOf(1)->tokens_total, 7);
  EXPECT_EQ(ledger->BalanceOf(1)->money_total, 5);
}

TEST_F(LedgerTest, NothingIsEverChangedOrTakenOut) {
  const auto ledger = Opened();
  ASSERT_TRUE(ledger->CreateKey("a", {}));
  ASSERT_TRUE(ledger->Revoke("a"));
  ASSERT_TRUE(Write(*ledger, RecordOf("x", 1)));
  const auto database = Database::Open(path_, false).value();
  for (const char* table : {"keys", "revocations", "quotas", "usage"}) {
    EXPECT_THAT(database->Execute(std::string("DELETE FROM ") + table).error().message, HasSubstr("append-only"));
    const std::string column = std::string(table) == "keys" ? "created" : "time";
    EXPECT_THAT(database->Execute("UPDATE " + std::string(table) + " SET " + column + " = 1").error().message, HasSubstr("append-only"));
  }
}

TEST_F(LedgerTest, WrongRecordsAreRefusedAndHarmNoOther) {
  const auto ledger = Opened();
  UsageRecord record = RecordOf("x", std::nullopt);
  record.prompt_tokens = -1;
  EXPECT_FALSE(Write(*ledger, record));
  EXPECT_FALSE(Write(*ledger, RecordOf("", std::nullopt)));
  EXPECT_FALSE(Write(*ledger, RecordOf("x", std::nullopt, 1, PicoDollars{1} << 63)));
  EXPECT_TRUE(Write(*ledger, RecordOf("x", 12345, 1, (PicoDollars{1} << 63) - 1)));
  EXPECT_TRUE(Write(*ledger, RecordOf("y", std::nullopt, 1, (PicoDollars{1} << 63) - 1)));
  EXPECT_EQ(ledger->Usage({})->total.cost, (PicoDollars{1} << 64) - 2);
  EXPECT_EQ(ledger->Usage({})->by_key.at(kNoKey).requests, 2);
}

TEST_F(LedgerTest, ReportsAreFilteredAndGrouped) {
  const auto ledger = Opened();
  ASSERT_TRUE(ledger->CreateKey("a", {}));
  ASSERT_TRUE(ledger->CreateKey("b", {}));
  for (int i = 0; i < 6; ++i) {
    UsageRecord record = RecordOf(std::to_string(i), i % 3 == 0 ? std::nullopt : std::optional<std::int64_t>(i % 3), 1 << i);
    record.time = 86400 * (1 + i / 2);
    record.model = i < 3 ? "x" : "y";
    record.status = i == 5 ? 500 : 200;
    ASSERT_TRUE(Write(*ledger, record));
  }
  const UsageReport all = ledger->Usage({}).value();
  EXPECT_EQ(all.total.prompt_tokens, 63);
  EXPECT_EQ(all.total.failed, 1);
  EXPECT_EQ(all.by_key.at("a").prompt_tokens, 2 + 16);
  EXPECT_EQ(all.by_key.at("(none)").prompt_tokens, 1 + 8);
  EXPECT_EQ(all.by_model.at("y").prompt_tokens, 8 + 16 + 32);
  EXPECT_EQ(all.by_day.at("1970-01-03").prompt_tokens, 4 + 8);
  EXPECT_EQ(ledger->Usage({.key = "b"})->total.prompt_tokens, 4 + 32);
  EXPECT_EQ(ledger->Usage({.key = "(none)"})->total.prompt_tokens, 1 + 8);
  EXPECT_EQ(ledger->Usage({.since = 2 * 86400, .until = 3 * 86400})->total.prompt_tokens, 4 + 8);
  EXPECT_EQ(ledger->Usage({.model = "x"})->total.prompt_tokens, 7);
  EXPECT_EQ(ledger->Usage({.key = "c"})->total.requests, 0);
}

/// A process of its own that does one thing with the ledger for each letter. Made before the test opens the file: SQLite and threads do not
/// outlive a fork.
class OtherProcess {
 public:
  OtherProcess(const std::string& path, const std::function<Status(Ledger&, char)>& act) {
    EXPECT_EQ(pipe(orders_) + pipe(answers_), 0);
    child_ = fork();
    if (child_ != 0) return;
    close(orders_[1]);
    char order = 0;
    while (read(orders_[0], &order, 1) == 1) {
      const auto ledger = Ledger::Open(path, {.create = true});
      const char answer = ledger && act(**ledger, order) ? 'y' : 'n';
      if (write(answers_[1], &answer, 1) != 1) break;
    }
    _exit(0);
  }
  ~OtherProcess() {
    for (const int end : {orders_[0], orders_[1], answers_[0], answers_[1]}) close(end);
    waitpid(child_, nullptr, 0);
  }

  bool Do(char order) {
    char answer = 0;
    return write(orders_[1], &order, 1) == 1 && read(answers_[0], &answer, 1) == 1 && answer == 'y';
  }

 private:
  int orders_[2], answers_[2];
  pid_t child_ = 0;
};

TEST_F(LedgerTest, AnotherProcessIsSeenWithinThreeSeconds) {
  OtherProcess other(path_, [](Ledger& ledger, char order) -> Status {
    if (order == 'u') return Write(ledger, RecordOf("theirs", 1, 70));
    if (order == 'q') return ledger.SetQuotas("a", {.tokens_total = 70});
    if (order == 'r') return ledger.Revoke("a");
    TRY(ledger.CreateKey("b", {}));
    return {};
  });
  const auto ledger = Opened();
  const std::string secret = ledger->CreateKey("a", {}).value();
  EXPECT_TRUE(other.Do('u'));
  EXPECT_LT(SecondsUntil([&] { return ledger->BalanceOf(1)->tokens_total == 70; }), 3);
  EXPECT_TRUE(ledger->Begin(1));
  EXPECT_TRUE(other.Do('q'));
  EXPECT_LT(SecondsUntil([&] { return !ledger->Begin(1); }), 3);
  EXPECT_TRUE(other.Do('c'));
  EXPECT_EQ(ledger->Keys()->size(), 2u);
  EXPECT_TRUE(ledger->Authenticate(secret));
  EXPECT_TRUE(other.Do('r'));
  EXPECT_LT(SecondsUntil([&] { return !ledger->Authenticate(secret); }), 3);
  EXPECT_EQ(ledger->BalanceOf(1)->tokens_total, 70);
}

TEST_F(LedgerTest, ManyProcessesMakeTheFileAndWriteAtOnce) {
  constexpr int kProcesses = 4, kRecords = 50;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    bool good = true;
    {
      auto ledger = Ledger::Open(path_, {.create = true});
      good = ledger && (*ledger)->CreateKey("key" + std::to_string(process), {}).has_value();
      for (int i = 0; good && i < kRecords; ++i) good = Write(**ledger, RecordOf(std::to_string(process) + "-" + std::to_string(i), std::nullopt)).has_value();
    }
    _exit(good ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(Opened()->Usage({})->total.requests, kProcesses * kRecords);
  EXPECT_EQ(Opened()->Keys()->size(), std::size_t{kProcesses});
}

// A child writes without end and reports what is done over a pipe; it is killed in the middle.
TEST_F(LedgerTest, AKillLosesNoRecordThatWasDone) {
  std::int64_t before = 0;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto ledger = Ledger::Open(path_, {.create = true});
      for (int i = 0; ledger; ++i) {
        (*ledger)->Record(RecordOf(std::to_string(round) + "-" + std::to_string(i), std::nullopt, 1), [&](Status status) {
          const char byte = 'x';
          if (status && write(ends[1], &byte, 1) != 1) _exit(1);
        });
        if (i % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      _exit(1);
    }
    close(ends[1]);
    std::int64_t done = 0;
    char byte = 0;
    for (; done < 40 + 13 * round && read(ends[0], &byte, 1) == 1; ++done) {
    }
    kill(child, SIGKILL);
    while (read(ends[0], &byte, 1) == 1) ++done;
    waitpid(child, nullptr, 0);
    close(ends[0]);
    EXPECT_GE(done, 40);
    const std::int64_t now = Opened()->Usage({})->total.requests;
    EXPECT_GE(now - before, done);
    before = now;
  }
}

TEST_F(LedgerTest, TheDestructorWritesWhatWaits) {
  std::atomic<int> done = 0;
  {
    const auto ledger = Opened();
    for (int i = 0; i < 500; ++i) ledger->Record(RecordOf(std::to_string(i), std::nullopt), [&](Status status) { done += status ? 1 : 0; });
  }
  EXPECT_EQ(done, 500);
  EXPECT_EQ(Opened()->Usage({})->total.requests, 500);
}

TEST_F(LedgerTest, APermitMayOutliveTheLedger) {
  Permit permit;
  {
    const auto ledger = Opened();
    ASSERT_TRUE(ledger->CreateKey("a", {}));
    permit = ledger->Begin(1).value();
  }
}

// The limit of a file's size stands for a full disk; it holds for the whole process, hence the child.
TEST_F(LedgerTest, AFullDiskIsAnErrorAndLaterRecordsAreWritten) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto ledger = Opened();
    bool good = ledger->CreateKey("a", {}).has_value() && Write(*ledger, RecordOf("before", 1)).has_value();
    rlimit limit = {};
    getrlimit(RLIMIT_FSIZE, &limit);
    rlimit tight = limit;
    tight.rlim_cur = std::filesystem::file_size(path_ + "-wal") + 100;
    setrlimit(RLIMIT_FSIZE, &tight);
    UsageRecord large = RecordOf("full", 1);
    large.model = large.route = large.finish = std::string(1000, 'x');
    const Status refused = Write(*ledger, large);
    good = good && !refused && refused.error().kind == diagnostics::ErrorKind::kResource;
    good = good && ledger->BalanceOf(1)->tokens_total == 20;  // it was used all the same
    setrlimit(RLIMIT_FSIZE, &limit);
    good = good && Write(*ledger, RecordOf("after", 1)).has_value() && ledger->Usage({})->total.requests == 2;
    ledger.reset();
    _exit(good ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(LedgerTest, OtherFilesAreRefusedWithAReason) {
  const auto error = [](const std::string& path) {
    const auto ledger = Ledger::Open(path, {});
    return ledger ? std::string("opened") : ledger.error().message;
  };
  EXPECT_THAT(error(path_), HasSubstr("keys create"));
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_THAT(error(folder_), HasSubstr("expected a file"));
  EXPECT_FALSE(Ledger::Open(folder_ + "/absent/ledger", {.create = true}));
  std::ofstream(path_) << "";
  EXPECT_THAT(error(path_), HasSubstr("empty"));
  std::ofstream(path_) << std::string(5000, 'x');
  EXPECT_THAT(error(path_), HasSubstr("no SQLite database"));
  EXPECT_FALSE(Ledger::Open(path_, {.create = true}));  // never written over
  EXPECT_EQ(FileText(path_), std::string(5000, 'x'));
}

TEST_F(LedgerTest, DamageIsFoundWhereverItIs) {
  {
    const auto ledger = Opened();
    for (int i = 0; i < 200; ++i) ledger->Record(RecordOf("request-" + std::to_string(i), std::nullopt), {});
  }
  const std::string whole = FileText(path_);
  ASSERT_GT(whole.size(), 20000u);
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); at += 1024) {
    std::string damaged = whole;
    damaged.replace(at, 512, std::string(std::min<std::size_t>(512, whole.size() - at), '\xa5'));
    std::ofstream(path_, std::ios::binary) << damaged;
    const auto ledger = Ledger::Open(path_, {});
    refused += ledger ? 0 : 1;
    if (ledger) (void)(*ledger)->Usage({});
  }
  EXPECT_GT(refused, 10);
  std::ofstream(path_, std::ios::binary) << whole.substr(0, whole.size() / 2);
  EXPECT_FALSE(Ledger::Open(path_, {}));
}

}  // namespace
}  // namespace baleen::ledger

#include "ledger/record_writer.h"

namespace baleen::ledger {
namespace {

constexpr char kInsert[] =
    "INSERT INTO usage (request_id, key_id, model, route, time, prompt_tokens, hit_tokens, miss_tokens, completion_tokens, reasoning_tokens, choices, status, "
    "finish,"
    " queue_seconds, first_token_seconds, total_seconds, cost) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    " ON CONFLICT (request_id) DO NOTHING";

void BindRecord(Statement& insert, const UsageRecord& record) {
  insert.Bind(1, record.request_id);
  insert.Bind(2, record.key);
  insert.Bind(3, record.model);
  insert.Bind(4, record.route);
  insert.Bind(5, record.time);
  insert.Bind(6, record.prompt_tokens);
  insert.Bind(7, record.hit_tokens);
  insert.Bind(8, record.miss_tokens);
  insert.Bind(9, record.completion_tokens);
  insert.Bind(10, record.reasoning_tokens);
  insert.Bind(11, record.choices);
  insert.Bind(12, record.status);
  insert.Bind(13, record.finish);
  insert.Bind(14, record.queue_seconds);
  insert.Bind(15, record.first_token_seconds);
  insert.Bind(16, record.total_seconds);
  insert.Bind(17, static_cast<std::int64_t>(record.cost));
}

}  // namespace

RecordWriter::RecordWriter(std::unique_ptr<Database> database, std::mutex& writing, std::function<void(const Records&)> after_commit)
    : database_(std::move(database)), writing_(writing), after_commit_(std::move(after_commit)), thread_([this] { Run(); }) {}

RecordWriter::~RecordWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void RecordWriter::Add(UsageRecord record, std::function<void(Status)> done) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(record));
    waiting_done_.push_back(std::move(done));
  }
  wake_.notify_one();
}

void RecordWriter::Run() {
  while (true) {
    Records records;
    std::vector<std::function<void(Status)>> done;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      records.swap(waiting_);
      done.swap(waiting_done_);
    }
    Status status;
    {
      const std::lock_guard lock(writing_);
      status = Write(records);
      if (status) after_commit_(records);
    }
    for (const auto& call : done) {
      if (call) call(status);
    }
  }
}

Status RecordWriter::Write(const Records& records) {
  TRY_ASSIGN(Transaction transaction, Transaction::Begin(*database_, true));
  TRY_ASSIGN(Statement insert, database_->Prepare(kInsert));
  for (const UsageRecord& record : records) {
    BindRecord(insert, record);
    TRY(insert.Run());
  }
  return transaction.Commit();
}

}  // namespace baleen::ledger

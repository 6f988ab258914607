#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "ledger/database.h"
#include "ledger/usage.h"

namespace baleen::ledger {

/// Writes records in a thread of its own: all that wait go into one transaction, so that one sync of the disk serves many.
class RecordWriter {
 public:
  using Records = std::vector<UsageRecord>;

  /// after_commit is called by the thread behind every transaction that is on disk and before the `done`s of its records; `writing` is
  /// locked from the beginning of the transaction to the end of after_commit.
  RecordWriter(std::unique_ptr<Database> database, std::mutex& writing, std::function<void(const Records&)> after_commit);
  /// Writes what waits.
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  void Add(UsageRecord record, std::function<void(Status)> done);

 private:
  void Run();
  Status Write(const Records& records);

  std::unique_ptr<Database> database_;
  std::mutex& writing_;
  std::function<void(const Records&)> after_commit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Records waiting_;
  std::vector<std::function<void(Status)>> waiting_done_;
  bool ending_ = false;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace baleen::ledger

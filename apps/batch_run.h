#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "apps/batch_lines.h"
#include "apps/batch_request.h"
#include "completion/completion.h"
#include "diagnostics/progress.h"
#include "diagnostics/result.h"
#include "engine/engine.h"

namespace baleen::apps {

/// How far an earlier run came.
struct Earlier {
  std::uint64_t lines = 0, bytes = 0;  // answers that are whole, and where they end in the file
  std::uint64_t refused = 0;
  bool torn = false;                   // something stands behind them
};

/// Compares the answers of a file with the lines they answer; `input` then stands behind the last of them.
/// Errors: an answer that belongs to another line.
Result<Earlier> CompareWithInput(const std::filesystem::path& answers, LineReader& input);

/// Answers the lines of a file, some of them at once, and appends the answers in the order of the lines.
class BatchRun {
 public:
  /// parallel: choices in the engine at once. All must outlive the run.
  BatchRun(engine::Engine& engine, const completion::ServedModel& model, LineReader& input, GrowingFile& output, std::int64_t parallel, std::int64_t created);

  /// To the end of the input, or to a Ctrl-C (InterruptWatch), after which what is not finished is given up; whole lines only are written.
  /// Errors: the input cannot be read or the output not written.
  Status Run(diagnostics::Progress& progress);

  std::uint64_t served() const noexcept { return served_; }
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  // A line that was read and whose answer is not yet written.
  struct Entry {
    std::uint64_t number = 0;
    LineKey key;
    std::optional<std::string> custom_id;
    std::unique_ptr<completion::Completion> running;  // null once `answer` is there
    std::string answer;
  };

  Status ReadAhead();
  void Begin(BatchLine line);
  void Refuse(Entry& entry, const completion::RequestError& error);
  void CollectDone();
  Status WriteDone(diagnostics::Progress& progress);
  void GiveUp();
  std::int64_t Running() const noexcept;

  engine::Engine& engine_;
  completion::EngineCalls calls_;
  const completion::ServedModel& model_;
  LineReader& input_;
  GrowingFile& output_;
  std::int64_t parallel_, created_;
  bool input_ended_ = false;
  std::deque<Entry> window_;  // in the order of the lines
  std::uint64_t served_ = 0, refused_ = 0;
};

}  // namespace baleen::apps

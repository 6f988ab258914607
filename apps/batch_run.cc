#include "apps/batch_run.h"

#include <algorithm>
#include <chrono>

#include "apps/interrupt.h"
#include "completion/openai_response.h"

namespace baleen::apps {
namespace {

// Lines that may wait for an earlier one to be answered, for each that runs.
constexpr std::size_t kWindow = 8;

// A file that is nothing but a line without its end is taken for the beginning of an answer only if it may be one: else it is somebody's.
bool IsTornAnswer(std::string_view text) {
  const std::string start = AnswerStart({}).substr(0, AnswerStart({}).find("batch_req_"));
  return text.starts_with(start) || start.starts_with(text);
}

}  // namespace

Result<Earlier> CompareWithInput(const std::filesystem::path& answers, LineReader& input) {
  TRY_ASSIGN(LineReader reader, LineReader::Open(answers, kAnswerStartBytes));
  Earlier earlier;
  while (true) {
    TRY_ASSIGN(const std::optional<LineReader::Line> answer, reader.Next());
    earlier.torn = answer && !answer->ended;
    if (!answer || (earlier.torn && (earlier.lines > 0 || IsTornAnswer(answer->text)))) return earlier;
    TRY_ASSIGN(const std::optional<LineReader::Line> line, input.NextFilled());
    if (earlier.torn || !line || !answer->text.starts_with(AnswerStart(MakeLineKey(line->number, line->text)))) {
      return diagnostics::InvalidInput(diagnostics::Quoted(answers.string(), 300) + " line " + std::to_string(answer->number) + ": expected the answer to " +
                                       (line ? "line " + std::to_string(line->number) + " of the input" : std::string("a line of the input, which has no more")) +
                                       ", found something else; the file is of another input: choose another --out, or remove it");
    }
    ++earlier.lines;
    earlier.bytes = answer->end;
    earlier.refused += !WasServed(answer->text);
  }
}

BatchRun::BatchRun(engine::Engine& engine, const completion::ServedModel& model, LineReader& input, GrowingFile& output, std::int64_t parallel,
                   std::int64_t created)
    : engine_(engine),
      calls_{.submit = [&engine](engine::Request request) { return engine.Submit(std::move(request)); }, .cancel = [&engine](engine::RequestId id) { engine.Cancel(id); }},
      model_(model),
      input_(input),
      output_(output),
      parallel_(parallel),
      created_(created) {}

std::int64_t BatchRun::Running() const noexcept {
  std::int64_t running = 0;
  for (const Entry& entry : window_) running += entry.running == nullptr ? 0 : entry.running->running();
  return running;
}

void BatchRun::Refuse(Entry& entry, const completion::RequestError& error) {
  entry.answer = WriteAnswerLine(entry.number, entry.key, entry.custom_id, error.status, completion::WriteOpenAiError(error));
  entry.running.reset();
  ++refused_;
}

void BatchRun::Begin(BatchLine line) {
  Entry& entry = window_.emplace_back(Entry{.number = line.number, .key = line.key, .custom_id = std::move(line.custom_id), .running = nullptr, .answer = {}});
  if (!line.request) return Refuse(entry, line.request.error());
  auto started = completion::Completion::Start(calls_, model_, *std::move(line.request), entry.key.seed);
  if (!started) return Refuse(entry, started.error());
  entry.running = *std::move(started);
}

Status BatchRun::ReadAhead() {
  while (!input_ended_ && Running() < parallel_ && window_.size() < static_cast<std::size_t>(parallel_) * kWindow) {
    TRY_ASSIGN(std::optional<LineReader::Line> line, input_.NextFilled());
    if (!line) {
      input_ended_ = true;
    } else {
      Begin(ReadBatchLine(line->number, line->text, line->too_long, model_.vocab_size));
    }
  }
  return {};
}

void BatchRun::CollectDone() {
  for (Entry& entry : window_) {
    if (entry.running == nullptr || !entry.running->done()) continue;
    if (const auto& failure = entry.running->failure()) {
      Refuse(entry, completion::RequestError(*failure));
      continue;
    }
    const bool chat = entry.running->request().kind == completion::CompletionRequest::Kind::kChat;
    const completion::ResponseNames names{.id = (chat ? "chatcmpl-" : "cmpl-") + entry.key.text, .created = created_};
    entry.answer = WriteAnswerLine(entry.number, entry.key, entry.custom_id, 200, completion::WriteOpenAiBody(*entry.running, model_, names));
    entry.running.reset();
    ++served_;
  }
}

Status BatchRun::WriteDone(diagnostics::Progress& progress) {
  for (; !window_.empty() && window_.front().running == nullptr; window_.pop_front()) {
    TRY(output_.Append(window_.front().answer));
    progress.Advance(1);
  }
  return {};
}

// The engine calls back into what runs until it has ended.
void BatchRun::GiveUp() {
  for (Entry& entry : window_) {
    if (entry.running != nullptr) entry.running->Cancel();
  }
  while (Running() > 0) engine_.Step();
}

Status BatchRun::Run(diagnostics::Progress& progress) {
  Status status;
  while (status && !InterruptWatch::Seen()) {
    status = ReadAhead();
    CollectDone();
    if (status) status = WriteDone(progress);
    if (window_.empty() && input_ended_) break;
    if (Running() > 0 && !engine_.Step()) engine_.Wait(std::chrono::milliseconds(1));
  }
  GiveUp();
  return status;
}

}  // namespace baleen::apps

// baleen batch: a file of requests in OpenAI's batch format, answered line by line.

#include <sys/stat.h>

#include <memory>

#include "apps/batch_lines.h"
#include "apps/batch_run.h"
#include "apps/commands.h"
#include "apps/engine_flags.h"
#include "apps/interrupt.h"
#include "apps/sampling_flags.h"
#include "diagnostics/log.h"
#include "library/answer_defaults.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;

struct BatchFlags {
  ModelFlags model;
  EngineFlags engine;
  std::string input, output, encoding = "0731";
};

/// What there is to do.
struct Work {
  std::uint64_t lines = 0;    // of the input
  Earlier earlier;
  std::int64_t created = 0;   // the input's time of change: a run that is taken up again gives the same
  bool finished = false;      // the output is already whole
};

std::string Named(const std::string& path) { return diagnostics::Quoted(path, 300); }

Status CheckPaths(const BatchFlags& flags) {
  std::error_code code;
  const std::filesystem::path output(flags.output), partial = GrowingFile::PartialPath(output);
  if (!output.has_filename()) return InvalidInput("--out: expected the name of a file, found '" + Named(flags.output) + "'");
  for (const std::filesystem::path& path : {output, partial}) {
    const std::filesystem::file_status status = std::filesystem::status(path, code);
    if (!std::filesystem::exists(status)) continue;
    if (!std::filesystem::is_regular_file(status)) return InvalidInput("--out: " + Named(path.string()) + ": expected a file or nothing, found something else");
    if (std::filesystem::equivalent(path, flags.input, code)) return InvalidInput("--out: expected another file than the input, found " + Named(path.string()));
  }
  return {};
}

// An output that is there must be of this input. One that is not whole becomes the partial file again.
Result<bool> IsFinished(const BatchFlags& flags) {
  std::error_code code;
  if (!std::filesystem::exists(flags.output, code)) return false;
  TRY_ASSIGN(LineReader input, LineReader::Open(flags.input, kMostLineBytes));
  TRY_ASSIGN(const Earlier earlier, CompareWithInput(flags.output, input));
  TRY_ASSIGN(const std::optional<LineReader::Line> more, input.NextFilled());
  if (!more && !earlier.torn) return true;
  const std::filesystem::path partial = GrowingFile::PartialPath(flags.output);
  if (!std::filesystem::exists(partial, code)) std::filesystem::rename(flags.output, partial, code);
  if (code) return diagnostics::ResourceError(Named(flags.output) + " cannot be renamed: " + code.message());
  return false;
}

// Reads what an earlier run left; `input` stands behind the lines it answered.
Result<Work> FindWork(const BatchFlags& flags, LineReader& input) {
  Work work;
  TRY_ASSIGN(work.finished, IsFinished(flags));
  if (work.finished) return work;
  struct stat about = {};
  if (stat(flags.input.c_str(), &about) == 0) work.created = about.st_mtim.tv_sec;
  TRY_ASSIGN(work.lines, CountFilledLines(flags.input));
  std::error_code code;
  const std::filesystem::path partial = GrowingFile::PartialPath(flags.output);
  if (!std::filesystem::exists(partial, code)) return work;
  TRY_ASSIGN(work.earlier, CompareWithInput(partial, input));
  return work;
}

Result<completion::ServedModel> Serve(const BatchFlags& flags, const library::OpenedModel& opened, const text::Tokenizer& tokenizer, std::int64_t context) {
  SamplingFlags sampling;
  sampling.encoding = flags.encoding;
  TRY_ASSIGN(Settings settings, MakeSettings(sampling, opened.folder, opened.checkpoint->config(), &tokenizer));
  completion::ServedModel model;
  model.name = std::filesystem::weakly_canonical(opened.folder).filename().string();
  model.tokenizer = &tokenizer;
  model.vocab_size = opened.checkpoint->config().vocab_size;
  model.context = context;
  model.encoding = settings.encoding;
  model.sampling = settings.sampling;
  model.allowed = std::move(settings.allowed);
  model.end_ids = std::move(settings.end_ids);
  return model;
}

Status Answer(const BatchFlags& flags, const Work& work, LineReader& input, GrowingFile& output, std::uint64_t& refused) {
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(flags.model));
  TRY_ASSIGN(const text::Tokenizer tokenizer, library::LoadTokenizer(opened.folder));
  TRY_ASSIGN(library::RunningEngine open, StartEngine(std::move(opened), flags.model, flags.engine));
  TRY_ASSIGN(completion::ServedModel model, Serve(flags, open.model, tokenizer, open.options.context));
  Result<std::unique_ptr<constraint::Compiler>> compiler = constraint::Compiler::Create(tokenizer, model.vocab_size, model.end_ids);
  model.compiler = compiler ? compiler->get() : nullptr;
  if (!compiler) model.no_compiler_reason = compiler.error().message;
  const InterruptWatch watch(InterruptWatch::Signals::kEveryStop);
  BatchRun run(*open.engine, model, input, output, flags.engine.parallel, work.created);
  diagnostics::Progress progress("batch", work.lines, "requests");
  progress.Advance(work.earlier.lines);
  const Status status = run.Run(progress);
  open.engine->Shutdown();  // what the cache has not yet written is written now
  refused += run.refused();
  const std::uint64_t done = work.earlier.lines + run.served() + run.refused();
  if (status && InterruptWatch::Seen()) {
    return diagnostics::ResourceError("stopped by Ctrl-C or a signal after " + std::to_string(done) + " of " + std::to_string(work.lines) + " requests; the answers are in " +
                                      Named(GrowingFile::PartialPath(flags.output).string()) + ": run the same command again to go on");
  }
  return status;
}

Status Batch(const BatchFlags& flags) {
  TRY_ASSIGN(LineReader input, LineReader::Open(flags.input, kMostLineBytes));
  TRY(CheckPaths(flags));
  TRY_ASSIGN(const Work work, FindWork(flags, input));
  if (work.finished) {
    diagnostics::Note(Named(flags.output) + " is finished already: it is left as it is");
    return {};
  }
  TRY_ASSIGN(GrowingFile output, GrowingFile::Open(flags.output));
  TRY(output.Keep(work.earlier.bytes));
  if (work.earlier.lines > 0) diagnostics::Note("going on after " + std::to_string(work.earlier.lines) + " requests that are answered already");
  std::uint64_t refused = work.earlier.refused;
  if (work.earlier.lines < work.lines) TRY(Answer(flags, work, input, output, refused));
  TRY(output.Finish());
  if (refused == 0) return {};
  return InvalidInput(std::to_string(refused) + " of " + std::to_string(work.lines) + " requests were refused; their answers in " + Named(flags.output) +
                      " say why (response.body.error)");
}

}  // namespace

void AddBatchCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<BatchFlags>();
  CLI::App* command = app.add_subcommand("batch", "Answer a file of requests in OpenAI's batch format, many at once, in the order of the lines.");
  command->add_option("input", flags->input, "IN.jsonl: a line for each request: {custom_id, method, url, body}")->required();
  command->add_option("--out", flags->output, "OUT.jsonl: a line for each answer; it grows as OUT.jsonl.partial and is renamed when it is whole")->required();
  AddModelFlags(*command, flags->model, true);
  AddEngineFlags(*command, flags->engine);
  command->add_option("--encoding", flags->encoding, "april (preview releases) or 0731 (since)")->check(CLI::IsMember({"april", "0731"}))->capture_default_str();
  command->footer(
      "A run that was stopped, by Ctrl-C or by a crash, goes on when the same command is given again; a finished output is left as it is.\n"
      "Requests without a seed draw from one made of their line, so every run gives the same answers; created is the\n"
      "time of change of IN.jsonl. Blank lines are skipped.\n"
      "Exit codes: 0 every request was served; 2 some were refused (the others are answered); 5 stopped.\n\nExamples:\n"
      "  baleen batch questions.jsonl --out answers.jsonl\n"
      "  baleen batch questions.jsonl --out answers.jsonl --model DIR --parallel 32 --cache-dir ~/.cache/baleen --draft auto\n\n"
      "A line: {\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\",\n"
      "         \"body\": {\"messages\": [{\"role\": \"user\", \"content\": \"35+4\"}], \"thinking\": {\"type\": \"disabled\"}}}");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return Batch(*flags); }); });
}

}  // namespace baleen::apps

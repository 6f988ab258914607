// baleen bench model: what opening, memory, prefill and decode cost at growing contexts, and where the time goes, measured in one run.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "apps/commands.h"
#include "apps/measure.h"
#include "apps/model_report.h"
#include "apps/open_model.h"

namespace baleen::apps {
namespace {

struct BenchModelFlags {
  ModelFlags model;
  std::vector<std::int64_t> contexts;  // empty: kContexts, as far as the model goes
  std::int64_t prompt = 0;             // one context; 0 = contexts
  std::int64_t chunk = 0;  // 0 = as chat and generate choose it
  ModelRunPlan plan;
  std::string csv, html;
  bool json = false;
};

constexpr std::int64_t kContexts[] = {256, 1024, 4096};

/// A field of /proc/self/smaps_rollup in bytes: "Rss" counts resident pages, "Anonymous" those of no file. (The Rss lines of
/// /proc/self/status lag by up to 64 pages a thread.)
std::uint64_t ResidentBytes(const std::string& field) {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string name; rollup >> name;) {
    std::uint64_t kib = 0;
    if (name == field + ":" && rollup >> kib) return 1024 * kib;
    std::getline(rollup, name);
  }
  return 0;
}

/// The contexts of a run. Errors: not rising far enough, or beyond what the model allows.
Result<std::vector<std::int64_t>> ContextsOf(const BenchModelFlags& flags, std::int64_t most) {
  std::vector<std::int64_t> contexts = flags.contexts;
  if (flags.prompt > 0) contexts = {flags.prompt};
  if (contexts.empty()) {
    for (const std::int64_t context : kContexts) {
      if (context + flags.plan.decode <= most && (contexts.empty() || context > contexts.back() + flags.plan.decode)) contexts.push_back(context);
    }
    if (contexts.empty()) contexts.push_back(std::max<std::int64_t>(1, most - flags.plan.decode));
  }
  const char* flag = flags.prompt > 0 ? "--prompt" : "--contexts";
  std::int64_t end = 0;
  for (const std::int64_t context : contexts) {
    if (context <= end) {
      return diagnostics::InvalidInput(std::string(flag) + ": expected each context above the one before and its " + std::to_string(flags.plan.decode) + " decoded tokens (" +
                                       std::to_string(end) + "), found " + std::to_string(context) + "; leave it out, or give a smaller --decode");
    }
    end = context + flags.plan.decode;
  }
  if (end > most) {
    return diagnostics::InvalidInput(std::string(flag) + ": expected at most " + std::to_string(most) + " tokens with --decode, as the model's max_position_embeddings says, found " +
                                     std::to_string(end) + "; give a shorter context or a smaller --decode");
  }
  return contexts;
}

Status RunBenchModel(const BenchModelFlags& flags) {
  if (!std::isfinite(flags.plan.seconds)) return diagnostics::InvalidInput("--seconds: expected a number from 0.1 up, found none");
  ModelFlags quiet = flags.model;
  quiet.verify = false;  // it would read every weight, which is what "open" must not
  ModelReport report{.model = {}, .arithmetic = {}, .runs = {}};
  const std::uint64_t files_before = ResidentBytes("Rss") - ResidentBytes("Anonymous");
  auto start = std::chrono::steady_clock::now();
  TRY_ASSIGN(library::OpenedModel opened, OpenCheckpoint(quiet));
  report.open_seconds = Since(start);
  const std::uint64_t files = ResidentBytes("Rss") - ResidentBytes("Anonymous");
  report.resident_after_open = files - std::min(files_before, files);
  report.mapped_bytes = opened.checkpoint->TotalBytes();
  report.model = opened.folder.string();
  report.arithmetic = ArithmeticName(opened.arithmetic);

  ModelRunPlan plan = flags.plan;
  TRY_ASSIGN(plan.contexts, ContextsOf(flags, opened.checkpoint->config().max_positions));
  plan.vocab = opened.checkpoint->config().vocab_size;
  start = std::chrono::steady_clock::now();
  const std::uint64_t before = ResidentBytes("Anonymous");
  const std::int64_t context = plan.contexts.back() + plan.decode;
  TRY(LoadTransformer(opened, quiet, {.rows = flags.chunk > 0 ? std::min(plan.contexts.back(), flags.chunk) : PrefillRows(opened, plan.contexts.back()), .context = context, .logit_rows = 1, .segments = 1}));
  TRY_ASSIGN(kvcache::Sequence sequence, kvcache::Sequence::Create(opened.transformer->cache_layout(), context));
  report.load_seconds = Since(start);
  WarmUp(*opened.transformer, sequence, plan);
  report.taken_bytes = ResidentBytes("Anonymous") - std::min(before, ResidentBytes("Anonymous"));
  report.planned_bytes = opened.transformer->memory_plan().BeyondWeights(1) + opened.transformer->memory_plan().packed_weights;
  report.packed_bytes = opened.transformer->memory_plan().packed_weights;
  report.packing_seconds = opened.transformer->packing_seconds();
  TRY_ASSIGN(report.runs, RunModel(*opened.transformer, *opened.device, sequence, plan));
  if (!flags.csv.empty()) TRY(WriteReport(flags.csv, ModelCsv(report)));
  if (!flags.html.empty()) TRY(WriteReport(flags.html, ModelPage(report)));
  std::fputs((flags.json ? ModelJson(report) : ModelText(report)).c_str(), stdout);
  return {};
}

}  // namespace

void AddBenchModelCommand(CLI::App& bench, int& exit_code) {
  auto flags = std::make_shared<BenchModelFlags>();
  CLI::App* command = bench.add_subcommand("model", "Opening, memory against the plan, prefill and decode at growing contexts, and where their time goes");
  AddModelFlags(*command, flags->model, true);
  const auto size = CLI::Range(std::int64_t{1}, std::int64_t{1} << 21);
  CLI::Option* contexts = command->add_option("--contexts", flags->contexts, "Tokens of context at which prefill and decode are measured, rising (default: 256,1024,4096, as far as the model goes)");
  contexts->delimiter(',')->check(size);
  command->add_option("--prompt", flags->prompt, "One context only: so many tokens of prompt")->check(size)->excludes(contexts);
  command->add_option("--decode", flags->plan.decode, "Tokens decoded at each context")->check(size)->capture_default_str();
  command->add_option("--chunk", flags->chunk, "Tokens of prompt a step (default: up to 2048, as memory allows)")->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 16));
  command->add_option("--repeats", flags->plan.repeats, "Timed passes after one that warms up and one that is watched (0: a single pass, nothing watched); medians are printed")
      ->check(CLI::Range(0, 1000))->capture_default_str();
  command->add_option("--seconds", flags->plan.seconds, "Bound of the measuring: what is not reached by then is left out")->check(CLI::Range(0.1, 360000.0))->capture_default_str();
  command->add_option("--csv", flags->csv, "Write the lines and operations to this file");
  command->add_option("--html", flags->html, "Write a page with pictures and tables to this file");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer("Examples:\n  baleen bench model\n  baleen bench model --contexts 512,8192,65536 --decode 16 --html model.html\n  baleen bench model --model flash-4 --threads 2 --prompt 512 --json\n");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return RunBenchModel(*flags); }); });
}

}  // namespace baleen::apps

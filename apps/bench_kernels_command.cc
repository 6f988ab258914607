// baleen bench kernels: every kernel on the model's shapes against what the machine reads and multiplies at most, measured in the same run.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "apps/commands.h"
#include "apps/kernel_cases.h"
#include "apps/kernel_clock.h"
#include "apps/kernel_report.h"
#include "apps/machine_peaks.h"
#include "apps/measure.h"
#include "diagnostics/progress.h"
#include "library/open_model.h"

namespace baleen::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kFewestRounds = 3, kMostRounds = 60;

struct BenchKernelsFlags {
  CaseFilter filter;
  int threads = 0;
  double seconds = 30;
  std::string csv, svg;
  bool json = false;
};

/// Rounds of one repetition of every case, until the time is over.
std::vector<std::vector<Repetition>> Measure(KernelClock& clock, const std::vector<KernelCase>& cases, double seconds) {
  std::vector<std::vector<Repetition>> repetitions(cases.size());
  const Clock::time_point begin = Clock::now();
  const auto total = static_cast<std::uint64_t>(1000 * seconds);
  std::uint64_t shown = 0;
  diagnostics::Progress progress("bench kernels", total, "ms");
  for (std::int64_t round = 0; round < kMostRounds; ++round) {
    const double spent = Since(begin);
    if (round >= kFewestRounds && spent + spent / static_cast<double>(round) > seconds) break;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      repetitions[i].push_back(clock.Time([&](int thread) { cases[i].run(thread, round); }));
    }
    const std::uint64_t now = std::min(total, static_cast<std::uint64_t>(1000 * Since(begin)));
    progress.Advance(now - shown);
    shown = now;
  }
  progress.Advance(total - shown);
  return repetitions;
}

KernelFigures FiguresOf(const KernelCase& measured, const std::vector<Repetition>& repetitions, const KernelClock& clock, const MachineFigures& machine, std::uint64_t hash) {
  const Counted counted = Count(repetitions, clock.best_probe());
  KernelFigures line{.op = measured.op, .format = measured.format, .isa = std::string(hardware::IsaName(measured.isa)), .arithmetic = measured.arithmetic, .place = measured.place,
                     .rows = measured.rows, .n = measured.n, .k = measured.k, .threads = machine.threads, .seconds = counted.seconds, .clean = counted.clean,
                     .repetitions = static_cast<std::int64_t>(repetitions.size()), .fast = counted.fast, .hash = hash};
  line.of_bandwidth = measured.bytes / counted.seconds / machine.read_bytes_per_second;
  line.of_tile_rate = measured.flops / counted.seconds / machine.tile_flops;
  line.items_per_second = static_cast<double>(measured.items) / counted.seconds;
  return line;
}

Status RunBenchKernels(const BenchKernelsFlags& flags) {
  if (!std::isfinite(flags.seconds)) return diagnostics::InvalidInput("--seconds: expected a number from 0.1 up, found none");
  TRY_ASSIGN(const hardware::Isa isa, hardware::IsaFromEnvironment());
  TRY_ASSIGN(const int threads, library::ThreadsOf(flags.threads));
  const kernels::Peaks& peaks = kernels::TableFor(isa).peaks;
  TRY_ASSIGN(const WeightPool pool, WeightPool::Create());
  TRY_ASSIGN(std::vector<hardware::Region> operands, PeakOperands(threads));
  hardware::Workers workers(threads);
  KernelClock clock(workers, peaks);
  std::vector<KernelCase> cases = PeakCases(peaks, workers.threads(), pool, operands);
  const std::size_t first = cases.size();
  for (KernelCase& made : MakeKernelCases(isa, workers.threads(), pool, flags.filter)) cases.push_back(std::move(made));
  if (cases.size() == first) return diagnostics::InvalidInput("--op, --format, --rows: no kernel is left; leave one of them out");
  std::vector<std::uint64_t> hashes(cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    workers.Run(workers.threads(), [&](std::int64_t part, int) noexcept { cases[i].run(static_cast<int>(part), 0); });
    if (i >= first) hashes[i] = cases[i].hash();
  }
  const auto repetitions = Measure(clock, cases, flags.seconds);
  const MachineFigures machine = MachineOf(peaks, isa, workers.threads(), clock, cases, repetitions);
  std::vector<KernelFigures> lines;
  for (std::size_t i = first; i < cases.size(); ++i) lines.push_back(FiguresOf(cases[i], repetitions[i], clock, machine, hashes[i]));
  if (!flags.csv.empty()) TRY(WriteReport(flags.csv, KernelCsv(lines)));
  if (!flags.svg.empty()) TRY(WriteReport(flags.svg, KernelSvg(machine, lines)));
  std::fputs((flags.json ? KernelJson(machine, lines) : KernelText(machine, lines)).c_str(), stdout);
  return {};
}

}  // namespace

void AddBenchKernelsCommand(CLI::App& bench, int& exit_code) {
  auto flags = std::make_shared<BenchKernelsFlags>();
  CLI::App* command = bench.add_subcommand("kernels", "Every kernel against what this machine reads and multiplies at most");
  command->add_option("--op", flags->filter.ops, "Only these: linear, attend, index_score, top_k")->check(CLI::IsMember({"linear", "attend", "index_score", "top_k"}));
  command->add_option("--format", flags->filter.formats, "Only these: bf16, fp8, mxfp4, int8 (weights, keys), packed (cached rows), f32 (scores)")
      ->check(CLI::IsMember({"bf16", "fp8", "mxfp4", "int8", "packed", "f32"}));
  command->add_option("--rows", flags->filter.rows, "Linear layers of only so many rows: 1, 4, 8, 16, 32, 64, 128, 256")->check(CLI::Range(std::int64_t{1}, std::int64_t{256}));
  command->add_option("--threads", flags->threads, "Threads (default: BALEEN_THREADS, else every core)")->check(CLI::Range(1, library::kMostThreads));
  command->add_option("--seconds", flags->seconds, "Time of the measuring, at least three rounds")->check(CLI::Range(0.1, 36000.0))->capture_default_str();
  command->add_option("--csv", flags->csv, "Write the lines to this file");
  command->add_option("--svg", flags->svg, "Write a picture of them to this file");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer("Examples:\n  baleen bench kernels\n  baleen bench kernels --op linear --format mxfp4 --rows 1 --seconds 10 --json\n  baleen bench kernels --threads 1 --svg kernels.svg");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return RunBenchKernels(*flags); }); });
}

}  // namespace baleen::apps

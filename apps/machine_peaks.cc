#include "apps/machine_peaks.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "apps/add_text.h"
#include "apps/measure.h"

namespace baleen::apps {
namespace {

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0 && line.find(':') != std::string::npos) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

}  // namespace

Result<std::vector<hardware::Region>> PeakOperands(int threads) {
  std::vector<hardware::Region> operands;
  for (int thread = 0; thread < threads; ++thread) {
    TRY_ASSIGN(hardware::Region region, hardware::Region::Allocate(kernels::kPeakBytes, "the operands of a peak"));
    operands.push_back(std::move(region));
  }
  return operands;
}

std::vector<KernelCase> PeakCases(const kernels::Peaks& peaks, int threads, const WeightPool& pool, std::vector<hardware::Region>& operands) {
  constexpr std::int64_t kLoops = 20;
  KernelCase read{.op = "read", .format = {}, .arithmetic = {}, .place = "ram"}, multiply{.op = "multiply", .format = {}, .arithmetic = {}, .place = "l1"};
  const auto bytes = static_cast<std::int64_t>(pool.region().size()) / 4 / threads / 32768 * 32768;
  read.bytes = static_cast<double>(bytes * threads);
  read.run = [bytes, threads, &pool, &peaks](int thread, std::int64_t repetition) {
    [[maybe_unused]] volatile std::uint64_t seen = peaks.read(pool.region().data() + (repetition % 4 * threads + thread) * bytes, bytes);
  };
  multiply.flops = peaks.flops * static_cast<double>(peaks.steps * kLoops * threads);
  multiply.run = [&peaks, &operands](int thread, std::int64_t) { peaks.multiply(kLoops * peaks.steps, operands[static_cast<std::size_t>(thread)].data()); };
  return {read, multiply};
}

MachineFigures MachineOf(const kernels::Peaks& peaks, hardware::Isa isa, int threads, const KernelClock& clock, const std::vector<KernelCase>& cases,
                         const std::vector<std::vector<Repetition>>& repetitions) {
  MachineFigures machine{.cpu = CpuName(), .isa = std::string(hardware::IsaName(isa)), .tile_instruction = peaks.instruction, .threads = threads};
  machine.read_bytes_per_second = cases[0].bytes / Count(repetitions[0], clock.best_probe()).seconds;
  machine.tile_flops = cases[1].flops / Count(repetitions[1], clock.best_probe()).seconds;
  machine.probe_best_seconds = clock.best_probe();
  std::vector<double> probes;
  std::int64_t fast = 0;
  for (const auto& of_case : repetitions) {
    for (const Repetition& repetition : of_case) {
      if (!repetition.clean) continue;
      probes.push_back(repetition.probe);
      fast += IsFast(repetition, clock.best_probe());
    }
  }
  if (probes.empty()) return machine;
  machine.fast_share = static_cast<double>(fast) / static_cast<double>(probes.size());
  machine.probe_median_seconds = Median(std::move(probes));
  machine.fast = machine.fast_share > 0.5;
  return machine;
}

nlohmann::ordered_json MachineJson(const MachineFigures& machine) {
  return {{"cpu", machine.cpu}, {"isa", machine.isa}, {"threads", machine.threads}, {"probe", machine.fast ? "fast" : "slow"}, {"fast_share", machine.fast_share},
          {"probe_best_seconds", machine.probe_best_seconds}, {"probe_median_seconds", machine.probe_median_seconds},
          {"read_bytes_per_s", machine.read_bytes_per_second}, {"tile_bf16_flops", machine.tile_flops}, {"tile_instruction", machine.tile_instruction}};
}

std::string MachineText(const MachineFigures& machine) {
  std::string text;
  AddLine(text, "%s, %s, %d threads; probe %s (%.0f %% of the clean repetitions are fast; median %.1f us, best %.1f us)", machine.cpu.c_str(), machine.isa.c_str(), machine.threads,
          machine.fast ? "fast" : "slow", 100 * machine.fast_share, 1e6 * machine.probe_median_seconds, 1e6 * machine.probe_best_seconds);
  AddLine(text, "  B, read from memory        %8.1f GB/s", machine.read_bytes_per_second / 1e9);
  AddLine(text, "  R, %-22s %8.1f GFLOP/s", machine.tile_instruction.c_str(), machine.tile_flops / 1e9);
  return text;
}

}  // namespace baleen::apps

#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "apps/kernel_cases.h"
#include "apps/kernel_clock.h"

namespace baleen::apps {

/// What the machine does at most, measured beside the rest in the same run.
struct MachineFigures {
  std::string cpu, isa, tile_instruction;
  int threads = 0;
  bool fast = false;                // the probes of most repetitions were near the best one
  double fast_share = 0;            // of the clean repetitions
  double probe_best_seconds = 0, probe_median_seconds = 0;
  double read_bytes_per_second = 0; // B: eight streams a thread, from memory
  double tile_flops = 0;            // R: tile_instruction from the first cache, all threads
};

/// What the threads multiply for the second peak. Errors: memory.
Result<std::vector<hardware::Region>> PeakOperands(int threads);

/// The two peaks as cases, reading and multiplying: they take their turns among the others. `pool` and `operands` must outlive them.
std::vector<KernelCase> PeakCases(const kernels::Peaks& peaks, int threads, const WeightPool& pool, std::vector<hardware::Region>& operands);

/// The machine from what the clock saw: `cases` and `repetitions` begin with the two peaks.
MachineFigures MachineOf(const kernels::Peaks& peaks, hardware::Isa isa, int threads, const KernelClock& clock, const std::vector<KernelCase>& cases,
                         const std::vector<std::vector<Repetition>>& repetitions);

/// The machine as reports name it.
nlohmann::ordered_json MachineJson(const MachineFigures& machine);
/// The same as lines of text.
std::string MachineText(const MachineFigures& machine);

}  // namespace baleen::apps

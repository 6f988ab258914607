#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/kernel_cases.h"

namespace baleen::apps {

/// What the machine does at most, measured beside the kernels in the same run.
struct MachineFigures {
  std::string cpu, isa, tile_instruction;
  int threads = 0;
  bool fast = false;                // the probes of most repetitions were near the best one
  double fast_share = 0;            // of the clean repetitions
  double probe_best_seconds = 0, probe_median_seconds = 0;
  double read_bytes_per_second = 0; // B: eight streams a thread, from memory
  double tile_flops = 0;            // R: tile_instruction from the first cache, all threads
};

/// One line of `bench kernels`.
struct KernelFigures {
  std::string op, format, isa, arithmetic, place;
  std::int64_t rows = 0, n = 0, k = 0;
  int threads = 0;
  double seconds = 0;
  std::int64_t clean = 0, repetitions = 0;
  bool fast = false;
  double of_bandwidth = 0, of_tile_rate = 0;
  double items_per_second = 0;  // keys or scores, else 0
  std::uint64_t hash = 0;
};

std::string KernelJson(const MachineFigures& machine, const std::vector<KernelFigures>& lines);
std::string KernelCsv(const std::vector<KernelFigures>& lines);
std::string KernelText(const MachineFigures& machine, const std::vector<KernelFigures>& lines);
/// Self-contained picture: a bar for each line, what reads from memory against B, what multiplies against R.
std::string KernelSvg(const MachineFigures& machine, const std::vector<KernelFigures>& lines);

}  // namespace baleen::apps

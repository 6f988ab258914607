#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/machine_peaks.h"

namespace baleen::apps {

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

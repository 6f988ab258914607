#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/model_runs.h"

namespace baleen::apps {

/// Everything that `bench model` found out.
struct ModelReport {
  std::string model, arithmetic;
  double open_seconds = 0, load_seconds = 0;
  std::uint64_t mapped_bytes = 0, resident_after_open = 0;
  std::uint64_t planned_bytes = 0, taken_bytes = 0;  // packed weights included
  std::uint64_t packed_bytes = 0;                    // weights copied at the start; 0 = they are mapped
  double packing_seconds = 0;
  ModelRuns runs;
};

/// What a part or an operation reached of the machine's peaks. The roofline's time is the sum over operations of the longer of bytes / B and
/// operations / R.
struct Shares {
  double of_bandwidth = 0, of_tile_rate = 0, of_roofline = 0;
};

/// A part's least bytes and operations, and the time that the roofline allows for them; zeros where no pass was watched.
struct PartCost {
  double weight_bytes = 0, cache_bytes = 0, flops = 0, roofline_seconds = 0;
};
PartCost CostOfPart(const ModelPart& part, const MachineFigures& machine);
Shares SharesOf(const ModelPart& part, const MachineFigures& machine);
Shares SharesOf(const OpCount& count, const MachineFigures& machine);

/// The operations of a part of the same name as one, the longest first.
std::vector<OpCount> ByName(const std::vector<OpCount>& operations);

std::string ModelJson(const ModelReport& report);
/// A line for each part ("all") and each operation of it.
std::string ModelCsv(const ModelReport& report);
std::string ModelText(const ModelReport& report);
/// A page that needs nothing else: tokens a second over the context, where the time goes, tables.
std::string ModelPage(const ModelReport& report);

}  // namespace baleen::apps

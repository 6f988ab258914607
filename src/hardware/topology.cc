#include "hardware/topology.h"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <memory>

namespace baleen::hardware {
namespace {

struct Destroy {
  void operator()(hwloc_topology_t topology) const noexcept { hwloc_topology_destroy(topology); }
  void operator()(hwloc_bitmap_t bitmap) const noexcept { hwloc_bitmap_free(bitmap); }
};
using Hardware = std::unique_ptr<hwloc_topology, Destroy>;
using Bitmap = std::unique_ptr<hwloc_bitmap_s, Destroy>;

/// Knows cores, hardware threads and nodes only, and asks nothing that would move the calling thread.
Hardware Begin() {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING | HWLOC_TOPOLOGY_FLAG_NO_DISTANCES | HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS |
                                         HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
  return Hardware(topology);
}

/// The node of a core: the first of those it is local to, as memory that is slower or not for all stands behind a core's own.
int NodeOf(hwloc_topology_t hardware, hwloc_obj_t core, std::vector<int>& nodes) {
  int number = 0;
  for (hwloc_obj_t node = nullptr; (node = hwloc_get_next_obj_by_type(hardware, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    if (core->nodeset == nullptr || hwloc_bitmap_isset(core->nodeset, node->os_index) == 0) continue;
    number = static_cast<int>(node->os_index);
    break;
  }
  const auto at = std::find(nodes.begin(), nodes.end(), number);
  if (at == nodes.end()) nodes.push_back(number);
  return static_cast<int>(std::find(nodes.begin(), nodes.end(), number) - nodes.begin());
}

Topology Read(hwloc_topology_t hardware, hwloc_const_bitmap_t allowed) {
  Topology topology;
  const hwloc_obj_type_t kind = hwloc_get_nbobjs_by_type(hardware, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  for (hwloc_obj_t core = nullptr; (core = hwloc_get_next_obj_by_type(hardware, kind, core)) != nullptr;) {
    Core found;
    for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_inside_cpuset_by_type(hardware, core->cpuset, HWLOC_OBJ_PU, pu)) != nullptr;) {
      if (allowed == nullptr || hwloc_bitmap_isset(allowed, pu->os_index) != 0) found.processors.push_back(static_cast<int>(pu->os_index));
    }
    if (found.processors.empty()) continue;
    found.node = NodeOf(hardware, core, topology.nodes);
    topology.cores.push_back(std::move(found));
  }
  std::stable_sort(topology.cores.begin(), topology.cores.end(), [](const Core& a, const Core& b) { return a.node < b.node; });
  return topology;
}

Topology FlatTopology() {
  Topology topology{.nodes = {0}, .cores = {}};
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) CPU_SET(0, &mask);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &mask)) topology.cores.push_back({.node = 0, .processors = {processor}});
  }
  return topology;
}

/// How many of a team's threads each node gets of `level`: the cores' first hardware threads are level 0.
struct NodeShare {
  std::vector<std::vector<int>> cores;  // of each level: indices of the cores that have so many hardware threads
  std::vector<int> taken;               // of each level
};

std::vector<NodeShare> EmptyShares(const Topology& topology) {
  std::vector<NodeShare> shares(topology.nodes.size());
  for (std::size_t c = 0; c < topology.cores.size(); ++c) {
    const Core& core = topology.cores[c];
    NodeShare& share = shares[static_cast<std::size_t>(core.node)];
    if (share.cores.size() < core.processors.size()) share.cores.resize(core.processors.size());
    for (std::size_t level = 0; level < core.processors.size(); ++level) share.cores[level].push_back(static_cast<int>(c));
    share.taken.resize(share.cores.size(), 0);
  }
  return shares;
}

/// The node whose share of the level would be the least filled with one more; null where the level is full everywhere.
NodeShare* LeastFilled(std::vector<NodeShare>& shares, std::size_t level) {
  NodeShare* best = nullptr;
  const auto size = [&](const NodeShare& s) { return static_cast<std::int64_t>(s.cores[level].size()); };
  for (NodeShare& share : shares) {
    if (share.cores.size() <= level || share.taken[level] == size(share)) continue;
    if (best == nullptr || (share.taken[level] + 1) * size(*best) < (best->taken[level] + 1) * size(share)) best = &share;
  }
  return best;
}

void Fill(std::vector<NodeShare>& shares, int threads) {
  std::size_t level = 0;
  for (int given = 0; given < threads;) {
    NodeShare* share = LeastFilled(shares, level);
    if (share == nullptr) {
      ++level;
      continue;
    }
    ++share->taken[level];
    ++given;
  }
}

/// The processors of a node's threads: evenly spaced cores of each level, those of one core beside each other.
std::vector<int> ProcessorsOf(const NodeShare& share, const Topology& topology) {
  std::vector<std::pair<int, std::size_t>> chosen;  // core, level
  for (std::size_t level = 0; level < share.cores.size(); ++level) {
    const std::vector<int>& cores = share.cores[level];
    const auto taken = static_cast<std::size_t>(share.taken[level]);
    for (std::size_t i = 0; i < taken; ++i) chosen.emplace_back(cores[i * cores.size() / taken], level);
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<int> processors;
  processors.reserve(chosen.size());
  for (const auto& [core, level] : chosen) processors.push_back(topology.cores[static_cast<std::size_t>(core)].processors[level]);
  return processors;
}

std::vector<int> AllOfNode(const Topology& topology, int node) {
  std::vector<int> all;
  for (const Core& core : topology.cores) {
    if (core.node == node) all.insert(all.end(), core.processors.begin(), core.processors.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// More threads than processors: as if every core had as many hardware threads as it takes.
std::vector<Placement> SpreadUnpinned(Topology topology, int threads) {
  const auto cores = static_cast<int>(topology.cores.size());
  for (Core& core : topology.cores) core.processors.assign(static_cast<std::size_t>((threads + cores - 1) / cores), 0);
  return PlaceThreads(topology, threads, Pinning::kOff);
}

}  // namespace

int Topology::Processors() const noexcept {
  int count = 0;
  for (const Core& core : cores) count += static_cast<int>(core.processors.size());
  return count;
}

Topology MachineTopology() {
  const Hardware hardware = Begin();
  const Bitmap allowed(hwloc_bitmap_alloc());
  if (hardware == nullptr || allowed == nullptr || hwloc_topology_load(hardware.get()) != 0) return FlatTopology();
  // A description in hwloc's own environment variables stands for another machine, which no mask of this one fits.
  const bool masked = hwloc_topology_is_thissystem(hardware.get()) != 0 && hwloc_get_cpubind(hardware.get(), allowed.get(), HWLOC_CPUBIND_THREAD) == 0;
  Topology topology = Read(hardware.get(), masked ? allowed.get() : nullptr);
  return topology.cores.empty() ? FlatTopology() : topology;
}

Result<Topology> SyntheticTopology(const std::string& description, const std::vector<int>& allowed) {
  const Hardware hardware = Begin();
  if (hardware == nullptr || hwloc_topology_set_synthetic(hardware.get(), description.c_str()) != 0 || hwloc_topology_load(hardware.get()) != 0) {
    return diagnostics::InvalidInput("topology: expected a description such as \"numa:2 core:8 pu:2\", found '" + diagnostics::Quoted(description) + "'");
  }
  const Bitmap mask(hwloc_bitmap_alloc());
  for (const int processor : allowed) hwloc_bitmap_set(mask.get(), static_cast<unsigned>(processor));
  Topology topology = Read(hardware.get(), allowed.empty() ? nullptr : mask.get());
  if (topology.cores.empty()) return diagnostics::InvalidInput("topology: expected a processor that is allowed, found none");
  return topology;
}

std::vector<Placement> PlaceThreads(const Topology& topology, int threads, Pinning pinning) {
  if (threads > topology.Processors()) return SpreadUnpinned(topology, threads);
  std::vector<NodeShare> shares = EmptyShares(topology);
  Fill(shares, threads);
  std::vector<Placement> placements;
  placements.reserve(static_cast<std::size_t>(threads));
  for (std::size_t node = 0; node < shares.size(); ++node) {
    const int number = static_cast<int>(node);
    for (const int processor : ProcessorsOf(shares[node], topology)) {
      Placement& placement = placements.emplace_back(Placement{.node = number, .processors = {}});
      if (pinning == Pinning::kCores) placement.processors = {processor};
      if (pinning == Pinning::kNodes) placement.processors = AllOfNode(topology, number);
    }
  }
  return placements;
}

bool PinThread(pthread_t thread, const std::vector<int>& processors) noexcept {
  constexpr std::size_t kMost = 1 << 16;  // more than any kernel is built for
  const std::size_t largest = processors.empty() ? 0 : static_cast<std::size_t>(*std::max_element(processors.begin(), processors.end()));
  if (processors.empty() || largest >= kMost) return false;
  cpu_set_t* mask = CPU_ALLOC(largest + 1);
  if (mask == nullptr) return false;
  const std::size_t bytes = CPU_ALLOC_SIZE(largest + 1);
  CPU_ZERO_S(bytes, mask);
  for (const int processor : processors) CPU_SET_S(static_cast<std::size_t>(processor), bytes, mask);
  const bool pinned = pthread_setaffinity_np(thread, bytes, mask) == 0;
  CPU_FREE(mask);
  return pinned;
}

}  // namespace baleen::hardware

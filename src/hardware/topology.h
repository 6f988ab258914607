#pragma once

#include <pthread.h>

#include <string>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::hardware {

/// A core that this process may use.
struct Core {
  int node = 0;                 // index into Topology::nodes
  std::vector<int> processors;  // the system's numbers of its hardware threads that this process may use, the first one first; never empty
};

/// The cores that this process may use, and the NUMA nodes they belong to.
struct Topology {
  std::vector<int> nodes;   // the system's numbers of the nodes that have one of the cores; never empty
  std::vector<Core> cores;  // in the order of the hardware: cores of a node stand together, neighbours share the most; never empty

  int Processors() const noexcept;
};

/// This machine, as far as the calling thread's affinity mask and the process's cpuset reach; read from the system at each call (some 10 ms).
/// Where the system does not tell, every processor of the mask is a core of one node.
Topology MachineTopology();

/// A machine that does not exist, for tests: `description` as hwloc's set_synthetic reads it, for example "numa:2 core:8 pu:2". allowed: the
/// processors that the process may use; empty = all. Errors: no such description; no processor left.
Result<Topology> SyntheticTopology(const std::string& description, const std::vector<int>& allowed = {});

/// How firmly the threads of a team are held.
enum class Pinning {
  kOff,    // the system moves them as it likes
  kNodes,  // each stays on one NUMA node
  kCores,  // each stays on one processor
};

/// Where one thread of a team belongs.
struct Placement {
  int node = 0;                 // index into Topology::nodes
  std::vector<int> processors;  // that it may run on; empty = wherever the system likes
};

/// Spreads the threads of a team, threads >= 1: every node gets its share of them, in proportion to its cores, and so many neighbours of each other;
/// within a node they are spread evenly over its cores. One thread a core comes first, then the cores' further hardware threads in turn. More
/// threads than processors are spread over the nodes and not pinned.
std::vector<Placement> PlaceThreads(const Topology& topology, int threads, Pinning pinning);

/// Keeps a running thread on these processors, as long as nobody moves it; threads that it starts from then on stay there too. false: the system
/// does not allow it, or they are none of this machine's.
bool PinThread(pthread_t thread, const std::vector<int>& processors) noexcept;

}  // namespace baleen::hardware

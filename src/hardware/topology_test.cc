#include "hardware/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "hardware/cpu.h"

namespace baleen::hardware {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Topology Machine(const std::string& description, const std::vector<int>& allowed = {}) {
  auto topology = SyntheticTopology(description, allowed);
  EXPECT_TRUE(topology) << (topology ? "" : topology.error().message);
  return topology ? *topology : Topology{.nodes = {0}, .cores = {{.processors = {0}}}};
}

/// The one processor of each thread of a team that is pinned to cores.
std::vector<int> Pinned(const Topology& topology, int threads) {
  std::vector<int> processors;
  for (const Placement& placement : PlaceThreads(topology, threads, Pinning::kCores)) {
    processors.push_back(placement.processors.size() == 1 ? placement.processors[0] : -1);
  }
  return processors;
}

std::vector<int> Nodes(const Topology& topology, int threads) {
  std::vector<int> nodes;
  for (const Placement& placement : PlaceThreads(topology, threads, Pinning::kOff)) nodes.push_back(placement.node);
  return nodes;
}

TEST(Topology, ReadsCoresHardwareThreadsAndNodes) {
  const Topology machine = Machine("pack:2 numa:1 core:8 pu:2");
  EXPECT_THAT(machine.nodes, ElementsAre(0, 1));
  ASSERT_EQ(machine.cores.size(), 16u);
  EXPECT_EQ(machine.Processors(), 32);
  EXPECT_THAT(machine.cores[0].processors, ElementsAre(0, 1));
  EXPECT_THAT(machine.cores[15].processors, ElementsAre(30, 31));
  EXPECT_EQ(machine.cores[7].node, 0);
  EXPECT_EQ(machine.cores[8].node, 1);
}

TEST(Topology, KnowsTheSystemsNumbers) {
  const Topology machine = Machine("numa:2(indexes=5,3) core:2 pu:2(indexes=0,4,1,5,2,6,3,7)");
  EXPECT_EQ(std::set<int>(machine.nodes.begin(), machine.nodes.end()), (std::set<int>{3, 5}));
  EXPECT_EQ(machine.cores[0].processors, (std::vector<int>{0, 4}));
  EXPECT_EQ(machine.nodes[static_cast<std::size_t>(machine.cores[0].node)], 5);
}

TEST(Topology, LeavesOutWhatTheProcessMayNotUse) {
  const Topology machine = Machine("numa:2 core:2 pu:2", {1, 2, 3, 6});
  ASSERT_EQ(machine.cores.size(), 3u);
  EXPECT_THAT(machine.cores[0].processors, ElementsAre(1));
  EXPECT_THAT(machine.cores[1].processors, ElementsAre(2, 3));
  EXPECT_THAT(machine.cores[2].processors, ElementsAre(6));
  EXPECT_THAT(Machine("numa:2 core:2 pu:2", {4, 5}).nodes, ElementsAre(1));
}

TEST(Topology, ANodeOfMemoryAloneIsNone) {
  const Topology machine = Machine("pack:2 [numa][numa] core:2 pu:1");
  EXPECT_EQ(machine.nodes.size(), 2u);
  EXPECT_THAT(Nodes(machine, 4), ElementsAre(0, 0, 1, 1));
}

TEST(Topology, WithoutCoresEveryHardwareThreadIsOne) {
  const Topology machine = Machine("pu:3");
  EXPECT_EQ(machine.cores.size(), 3u);
  EXPECT_THAT(Pinned(machine, 3), ElementsAre(0, 1, 2));
}

TEST(Topology, RefusesWhatIsNoDescription) {
  EXPECT_THAT(SyntheticTopology("pack:0").error().message, HasSubstr("expected a description"));
  EXPECT_THAT(SyntheticTopology("numa:2 core:2 pu:1", {99}).error().message, HasSubstr("found none"));
}

TEST(Topology, ThisMachineHasTheProcessorsOfTheMask) {
  const Topology machine = MachineTopology();
  EXPECT_EQ(machine.Processors(), AvailableCores());
  // In a thread that may use one processor only.
  const int one = machine.cores.back().processors.back();
  std::thread([&] {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    CPU_SET(one, &mask);
    ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
    const Topology narrow = MachineTopology();
    ASSERT_EQ(narrow.cores.size(), 1u);
    EXPECT_THAT(narrow.cores[0].processors, ElementsAre(one));
    EXPECT_EQ(narrow.nodes.size(), 1u);
  }).join();
}

TEST(PlaceThreads, OnePerCoreFirstAndAnEqualShareOfEveryNode) {
  const Topology machine = Machine("pack:2 numa:1 core:8 pu:2");
  EXPECT_THAT(Pinned(machine, 1), ElementsAre(0));
  EXPECT_THAT(Pinned(machine, 2), ElementsAre(0, 16));
  EXPECT_THAT(Pinned(machine, 4), ElementsAre(0, 8, 16, 24));  // far from each other within a node
  EXPECT_THAT(Pinned(machine, 16), ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
  EXPECT_THAT(Pinned(machine, 18), ElementsAre(0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 17, 18, 20, 22, 24, 26, 28, 30));
  EXPECT_THAT(Nodes(machine, 5), ElementsAre(0, 0, 0, 1, 1));
}

TEST(PlaceThreads, UnequalNodesGetUnequalShares) {
  const Topology machine = Machine("numa:2 core:6 pu:1", {0, 1, 2, 3, 4, 5, 6, 7});  // 6 cores and 2
  EXPECT_THAT(Nodes(machine, 4), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(Nodes(machine, 8), ElementsAre(0, 0, 0, 0, 0, 0, 1, 1));
}

TEST(PlaceThreads, OnNodesEveryThreadMayUseItsNode) {
  const auto placements = PlaceThreads(Machine("numa:2 core:2 pu:2"), 2, Pinning::kNodes);
  EXPECT_THAT(placements[0].processors, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(placements[1].processors, ElementsAre(4, 5, 6, 7));
}

TEST(PlaceThreads, MoreThanProcessorsAreNotPinned) {
  const Topology machine = Machine("numa:2 core:2 pu:1");
  for (const Pinning pinning : {Pinning::kNodes, Pinning::kCores}) {
    const auto placements = PlaceThreads(machine, 10, pinning);
    ASSERT_EQ(placements.size(), 10u);
    for (const Placement& placement : placements) EXPECT_TRUE(placement.processors.empty());
  }
  EXPECT_THAT(Nodes(machine, 10), ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 1, 1));
}

// Whatever the machine and the mask: every thread has a processor of its own and of its node, no node is twice in the list, no second hardware
// thread is used while a core is free, and no node is ahead of another by more than a thread for its size.
TEST(PlaceThreads, HoldsOnAnyMachine) {
  rc::check([] {
    const int nodes = *rc::gen::inRange(1, 6), cores = *rc::gen::inRange(1, 9), pus = *rc::gen::inRange(1, 4), all = nodes * cores * pus;
    const std::string description = "numa:" + std::to_string(nodes) + " core:" + std::to_string(cores) + " pu:" + std::to_string(pus);
    std::vector<int> allowed;
    for (int i = 0; i < all; ++i) {
      if (*rc::gen::inRange(0, 4) != 0) allowed.push_back(i);
    }
    const Topology machine = Machine(description, allowed);
    const int threads = *rc::gen::inRange(1, machine.Processors() + 1);
    const auto placements = PlaceThreads(machine, threads, Pinning::kCores);
    RC_ASSERT(placements.size() == static_cast<std::size_t>(threads));
    std::map<int, const Core*> core_of;
    for (const Core& core : machine.cores) {
      for (const int processor : core.processors) core_of[processor] = &core;
    }
    std::set<int> used;
    std::set<const Core*> used_cores;
    std::vector<int> on_node(machine.nodes.size(), 0), cores_of(machine.nodes.size(), 0);
    for (std::size_t i = 0; i < placements.size(); ++i) {
      RC_ASSERT(placements[i].processors.size() == 1u);
      const Core* core = core_of.at(placements[i].processors[0]);
      RC_ASSERT(used.insert(placements[i].processors[0]).second);
      RC_ASSERT(core->node == placements[i].node);
      RC_ASSERT(i == 0 || placements[i - 1].node <= placements[i].node);
      used_cores.insert(core);
      ++on_node[static_cast<std::size_t>(placements[i].node)];
    }
    RC_ASSERT(used_cores.size() == std::min(static_cast<std::size_t>(threads), machine.cores.size()));
    if (static_cast<std::size_t>(threads) > machine.cores.size()) return;
    for (const Core& core : machine.cores) ++cores_of[static_cast<std::size_t>(core.node)];
    for (std::size_t a = 0; a < on_node.size(); ++a) {
      for (std::size_t b = 0; b < on_node.size(); ++b) RC_ASSERT((on_node[a] - 1) * cores_of[b] <= on_node[b] * cores_of[a] + std::max(cores_of[a], cores_of[b]));
    }
  });
}

}  // namespace
}  // namespace baleen::hardware

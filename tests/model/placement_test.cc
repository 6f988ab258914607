// Where weights lie on machines of several NUMA nodes, which do not exist: the rows that a thread packs, and so the node that holds them, against the
// rows that its parts of a step begin with.

#include <gtest/gtest.h>

#include <stdexcept>

#include "backend/cpu/families.h"
#include "hardware/topology.h"
#include "hardware/workers.h"
#include "model/packing.h"

namespace baleen::model {
namespace {

using backend::cpu::OutputsPerPart;
using backend::cpu::PartOf;
using backend::cpu::Parts;
using hardware::Workers;

/// A team on a machine of our making: the node of every thread.
struct Team {
  std::vector<int> nodes;
  int node_count = 0;

  int threads() const { return static_cast<int>(nodes.size()); }

  int NodeOfPart(std::int64_t part, std::int64_t parts) const {
    int thread = 0;
    while (Workers::FirstPart(parts, thread + 1, threads()) <= part) ++thread;
    return nodes[static_cast<std::size_t>(thread)];
  }

  /// The node on which row `row` of a matrix of `rows` lies.
  int NodeOfRow(std::int64_t row, std::int64_t rows) const {
    int thread = 0;
    while (RowsPackedBy(rows, thread, threads()).end <= row) ++thread;
    EXPECT_GE(row, RowsPackedBy(rows, thread, threads()).begin);
    return nodes[static_cast<std::size_t>(thread)];
  }
};

Team TeamOn(const std::string& machine, int threads) {
  const auto topology = hardware::SyntheticTopology(machine);
  if (!topology) throw std::runtime_error(topology.error().message);
  Team team{{}, static_cast<int>(topology->nodes.size())};
  for (const hardware::Placement& placement : PlaceThreads(*topology, threads, hardware::Pinning::kNodes)) team.nodes.push_back(placement.node);
  return team;
}

const std::vector<Team>& Teams() {
  static const std::vector<Team> teams = {TeamOn("numa:2 core:8 pu:2", 16), TeamOn("numa:4 core:6 pu:1", 24), TeamOn("numa:2 core:4 pu:1", 6), TeamOn("numa:8 core:16 pu:1", 128)};
  return teams;
}

/// Outputs of `matrices` matrices that a step begins with on another node than the one they lie on.
std::int64_t OnOtherNodes(const Team& team, std::int64_t matrices, std::int64_t outputs, std::int64_t size) {
  const std::int64_t parts = matrices * Parts(outputs, size);
  std::int64_t elsewhere = 0;
  for (std::int64_t part = 0; part < parts; ++part) {
    const auto [matrix, span] = PartOf(matrices, outputs, size, part);
    const int node = team.NodeOfPart(part, parts);
    for (std::int64_t output = span.begin; output < span.end; ++output) elsewhere += team.NodeOfRow(output, outputs) != node;
  }
  return elsewhere;
}

TEST(Placement, EveryRowIsPackedOnceAndEveryNodeHoldsItsShare) {
  for (const Team& team : Teams()) {
    for (const std::int64_t rows : {1, 24, 512, 1024, 4096, 32768, 129280}) {
      std::vector<std::int64_t> held(static_cast<std::size_t>(team.node_count));
      std::int64_t next = 0;
      for (int thread = 0; thread < team.threads(); ++thread) {
        const PackedRows packed = RowsPackedBy(rows, thread, team.threads());
        EXPECT_EQ(packed.begin, next);
        next = packed.end;
        held[static_cast<std::size_t>(team.nodes[static_cast<std::size_t>(thread)])] += packed.end - packed.begin;
      }
      EXPECT_EQ(next, rows);
      for (const std::int64_t of_node : held) EXPECT_NEAR(static_cast<double>(of_node), static_cast<double>(rows) / team.node_count, team.threads());
    }
  }
}

// Borders of nodes may fall inside a part: that much, and no more, is read from elsewhere.
TEST(Placement, LinearLayersBeginWithRowsOfTheirOwnNode) {
  for (const Team& team : Teams()) {
    for (const std::int64_t rows : {1, 4, 16, 2048}) {
      for (const std::int64_t outputs : {8192, 32768, 129280}) {
        const std::int64_t size = OutputsPerPart(outputs, rows, 1, team.threads());
        EXPECT_LE(OnOtherNodes(team, 1, outputs, size), (team.node_count - 1) * size) << outputs << " outputs, " << rows << " rows, " << team.threads() << " threads";
      }
    }
  }
}

TEST(Placement, WhicheverExpertsAreChosenTheirRowsAreOfTheirOwnNode) {
  for (const Team& team : Teams()) {
    for (const std::int64_t active : {2, 7, 65, 257}) {
      for (const auto& [matrices, outputs] : {std::pair{2 * active, std::int64_t{2048}}, std::pair{active, std::int64_t{4096}}}) {
        const std::int64_t size = OutputsPerPart(outputs, 1, matrices, team.threads());
        EXPECT_LE(OnOtherNodes(team, matrices, outputs, size), (team.node_count - 1) * matrices * size)
            << matrices << " matrices of " << outputs << " outputs, " << team.threads() << " threads";
      }
    }
  }
}

// What the test would see if whole matrices were handed out one after the other: most rows elsewhere.
TEST(Placement, ABorderIsSmallBesideAMatrix) {
  const Team& team = Teams().front();
  const std::int64_t outputs = 2048, matrices = 14, size = OutputsPerPart(outputs, 1, matrices, team.threads());
  EXPECT_LT(OnOtherNodes(team, matrices, outputs, size), matrices * outputs / 16);
  std::int64_t whole = 0;
  for (std::int64_t matrix = 0; matrix < matrices; ++matrix) {
    for (std::int64_t output = 0; output < outputs; ++output) whole += team.NodeOfRow(output, outputs) != team.NodeOfPart(matrix, matrices);
  }
  EXPECT_GT(whole, matrices * outputs / 3);
}

}  // namespace
}  // namespace baleen::model

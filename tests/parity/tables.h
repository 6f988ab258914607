#pragma once

#include "isas.h"

#if defined(__x86_64__)
#include "emulated_tiles.h"
#endif

namespace baleen::kernels {

/// A table under test: an instruction set's, or the AMX rows over emulated tiles.
struct NamedTable {
  std::string name;
  const Table* table;

  NamedTable(hardware::Isa isa) : name(hardware::IsaName(isa)), table(&TableFor(isa)) {}  // NOLINT: an instruction set stands for its table
  NamedTable(std::string as, const Table& of) : name(std::move(as)), table(&of) {}
};

inline const Table& TableFor(const NamedTable& named) { return *named.table; }
inline const std::string& Name(const NamedTable& named) { return named.name; }

/// The tables of this machine beside the reference's.
inline std::vector<NamedTable> FastTables() {
  std::vector<NamedTable> tables;
  for (const auto isa : FastIsas()) tables.emplace_back(isa);
#if defined(__x86_64__)
  if (CanEmulateTiles()) tables.emplace_back("emulated amx", EmulatedTable());
#endif
  return tables;
}

}  // namespace baleen::kernels

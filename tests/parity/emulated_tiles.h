#pragma once

#include "kernels/table.h"

namespace baleen::kernels {

/// The AMX matrix kernel over emulated tiles. False, and nothing written, where the kernel would pass the work on.
bool LinearOnEmulatedTiles(const LinearArgs& args) noexcept;

/// The other AMX rows over emulated tiles, and what they pass the work on to. All of them need what stands beside tiles (CanEmulateTiles).
void ByteLinearOnEmulatedTiles(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept;
void IndexScoreOnEmulatedTiles(const IndexScoreArgs& args, void (*below)(const IndexScoreArgs&) noexcept) noexcept;
void AttendOnEmulatedTiles(const AttendArgs& args, void (*below)(const AttendArgs&) noexcept) noexcept;

inline bool CanEmulateTiles() noexcept { return hardware::HasBf16Dots() && hardware::HasByteDots() && hardware::HasByteMatrices(); }

/// The AVX-512 table with the AMX rows over it, as the table of a machine with tiles is made. Requires CanEmulateTiles().
inline const Table& EmulatedTable() {
  static const Table emulated = [] {
    Table table = TableFor(hardware::Isa::kAvx512);
    table.linear = [](const LinearArgs& args) noexcept {
      if (!LinearOnEmulatedTiles(args)) TableFor(hardware::Isa::kAvx512).linear(args);
    };
    table.byte_linear = [](const ByteLinearArgs& args) noexcept { ByteLinearOnEmulatedTiles(args, TableFor(hardware::Isa::kAvx512).byte_linear); };
    table.index_score = [](const IndexScoreArgs& args) noexcept { IndexScoreOnEmulatedTiles(args, TableFor(hardware::Isa::kAvx512).index_score); };
    table.attend = [](const AttendArgs& args) noexcept { AttendOnEmulatedTiles(args, TableFor(hardware::Isa::kAvx512).attend); };
    return table;
  }();
  return emulated;
}

}  // namespace baleen::kernels

#include "kernels/table.h"

#include "kernels/overlay.h"

namespace baleen::kernels {

const Table& TableFor(hardware::Isa isa) noexcept {
  static const auto build = [](hardware::Isa upto) {
    Table table{};
    reference::Fill(table);
#if defined(__x86_64__)
    if (upto >= hardware::Isa::kAvx2) avx2::Overlay(table);
    if (upto >= hardware::Isa::kAvx512) avx512::Overlay(table);
    if (upto >= hardware::Isa::kAvx512 && hardware::HasBf16Dots()) avx512_bf16::Overlay(table);
    if (upto >= hardware::Isa::kAvx512 && hardware::HasByteDots()) avx512_vnni::Overlay(table);
    if (upto >= hardware::Isa::kAmx) amx::Overlay(table);
#endif
    return table;
  };
  static const Table tables[] = {build(hardware::Isa::kReference), build(hardware::Isa::kAvx2), build(hardware::Isa::kAvx512), build(hardware::Isa::kAmx)};
  return tables[static_cast<int>(isa)];
}

}  // namespace baleen::kernels

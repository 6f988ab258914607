#pragma once

#include "kernels/table.h"

namespace baleen::kernels {

/// Each instruction set's part of the table: fills or replaces the entries it has.
namespace reference {
void Fill(Table& table) noexcept;
}
namespace avx2 {
void Overlay(Table& table) noexcept;
}
namespace avx512 {
void Overlay(Table& table) noexcept;
}
namespace avx512_bf16 {
void Overlay(Table& table) noexcept;
}
namespace avx512_vnni {
void Overlay(Table& table) noexcept;
}
namespace amx {
void Overlay(Table& table) noexcept;
}

}  // namespace baleen::kernels

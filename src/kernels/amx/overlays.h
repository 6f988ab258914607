#pragma once

#include "kernels/table.h"

namespace baleen::kernels::amx {

/// Parts of amx::Overlay, each in a file of its own.
void OverlayByteLinear(Table& table) noexcept;
void OverlayIndex(Table& table) noexcept;
void OverlayAttention(Table& table) noexcept;

}  // namespace baleen::kernels::amx

#pragma once

#include "kernels/linear.h"

namespace baleen::kernels {

/// The AMX matrix kernel over emulated tiles; needs AVX-512 only. False, and nothing written, where the kernel would pass the work on.
bool LinearOnEmulatedTiles(const LinearArgs& args) noexcept;

}  // namespace baleen::kernels

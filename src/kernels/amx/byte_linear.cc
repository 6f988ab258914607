// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/amx/overlays.h"
#include "kernels/amx/tiles.h"
#include "tensor/scalar.h"

namespace baleen::kernels::amx {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/avx512/transpose.inl"
#include "kernels/avx512/e2m1_table.inl"
#include "kernels/wide/math.inl"
#include "kernels/wide/fp8_table.inl"
#include "kernels/wide/fp8_fold.inl"
#include "kernels/avx512/fp8_codes.inl"
#include "kernels/amx/byte_decoders.inl"
#include "kernels/amx/byte_panel.inl"
#include "kernels/amx/byte_blocks.inl"
#include "kernels/amx/byte_linear.inl"

/// What tiles do not compute goes where it went before.
void (*below)(const ByteLinearArgs&) noexcept = nullptr;

void ByteLinear(const ByteLinearArgs& args) noexcept { ByteLinearOnTiles<HardwareTiles>(args, below); }

}  // namespace

void OverlayByteLinear(Table& table) noexcept {
  below = table.byte_linear;
  table.byte_linear = ByteLinear;
}

}  // namespace baleen::kernels::amx

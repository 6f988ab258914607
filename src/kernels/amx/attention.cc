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
#include "kernels/wide/math.inl"
#include "kernels/wide/operands.inl"
#include "kernels/wide/softmax.inl"
#include "kernels/avx512_bf16/pairs.inl"
#include "kernels/avx512_bf16/panels.inl"
#include "kernels/amx/attention.inl"

/// What tiles do not compute goes where it went before.
void (*below)(const AttendArgs&) noexcept = nullptr;

void Attend(const AttendArgs& args) noexcept { AttendOnTiles<HardwareTiles>(args, below); }

}  // namespace

void OverlayAttention(Table& table) noexcept {
  below = table.attend;
  table.attend = Attend;
}

}  // namespace baleen::kernels::amx

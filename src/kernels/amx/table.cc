// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <type_traits>

#include "kernels/amx/overlays.h"
#include "kernels/amx/tiles.h"
#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::amx {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/avx512/transpose.inl"
#include "kernels/avx512/e2m1_table.inl"
#include "kernels/wide/math.inl"
#include "kernels/amx/linear_decoders.inl"
#include "kernels/amx/linear.inl"
#include "kernels/amx/peaks.inl"

/// What tiles do not compute goes where it went before.
void (*linear_below)(const LinearArgs&) noexcept = nullptr;

void Linear(const LinearArgs& args) noexcept {
  if (FitsTiles(args)) return LinearOnTiles<HardwareTiles>(args);
  linear_below(args);
}

}  // namespace

void Overlay(Table& table) noexcept {
  linear_below = table.linear;
  table.linear = Linear;
  OverlayByteLinear(table);
  OverlayIndex(table);
  OverlayAttention(table);
  table.peaks.instruction = "tdpbf16ps";
  table.peaks.flops = 4 * 16384.0;
  table.peaks.steps = 300;
  table.peaks.multiply = PeakMultiply<HardwareTiles>;
}

}  // namespace baleen::kernels::amx

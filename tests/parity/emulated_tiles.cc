#include "emulated_tiles.h"

// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <type_traits>

#include "kernels/amx/tiles_emulated.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels {
namespace amx {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/avx512/transpose.inl"
#include "kernels/avx512/e2m1_table.inl"
#include "kernels/wide/math.inl"
#include "kernels/amx/linear_decoders.inl"
#include "kernels/amx/linear.inl"

}  // namespace
}  // namespace amx

bool LinearOnEmulatedTiles(const LinearArgs& args) noexcept {
  if (!amx::FitsTiles(args)) return false;
  amx::LinearOnTiles<amx::EmulatedTiles>(args);
  return true;
}

}  // namespace baleen::kernels

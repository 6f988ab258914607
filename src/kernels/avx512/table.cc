// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::avx512 {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/wide/operations.inl"

}  // namespace

void Overlay(Table& table) noexcept { OverlayAll(table); }

}  // namespace baleen::kernels::avx512

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
#include "kernels/avx512_vnni/index_fold.inl"
#include "kernels/amx/index.inl"

/// What tiles do not compute goes where it went before.
void (*below)(const IndexScoreArgs&) noexcept = nullptr;

void IndexScore(const IndexScoreArgs& args) noexcept { IndexScoreOnTiles<HardwareTiles>(args, below); }

}  // namespace

void OverlayIndex(Table& table) noexcept {
  below = table.index_score;
  table.index_score = IndexScore;
}

}  // namespace baleen::kernels::amx

// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::avx512_vnni {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/wide/math.inl"
#include "kernels/avx512_vnni/index.inl"

/// What is not scored by bytes goes where it went before.
void (*index_score_below)(const IndexScoreArgs&) noexcept = nullptr;

void IndexScore(const IndexScoreArgs& args) noexcept {
  if (!ScoredByBytes(args, index_score_below)) index_score_below(args);
}

}  // namespace

void Overlay(Table& table) noexcept {
  index_score_below = table.index_score;
  table.index_score = IndexScore;
}

}  // namespace baleen::kernels::avx512_vnni

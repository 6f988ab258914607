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
#include "kernels/avx512/transpose.inl"
#include "kernels/avx512/e2m1_table.inl"
#include "kernels/wide/math.inl"
#include "kernels/wide/fp8_table.inl"
#include "kernels/wide/fp8_fold.inl"
#include "kernels/avx512/fp8_codes.inl"
#include "kernels/avx512_vnni/bytes.inl"
#include "kernels/avx512_vnni/index_fold.inl"
#include "kernels/avx512_vnni/index.inl"
#include "kernels/wide/byte_blocks.inl"
#include "kernels/wide/byte_few.inl"
#include "kernels/wide/byte_panel.inl"
#include "kernels/wide/byte_linear.inl"

/// What is not scored by bytes goes where it went before.
void (*index_score_below)(const IndexScoreArgs&) noexcept = nullptr;

void IndexScore(const IndexScoreArgs& args) noexcept { IndexScoreByBytes(args, index_score_below); }

/// What bytes do not fit goes where it went before.
void (*byte_linear_below)(const ByteLinearArgs&) noexcept = nullptr;

void ByteLinear(const ByteLinearArgs& args) noexcept { ByteLinearOr(args, byte_linear_below); }

}  // namespace

void Overlay(Table& table) noexcept {
  index_score_below = table.index_score;
  table.index_score = IndexScore;
  byte_linear_below = table.byte_linear;
  table.byte_linear = ByteLinear;
  table.byte_quantize = ByteQuantize;
}

}  // namespace baleen::kernels::avx512_vnni

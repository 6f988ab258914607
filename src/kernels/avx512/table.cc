// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

// The bodies are written once in kernels/wide/ over the sixteen lanes of this folder's lanes.inl. They are included inside the unnamed
// namespace: a function that left this file would be a weak symbol compiled for this instruction set, and might be picked for every CPU.

namespace baleen::kernels::avx512 {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/wide/math.inl"
#include "kernels/wide/linear.inl"
#include "kernels/wide/norm.inl"
#include "kernels/wide/cache_rows.inl"
#include "kernels/wide/attention.inl"
#include "kernels/wide/top_k.inl"
#include "kernels/wide/streams.inl"

}  // namespace

void Overlay(Table& table) noexcept {
  // mix and head_mix stay the reference's: a few dozen numbers a token.
  table.linear = Linear;
  table.quantize = Quantize;
  table.norm = Norm;
  table.head_norm = HeadNorm;
  table.rotate = Rotate;
  table.pack_kv = PackKv;
  table.unpack_kv = UnpackKv;
  table.index_quantize = IndexQuantize;
  table.pack_index = PackIndex;
  table.attend = Attend;
  table.index_score = IndexScore;
  table.top_k = TopK;
  table.pool = Pool;
  table.collapse = Collapse;
  table.expand = Expand;
  table.root_mean = RootMean;
  table.router_score = RouterScore;
  table.swiglu = Swiglu;
  table.add = AddTo;
  table.round_bf16 = RoundVector;
}

}  // namespace baleen::kernels::avx512

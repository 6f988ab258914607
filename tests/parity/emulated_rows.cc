#include "emulated_tiles.h"

// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/amx/tiles_emulated.h"
#include "tensor/scalar.h"

namespace baleen::kernels {
namespace amx {

// Each row in a namespace of its own, as each has a file of its own in the library.
namespace bytes {
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

}  // namespace
}  // namespace bytes

namespace index {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/avx512/transpose.inl"
#include "kernels/avx512/e2m1_table.inl"
#include "kernels/wide/math.inl"
#include "kernels/avx512_vnni/index_fold.inl"
#include "kernels/amx/index.inl"

}  // namespace
}  // namespace index

namespace attention {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/avx512/transpose.inl"
#include "kernels/wide/math.inl"
#include "kernels/wide/operands.inl"
#include "kernels/wide/softmax.inl"
#include "kernels/avx512_bf16/pairs.inl"
#include "kernels/avx512_bf16/panels.inl"
#include "kernels/amx/attention.inl"

}  // namespace
}  // namespace attention

}  // namespace amx

void ByteLinearOnEmulatedTiles(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  amx::bytes::ByteLinearOnTiles<amx::EmulatedTiles>(args, below);
}
void IndexScoreOnEmulatedTiles(const IndexScoreArgs& args, void (*below)(const IndexScoreArgs&) noexcept) noexcept {
  amx::index::IndexScoreOnTiles<amx::EmulatedTiles>(args, below);
}
void AttendOnEmulatedTiles(const AttendArgs& args, void (*below)(const AttendArgs&) noexcept) noexcept {
  amx::attention::AttendOnTiles<amx::EmulatedTiles>(args, below);
}

}  // namespace baleen::kernels

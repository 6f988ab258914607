#include <immintrin.h>

#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::avx2 {
namespace {

#include "kernels/avx2/lanes.inl"
#include "kernels/wide/operations.inl"
#include "kernels/wide/fp8_table.inl"
#include "kernels/wide/fp8_fold.inl"
#include "kernels/avx2/bytes.inl"
#include "kernels/wide/byte_blocks.inl"
#include "kernels/wide/byte_few.inl"
#include "kernels/wide/byte_panel.inl"
#include "kernels/wide/byte_linear.inl"

/// What bytes do not fit goes where it went before.
void (*byte_linear_below)(const ByteLinearArgs&) noexcept = nullptr;

void ByteLinear(const ByteLinearArgs& args) noexcept { ByteLinearOr(args, byte_linear_below); }

}  // namespace

void Overlay(Table& table) noexcept {
  OverlayAll(table);
  byte_linear_below = table.byte_linear;
  table.byte_linear = ByteLinear;
  table.byte_quantize = ByteQuantize;
}

}  // namespace baleen::kernels::avx2

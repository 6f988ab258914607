// g++ 12 takes the deliberately undefined operand of several AVX-512 intrinsics for a mistake (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <type_traits>

#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::avx512_bf16 {
namespace {

#include "kernels/avx512/lanes.inl"
#include "kernels/wide/math.inl"
#include "kernels/wide/operands.inl"
#include "kernels/wide/softmax.inl"
#include "kernels/avx512_bf16/pairs.inl"
#include "kernels/avx512_bf16/panels.inl"
#include "kernels/avx512_bf16/linear.inl"
#include "kernels/avx512_bf16/attention.inl"
#include "kernels/avx512_bf16/peaks.inl"

/// What dots do not compute goes where it went before.
void (*linear_below)(const LinearArgs&) noexcept = nullptr;

void Linear(const LinearArgs& args) noexcept {
  if (!ComputedByDots(args)) linear_below(args);
}

void (*attend_below)(const AttendArgs&) noexcept = nullptr;

void Attend(const AttendArgs& args) noexcept {
  if (!AttendedByDots(args)) attend_below(args);
}

}  // namespace

void Overlay(Table& table) noexcept {
  linear_below = table.linear;
  table.linear = Linear;
  attend_below = table.attend;
  table.attend = Attend;
  table.peaks.instruction = "vdpbf16ps";
  table.peaks.flops = 12 * 64.0;
  table.peaks.multiply = PeakMultiply;
}

}  // namespace baleen::kernels::avx512_bf16

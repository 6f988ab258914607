#include <immintrin.h>

#include "kernels/overlay.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::kernels::avx2 {
namespace {

#include "kernels/avx2/lanes.inl"
#include "kernels/wide/operations.inl"

}  // namespace

void Overlay(Table& table) noexcept { OverlayAll(table); }

}  // namespace baleen::kernels::avx2

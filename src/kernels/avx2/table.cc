#include "kernels/overlay.h"

namespace baleen::kernels::avx2 {

void Overlay(Table&) noexcept {}

}  // namespace baleen::kernels::avx2

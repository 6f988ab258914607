#include "kernels/overlay.h"

namespace baleen::kernels::avx512 {

void Overlay(Table&) noexcept {}

}  // namespace baleen::kernels::avx512

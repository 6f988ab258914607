#include "kernels/overlay.h"

namespace baleen::kernels::amx {

void Overlay(Table&) noexcept {}

}  // namespace baleen::kernels::amx

#include "diagnostics/check.h"

#include <cstdio>
#include <cstdlib>

namespace baleen::diagnostics {

void CheckFailed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "CHECK failed: %s (%s:%d). This is a bug in baleen.\n", condition, file, line);
  std::abort();
}

}  // namespace baleen::diagnostics

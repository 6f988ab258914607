#pragma once

namespace baleen::diagnostics {

/// Prints "CHECK failed: condition (file:line)" to standard error and aborts: a bug of ours, never a fault of the input.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line) noexcept;

}  // namespace baleen::diagnostics

/// States what must hold if the program is right. Input is never checked with it.
#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) [[unlikely]]                                                       \
      ::baleen::diagnostics::CheckFailed(#condition, __FILE__, __LINE__);                \
  } while (false)

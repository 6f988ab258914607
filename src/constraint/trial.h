#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "diagnostics/result.h"

namespace baleen::constraint {

/// Runs `work` in a copy of this process that may use so much time and further memory, to see whether it ends well: xgrammar cannot be
/// interrupted. Nothing of what the work does is kept. The work returns an error's message, or "" if all is well.
///
/// Errors: InvalidInput with the work's message; ResourceError if it took too long, too much memory or ended by a signal, or if the
/// copy could not be made.
Status TryApart(const std::function<std::string()>& work, std::chrono::milliseconds time, std::size_t memory_bytes);

}  // namespace baleen::constraint

#pragma once

#include <string_view>

namespace baleen::diagnostics {

/// The program's own notes go to standard error through these; standard output belongs to data.
void Note(std::string_view message);
void Warn(std::string_view message);

}  // namespace baleen::diagnostics

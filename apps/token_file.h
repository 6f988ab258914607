#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::apps {

/// A JSON array of token ids. Errors: not such an array, empty, an id that is no whole number of [0, vocab_size); each named with its place.
Result<std::vector<std::int32_t>> ReadTokenFile(const std::string& path, std::int64_t vocab_size);

}  // namespace baleen::apps

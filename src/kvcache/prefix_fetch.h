#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kvcache/hash.h"

namespace baleen::kvcache {

/// How far the reading of a snapshot has come: its own record first, which names the records it needs, then those, shortest first.
struct PrefixFetch {
  std::string tenant;
  std::vector<std::int32_t> tokens;
  std::vector<Hash128> keys;        // of every length, 0 first
  std::vector<std::int64_t> path;   // lengths of the records, rising, its own last; empty before its own was read
  std::size_t next = 0;             // in path: what is to be attached
  std::vector<std::byte> content;   // of its own record
};

}  // namespace baleen::kvcache

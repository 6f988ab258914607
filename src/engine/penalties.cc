#include "engine/penalties.h"

#include <algorithm>
#include <limits>

namespace baleen::engine {

void TokenCounts::Add(std::int32_t id) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), id, [](const Entry& entry, std::int32_t wanted) { return entry.id < wanted; });
  if (at == entries_.end() || at->id != id) {
    entries_.insert(at, {id, 1});
  } else if (at->count < std::numeric_limits<std::uint32_t>::max()) {
    ++at->count;
  }
}

}  // namespace baleen::engine

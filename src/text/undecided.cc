#include "text/undecided.h"

#include <algorithm>

#include "text/utf8.h"

namespace baleen::text {

std::size_t DecidedBytes(std::string_view text, std::span<const std::string_view> tags) noexcept {
  std::size_t undecided = 0;
  for (const std::string_view tag : tags) {
    for (std::size_t n = std::min(tag.size() - 1, text.size()); n > undecided; --n) {
      if (text.ends_with(tag.substr(0, n))) undecided = n;
    }
  }
  const std::string_view decided = text.substr(0, text.size() - undecided);
  constexpr std::size_t kMostCut = 3;
  for (std::size_t n = 1; n <= std::min(kMostCut, decided.size()); ++n) {
    const Utf8Step step = ReadUtf8(decided.substr(decided.size() - n));
    if (step.cut && step.bytes == n) return decided.size() - n;
  }
  return decided.size();
}

}  // namespace baleen::text

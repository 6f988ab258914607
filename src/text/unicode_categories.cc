#include "text/unicode_categories.h"

#include <cstddef>

namespace baleen::text {

namespace {

constexpr std::size_t kCodePoints = 0x110000;

// One byte for each code point: 1.1 MB, filled once, instead of a binary search for each character of every text. Static: no memory is asked for.
struct ClassTable {
  std::uint8_t classes[kCodePoints] = {};

  ClassTable() noexcept {
    const std::span<const std::uint32_t> runs = UnicodeRuns();
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const std::size_t end = i + 1 < runs.size() ? runs[i + 1] >> 8 : kCodePoints;
      for (std::size_t code = runs[i] >> 8; code < end; ++code) classes[code] = static_cast<std::uint8_t>(runs[i] & 0xFF);
    }
  }
};

}  // namespace

std::uint8_t CharacterClasses(char32_t code_point) noexcept {
  static const ClassTable table;
  return code_point < kCodePoints ? table.classes[code_point] : 0;
}

}  // namespace baleen::text

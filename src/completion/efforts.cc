#include "completion/efforts.h"

namespace baleen::completion {
namespace {

using text::Thinking;

// The current mapping of the vendor's service; it has changed before, so it stands in one table.
constexpr struct {
  std::string_view word;
  Thinking thinking;
} kEfforts[] = {{"none", Thinking::kOff},    {"minimal", Thinking::kLow}, {"low", Thinking::kLow}, {"medium", Thinking::kHigh},
                {"high", Thinking::kHigh}, {"xhigh", Thinking::kHigh},  {"max", Thinking::kMax}, {"ultra", Thinking::kMax}};

}  // namespace

std::optional<Thinking> ThinkingOfEffort(std::string_view word) noexcept {
  for (const auto& entry : kEfforts) {
    if (entry.word == word) return entry.thinking;
  }
  return std::nullopt;
}

}  // namespace baleen::completion

#include "engine/likeliest.h"

#include <algorithm>
#include <cmath>

#include "diagnostics/check.h"
#include "engine/softmax.h"

namespace baleen::engine {
namespace {

// log_probability holds the logit. A later token of the same logit stays behind: its id is higher.
void KeepLargest(std::span<const float> logits, std::span<ScoredToken> kept) {
  std::size_t filled = 0;
  double least = -INFINITY;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (!(logits[id] > least)) continue;
    std::size_t at = std::min(filled, kept.size() - 1);
    for (; at > 0 && kept[at - 1].log_probability < logits[id]; --at) kept[at] = kept[at - 1];
    kept[at] = {static_cast<std::int32_t>(id), logits[id]};
    filled = std::min(filled + 1, kept.size());
    if (filled == kept.size()) least = kept.back().log_probability;
  }
}

}  // namespace

Result<double> Likeliest(std::span<const float> logits, std::int32_t chosen, std::span<ScoredToken> likeliest) {
  CHECK(chosen >= 0 && static_cast<std::size_t>(chosen) < logits.size());
  CHECK(likeliest.size() <= std::min(static_cast<std::size_t>(kMostLikeliest), logits.size()));
  const LogitRange range = RangeOf(logits);
  if (!range.finite) {
    const auto at = std::find_if_not(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); });
    return NotFinite(static_cast<std::size_t>(at - logits.begin()), *at);
  }
  const double largest = range.largest;
  const double log_sum = std::log(SumOfExponentials(logits, largest));
  if (!likeliest.empty()) KeepLargest(logits, likeliest);
  for (ScoredToken& token : likeliest) token.log_probability = token.log_probability - largest - log_sum;
  return static_cast<double>(logits[static_cast<std::size_t>(chosen)]) - largest - log_sum;
}

}  // namespace baleen::engine

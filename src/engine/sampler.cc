#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "diagnostics/check.h"
#include "engine/counter_random.h"

namespace baleen::engine {

using diagnostics::InvalidInput;

Result<Sampler> Sampler::Create(const Sampling& sampling, std::int64_t vocab_size, std::vector<std::uint8_t> allowed) {
  CHECK(vocab_size > 0);
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0) {
    return InvalidInput("temperature: expected a number from 0 up, found " + std::to_string(sampling.temperature) + "; 0 always takes the likeliest token");
  }
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    return InvalidInput("top-p: expected a number above 0 and at most 1, found " + std::to_string(sampling.top_p) + "; 1 keeps every token");
  }
  const auto vocab = static_cast<std::size_t>(vocab_size);
  if (!allowed.empty() && (allowed.size() != vocab || std::find_if(allowed.begin(), allowed.end(), [](auto a) { return a != 0; }) == allowed.end())) {
    return InvalidInput("no token of the model's vocabulary may be chosen; tokenizer and model do not belong together");
  }
  Sampler sampler(sampling, std::move(allowed));
  if (sampling.temperature > 0) sampler.candidates_.reserve(vocab);
  return sampler;
}

Result<std::int32_t> Sampler::Largest(std::span<const float> logits) const {
  std::int64_t best = -1;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (!Allowed(id)) continue;
    if (!std::isfinite(logits[id])) {
      return InvalidInput("the logit of token " + std::to_string(id) + " is not a finite number (" + std::to_string(logits[id]) +
                          "): the weights hold numbers that overflow in this arithmetic; check the checkpoint with inspect");
    }
    if (best < 0 || logits[id] > logits[static_cast<std::size_t>(best)]) best = static_cast<std::int64_t>(id);
  }
  return static_cast<std::int32_t>(best);
}

Result<std::int32_t> Sampler::Choose(std::span<const float> logits, std::uint64_t index) {
  CHECK(allowed_.empty() || allowed_.size() == logits.size());
  TRY_ASSIGN(const std::int32_t largest, Largest(logits));
  if (sampling_.temperature == 0) return largest;
  const double top = logits[static_cast<std::size_t>(largest)];
  candidates_.clear();
  sorted_ = 0;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (!Allowed(id)) continue;
    const double weight = std::exp((static_cast<double>(logits[id]) - top) / sampling_.temperature);
    if (weight > 0) candidates_.push_back({logits[id], static_cast<std::int32_t>(id), weight});
  }
  return Draw(UniformAt(sampling_.seed, index));
}

// Most draws end among a few candidates: only as many are sorted as are looked at.
void Sampler::SortTo(std::size_t count) {
  while (sorted_ < count) {
    const std::size_t end = std::min(candidates_.size(), std::max<std::size_t>(64, 4 * sorted_));
    std::partial_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(sorted_), candidates_.begin() + static_cast<std::ptrdiff_t>(end), candidates_.end(),
                      [](const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; });
    sorted_ = end;
  }
}

std::int32_t Sampler::Draw(double uniform) {
  double kept = 0;
  if (sampling_.top_p < 1) {
    double total = 0;
    for (const Candidate& candidate : candidates_) total += candidate.weight;
    const double wanted = sampling_.top_p * total;
    std::size_t count = 0;
    do {
      SortTo(count + 1);
      kept += candidates_[count++].weight;
    } while (kept < wanted && count < candidates_.size());
  } else {
    for (const Candidate& candidate : candidates_) kept += candidate.weight;
  }
  const double target = uniform * kept;
  double passed = 0;
  std::size_t at = 0;
  while (true) {
    SortTo(at + 1);
    passed += candidates_[at].weight;
    if (passed > target || at + 1 == candidates_.size()) return candidates_[at].id;
    ++at;
  }
}

}  // namespace baleen::engine

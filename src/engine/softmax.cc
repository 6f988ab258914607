#include "engine/softmax.h"

#include <algorithm>
#include <array>
#include <string>

namespace baleen::engine {
namespace {

constexpr std::size_t kBlock = 1024;  // tokens looked at together
constexpr std::size_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Vector = float __attribute__((vector_size(16)));
using Mask = std::int32_t __attribute__((vector_size(16)));

Vector Load(const float* from) noexcept {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}

struct BlockRange {
  float largest, smallest;
  bool finite;
};

// Four vectors side by side: one comparison need not wait for the one before.
BlockRange RangeOfBlock(std::span<const float> logits) noexcept {
  constexpr std::size_t kVectors = kLanes / 4;
  std::array<Vector, kVectors> high, low;
  std::array<Mask, kVectors> broken = {};
  high.fill(Vector{} - kInfinity);
  low.fill(Vector{} + kInfinity);
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector x = Load(logits.data() + i + 4 * v);
      high[v] = x > high[v] ? x : high[v];
      const Vector counted = x > -kInfinity ? x : Vector{} + kInfinity;
      low[v] = counted < low[v] ? counted : low[v];
      broken[v] |= (x - x) != Vector{};  // NaN - NaN and inf - inf are NaN, which differs from everything
    }
  }
  BlockRange range{-kInfinity, kInfinity, true};
  for (std::size_t v = 0; v < kVectors; ++v) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      range.largest = std::max(range.largest, high[v][lane]);
      range.smallest = std::min(range.smallest, low[v][lane]);
      range.finite = range.finite && broken[v][lane] == 0;
    }
  }
  for (; i < logits.size(); ++i) {
    const float x = logits[i];
    if (x > range.largest) range.largest = x;
    if (x > -kInfinity && x < range.smallest) range.smallest = x;
    range.finite = range.finite && x - x == 0;
  }
  return range;
}

}  // namespace

LogitRange RangeOf(std::span<const float> logits) noexcept {
  LogitRange range;
  std::size_t best = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const BlockRange block = RangeOfBlock(logits.subspan(begin, std::min(kBlock, logits.size() - begin)));
    range.finite = range.finite && block.finite;
    range.smallest = std::min(range.smallest, block.smallest);
    if (block.largest > range.largest) {
      range.largest = block.largest;
      best = begin;
    }
  }
  const auto at = std::find(logits.begin() + static_cast<std::ptrdiff_t>(best), logits.end(), range.largest);
  if (at != logits.end()) range.largest_id = static_cast<std::int32_t>(at - logits.begin());
  return range;
}

double SumOfExponentials(std::span<const float> logits, double largest) noexcept {
  constexpr std::size_t kSums = 8;
  std::array<double, kSums> sums = {};
  std::array<double, kBlock> weights;
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const std::size_t size = std::min(kBlock, logits.size() - begin);
    const float* from = logits.data() + begin;
    for (std::size_t i = 0; i < size; ++i) {
      const double x = from[i] - largest;
      weights[i] = x > kLeastExponent ? x : kLeastExponent;
    }
    for (std::size_t i = 0; i < size; ++i) weights[i] = Exponential(weights[i]);
    for (std::size_t i = size; i % kSums != 0; ++i) weights[i] = 0;
    for (std::size_t i = 0; i < size; i += kSums) {
      for (std::size_t lane = 0; lane < kSums; ++lane) sums[lane] += weights[i + lane];
    }
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

diagnostics::Error NotFinite(std::size_t id, float logit) {
  return diagnostics::InvalidInput("the logit of token " + std::to_string(id) + " is not a finite number (" + std::to_string(logit) +
                                   "): the weights hold numbers that overflow in this arithmetic; check the checkpoint with inspect");
}

}  // namespace baleen::engine

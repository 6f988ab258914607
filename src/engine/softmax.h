#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "diagnostics/error.h"

namespace baleen::engine {

constexpr double kLeastExponent = -64;  // e^-64: a vocabulary of such weights is lost in the rounding of a sum that holds 1

/// e^x for x of [kLeastExponent, 0], to 2e-15 relative: the same bits everywhere and in every loop, vectorized or not.
inline double Exponential(double x) noexcept {
  constexpr double kToInteger = 0x1.8p52;  // added, it leaves the nearest whole number in the lowest bits
  constexpr double kLog2E = 0x1.71547652b82fep0, kLn2High = 0x1.62e42fefa3800p-1, kLn2Low = 0x1.ef35793c76730p-45;
  const double shifted = x * kLog2E + kToInteger;
  const double whole = shifted - kToInteger;
  const double r = (x - whole * kLn2High) - whole * kLn2Low;  // at most ln 2 / 2
  double sum = 1.0 / 479001600;
  for (const double factor : {39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0}) sum = sum * r + 1 / factor;
  return std::bit_cast<double>(std::bit_cast<std::int64_t>(sum) + (std::bit_cast<std::int64_t>(shifted) << 52));
}

/// What one look at [vocab] logits tells.
struct LogitRange {
  float largest = -std::numeric_limits<float>::infinity();
  float smallest = std::numeric_limits<float>::infinity();  // of those above -infinity
  std::int32_t largest_id = 0;                              // the lowest id of a tie
  bool finite = true;                                       // all of them
};

LogitRange RangeOf(std::span<const float> logits) noexcept;

/// The sum of e^(logit - largest) in double. What is below e^kLeastExponent counts as that, which is too little to be seen in a sum above 1.
double SumOfExponentials(std::span<const float> logits, double largest) noexcept;

/// The message for a logit that is NaN or infinite.
diagnostics::Error NotFinite(std::size_t id, float logit);

}  // namespace baleen::engine

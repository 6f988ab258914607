#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "constraint/expression.h"

namespace baleen::constraint {

/// digits · 10^-places, exact. places is 0 … 9, digits below 10^18.
struct Decimal {
  std::int64_t digits = 0;
  int places = 0;
};

/// Reads a JSON number; nothing if it does not fit.
std::optional<Decimal> ReadDecimal(std::string_view number);

/// One end of an interval.
struct Bound {
  Decimal value;
  bool excluded = false;
};
/// Both ends of an interval; a missing one is open.
struct Interval {
  std::optional<Bound> least, most;
};

/// JSON integers in the interval, without exponent, of at most 18 digits. Nothing() if there is none.
Expression IntegersIn(const Interval& interval);

/// JSON numbers in the interval: integers, and fractions with a bounded number of digits. Only open intervals use exponents. nothing if the
/// ends have so many digits that the numbers between them cannot be written down.
std::optional<Expression> NumbersIn(const Interval& interval);

}  // namespace baleen::constraint

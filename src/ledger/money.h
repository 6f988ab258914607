#pragma once

#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::ledger {

/// An amount of money in pico-dollars (1e-12 USD), exact: USD 1 per million tokens is 1,000,000 pico-dollars a token. 128 bits, so
/// that no sum overflows; one usage record and every quota fit 63 bits (USD 9.2 million).
using PicoDollars = __int128;

inline constexpr PicoDollars kPicoDollarsPerDollar = 1'000'000'000'000;

/// Reads decimal dollars: "10", "0.15", ".5"; at most 12 digits behind the point, from 0 to USD 9,000,000.
/// Errors: a sign, an exponent, more digits, a larger amount; they say what was found.
Result<PicoDollars> ParseDollars(std::string_view text);

/// The exact decimal, with at least two digits behind the point: "0.00", "12.345", "-0.000000000001".
std::string WriteDollars(PicoDollars amount);

/// The nearest double, for numbers in JSON.
double ToDollars(PicoDollars amount) noexcept;

}  // namespace baleen::ledger

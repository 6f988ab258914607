#include "ledger/money.h"

#include <algorithm>

namespace baleen::ledger {
namespace {

constexpr std::size_t kPlaces = 12;
constexpr PicoDollars kMostDollars = 9'000'000;

diagnostics::Error Wrong(std::string_view text) {
  return diagnostics::InvalidInput("expected dollars as a decimal from 0 to 9000000 with at most 12 digits behind the point, found '" +
                                   diagnostics::Quoted(text) + "'");
}

bool IsDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<PicoDollars> ParseDollars(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if ((whole.empty() && part.empty()) || whole.size() > 20 || part.size() > kPlaces || !IsDigits(whole) || !IsDigits(part)) return Wrong(text);
  PicoDollars amount = 0;
  for (const char c : whole) amount = amount * 10 + (c - '0');
  for (std::size_t i = 0; i < kPlaces; ++i) amount = amount * 10 + (i < part.size() ? part[i] - '0' : 0);
  if (amount > kMostDollars * kPicoDollarsPerDollar) return Wrong(text);
  return amount;
}

std::string WriteDollars(PicoDollars amount) {
  const bool negative = amount < 0;
  unsigned __int128 rest = negative ? -static_cast<unsigned __int128>(amount) : static_cast<unsigned __int128>(amount);
  std::string digits;  // the last first
  for (; rest > 0 || digits.size() <= kPlaces; rest /= 10) digits += static_cast<char>('0' + static_cast<int>(rest % 10));
  std::reverse(digits.begin(), digits.end());
  digits.insert(digits.size() - kPlaces, ".");
  while (digits.ends_with('0') && digits[digits.size() - 3] != '.') digits.pop_back();
  return (negative ? "-" : "") + digits;
}

double ToDollars(PicoDollars amount) noexcept { return static_cast<double>(amount) / static_cast<double>(kPicoDollarsPerDollar); }

}  // namespace baleen::ledger

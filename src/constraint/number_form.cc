#include "constraint/number_form.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <vector>

namespace baleen::constraint {

namespace {

constexpr std::int64_t kLargest = 999'999'999'999'999'999;  // 18 digits
constexpr std::int64_t kLargestUnasked = 999'999'999'999'999;  // exact as a double; where nothing asks for more
constexpr int kMostPlaces = 9;
constexpr std::int64_t kMoreDigits = 6;  // of a fraction behind those that its bounds have

Expression AnyDigits(std::int64_t least, std::int64_t most) { return Repeat(OneOf(CodePoints::Range('0', '9')), least, most); }

std::int64_t Power(int exponent) {
  std::int64_t power = 1;
  for (; exponent > 0; --exponent) power *= 10;
  return power;
}

// Numbers written with a fixed number of digits, the last `places` of them behind a point.
class FixedDigits {
 public:
  explicit FixedDigits(int places) : places_(static_cast<std::size_t>(places)) {}

  // Both have the same length.
  Expression Between(std::string_view least, std::string_view most) const {
    if (least.empty()) return Text("");
    std::vector<Expression> parts;
    if (places_ > 0 && least.size() == places_) parts.push_back(Text("."));
    if (least.find_first_not_of('0') == std::string_view::npos && most.find_first_not_of('9') == std::string_view::npos) {
      parts.push_back(AllOf(least.size()));
      return Sequence(std::move(parts));
    }
    const std::string nines(least.size() - 1, '9'), zeros(least.size() - 1, '0');
    std::vector<Expression> choices;
    const auto add = [&](char first, char last, std::string_view from, std::string_view to) {
      const auto low = static_cast<char32_t>(first), high = static_cast<char32_t>(last);
      if (first <= last) choices.push_back(Sequence({OneOf(CodePoints::Range(low, high)), Between(from, to)}));
    };
    if (least[0] == most[0]) {
      add(least[0], most[0], least.substr(1), most.substr(1));
    } else {
      add(least[0], least[0], least.substr(1), nines);
      add(static_cast<char>(least[0] + 1), static_cast<char>(most[0] - 1), zeros, nines);
      add(most[0], most[0], zeros, most.substr(1));
    }
    parts.push_back(Choice(std::move(choices)));
    return Sequence(std::move(parts));
  }

 private:
  Expression AllOf(std::size_t digits) const {
    const auto count = static_cast<std::int64_t>(digits), behind = static_cast<std::int64_t>(places_);
    if (places_ == 0 || digits <= places_) return AnyDigits(count, count);
    return Sequence({AnyDigits(count - behind, count - behind), Text("."), AnyDigits(behind, behind)});
  }

  std::size_t places_;
};

std::string Padded(std::int64_t value, std::size_t width) {
  std::string digits = std::to_string(value);
  if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
  return digits;
}

// 0 <= least: the numbers v · 10^-places with at least one digit before the point.
Expression Unsigned(std::int64_t least, std::int64_t most, int places) {
  std::vector<Expression> choices;
  for (std::int64_t from = least; from <= most;) {
    const std::size_t width = Padded(from, static_cast<std::size_t>(places) + 1).size();
    const std::int64_t longest = Power(static_cast<int>(width)) - 1;
    choices.push_back(FixedDigits(places).Between(Padded(from, width), Padded(std::min(most, longest), width)));
    from = longest + 1;
  }
  return Choice(std::move(choices));
}

// The numbers v · 10^-places for least <= v <= most; with more digits behind it if the number stays between the ends.
Expression Signed(std::int64_t least, std::int64_t most, int places, bool more_digits) {
  const auto with_more = [&](std::int64_t from, std::int64_t to) {
    Expression more = AnyDigits(1, kMoreDigits);
    if (places == 0) more = Sequence({Text("."), std::move(more)});
    return Sequence({Unsigned(from, to, places), std::move(more)});
  };
  std::vector<Expression> choices;
  const auto add = [&](std::string_view sign, std::int64_t from, std::int64_t to) {
    if (from > to) return;
    if (!more_digits) choices.push_back(Sequence({Text(sign), Unsigned(from, to, places)}));
    if (more_digits && from < to) choices.push_back(Sequence({Text(sign), with_more(from, to - 1)}));
  };
  add("", std::max<std::int64_t>(least, 0), most);
  add("-", std::max<std::int64_t>(-most, 1), -least);
  return Choice(std::move(choices));
}

// The first (last) integer that is inside a bound on this side, in units of 10^-places; nothing if it does not fit.
std::optional<std::int64_t> Inside(const Bound& bound, int places, bool is_least) {
  const int more = places - bound.value.places;
  if (more >= 0) {
    const std::int64_t power = Power(more), digits = bound.value.digits;
    if (std::abs(digits) > kLargest / power) return std::nullopt;
    return digits * power + (bound.excluded ? (is_least ? 1 : -1) : 0);
  }
  const std::int64_t power = Power(-more), digits = bound.value.digits;
  const std::int64_t down = digits / power - (digits % power < 0 ? 1 : 0);
  const bool exact = digits % power == 0;
  if (exact && bound.excluded) return is_least ? down + 1 : down - 1;
  return is_least && !exact ? down + 1 : down;
}

struct Ends {
  std::int64_t least = 0, most = 0;
};

std::optional<Ends> EndsOf(const Interval& interval, int places) {
  const std::int64_t unasked = kLargestUnasked;
  Ends ends{-unasked, unasked};
  if (interval.least) {
    const std::optional<std::int64_t> least = Inside(*interval.least, places, true);
    if (!least) return std::nullopt;
    ends.least = *least;
    if (!interval.most && *least > unasked / 10) ends.most = kLargest;
  }
  if (interval.most) {
    const std::optional<std::int64_t> most = Inside(*interval.most, places, false);
    if (!most) return std::nullopt;
    ends.most = *most;
    if (!interval.least && *most < -unasked / 10) ends.least = -kLargest;
  }
  ends.least = std::max(ends.least, -kLargest);
  ends.most = std::min(ends.most, kLargest);
  return ends;
}

}  // namespace

std::optional<Decimal> ReadDecimal(std::string_view number) {
  bool negative = false;
  if (number.starts_with('-')) negative = true, number.remove_prefix(1);
  std::int64_t exponent = 0;
  if (const std::size_t e = number.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view text = number.substr(e + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto read = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (read.ec != std::errc() || std::abs(exponent) > 1000) return std::nullopt;
    number = number.substr(0, e);
  }
  std::string digits;
  if (const std::size_t point = number.find('.'); point != std::string_view::npos) {
    digits = std::string(number.substr(0, point)) + std::string(number.substr(point + 1));
    exponent -= static_cast<std::int64_t>(number.size() - point - 1);
  } else {
    digits = number;
  }
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back(), ++exponent;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  if (digits == "0") return Decimal{};
  if (exponent > 0) {
    if (exponent > 18) return std::nullopt;
    digits.append(static_cast<std::size_t>(exponent), '0');
    exponent = 0;
  }
  if (digits.size() > 18 || -exponent > kMostPlaces) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return Decimal{negative ? -value : value, static_cast<int>(-exponent)};
}

Expression IntegersIn(const Interval& interval) {
  const std::optional<Ends> ends = EndsOf(interval, 0);
  if (!ends || ends->least > ends->most) return Nothing();
  return Signed(ends->least, ends->most, 0, /*more_digits=*/false);
}

std::optional<Expression> NumbersIn(const Interval& interval) {
  std::vector<Expression> choices{IntegersIn(interval)};
  if (!interval.least && !interval.most) {
    const Expression fraction = Sequence({Text("."), AnyDigits(1, 16)});
    const Expression exponent = Sequence({OneOf(CodePoints::Of("eE")), Optional(OneOf(CodePoints::Of("+-"))), AnyDigits(1, 2)});
    const Expression whole = Choice({Text("0"), Sequence({OneOf(CodePoints::Range('1', '9')), AnyDigits(0, 15)})});
    return Sequence({Optional(Text("-")), whole, Optional(fraction), Optional(exponent)});
  }
  int places = 0;
  for (const std::optional<Bound>* bound : {&interval.least, &interval.most}) {
    if (*bound) places = std::max(places, (*bound)->value.places + ((*bound)->excluded ? 1 : 0));
  }
  const std::optional<Ends> ends = EndsOf(interval, places);
  if (!ends) return std::nullopt;
  if (ends->least <= ends->most) {
    if (places > 0) choices.push_back(Signed(ends->least, ends->most, places, /*more_digits=*/false));
    choices.push_back(Signed(ends->least, ends->most, places, /*more_digits=*/true));
  }
  return Choice(std::move(choices));
}

}  // namespace baleen::constraint

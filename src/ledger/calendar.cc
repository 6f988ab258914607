#include "ledger/calendar.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace baleen::ledger {
namespace {

std::chrono::year_month_day DateOf(std::int64_t day) { return std::chrono::sys_days(std::chrono::days(static_cast<int>(day))); }

// Digits only, so that neither a sign nor blanks pass.
std::optional<std::int64_t> Digits(std::string_view text) {
  std::int64_t value = 0;
  if (text.empty() || text.size() > 12 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::int64_t MonthOf(std::int64_t day) {
  const std::chrono::year_month_day date = DateOf(day);
  return std::int64_t{12} * static_cast<int>(date.year()) + static_cast<unsigned>(date.month()) - 1;
}

std::int64_t FirstDayOfNextMonth(std::int64_t day) {
  const std::chrono::year_month_day date = DateOf(day);
  const std::chrono::year_month next = std::chrono::year_month(date.year(), date.month()) + std::chrono::months(1);
  return std::chrono::sys_days(next / std::chrono::day(1)).time_since_epoch().count();
}

std::string WriteDay(std::int64_t day) {
  const std::chrono::year_month_day date = DateOf(day);
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text;
}

std::string WriteTime(std::int64_t unix_seconds) {
  const std::int64_t day = DayOf(unix_seconds), clock = unix_seconds - day * kSecondsPerDay;
  char text[24];
  std::snprintf(text, sizeof text, "T%02d:%02d:%02dZ", static_cast<int>(clock / 3600), static_cast<int>(clock / 60 % 60), static_cast<int>(clock % 60));
  return WriteDay(day) + text;
}

std::optional<std::int64_t> ParseDay(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = Digits(text.substr(0, 4)), month = Digits(text.substr(5, 2)), day = Digits(text.substr(8, 2));
  if (!year || !month || !day || *year < 1970) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

std::optional<std::int64_t> ParseClock(std::string_view text) {
  if ((text.size() != 5 && text.size() != 8) || text[2] != ':' || (text.size() == 8 && text[5] != ':')) return std::nullopt;
  const auto hours = Digits(text.substr(0, 2)), minutes = Digits(text.substr(3, 2));
  const auto seconds = text.size() == 8 ? Digits(text.substr(6, 2)) : std::optional<std::int64_t>(0);
  if (!hours || !minutes || !seconds || *minutes > 59 || *seconds > 59) return std::nullopt;
  const std::int64_t clock = *hours * 3600 + *minutes * 60 + *seconds;
  return clock <= kSecondsPerDay ? std::optional(clock) : std::nullopt;
}

std::optional<std::int64_t> ParseTime(std::string_view text) {
  if (const auto seconds = Digits(text)) return seconds;
  const auto day = ParseDay(text.substr(0, 10));
  if (!day || text.size() == 10) return day ? std::optional(*day * kSecondsPerDay) : std::nullopt;
  if (text[10] != 'T' || !text.ends_with('Z')) return std::nullopt;
  const auto clock = ParseClock(text.substr(11, text.size() - 12));
  if (!clock) return std::nullopt;
  return *day * kSecondsPerDay + *clock;
}

}  // namespace baleen::ledger

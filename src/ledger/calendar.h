#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baleen::ledger {

inline constexpr std::int64_t kSecondsPerDay = 86400;

/// UTC days since 1970-01-01. Requires a time of 0 or more.
constexpr std::int64_t DayOf(std::int64_t unix_seconds) { return unix_seconds / kSecondsPerDay; }
/// 0 for Monday.
constexpr int WeekdayOf(std::int64_t day) { return static_cast<int>((day + 3) % 7); }
/// Months since January of year 0.
std::int64_t MonthOf(std::int64_t day);
/// The first day of the month after the day's.
std::int64_t FirstDayOfNextMonth(std::int64_t day);

/// "2026-11-27".
std::string WriteDay(std::int64_t day);
/// "2026-11-27T08:30:05Z".
std::string WriteTime(std::int64_t unix_seconds);
/// The day since 1970-01-01 of "2026-11-27"; nothing for another text or a day that the calendar lacks.
std::optional<std::int64_t> ParseDay(std::string_view text);
/// Unix seconds of "2026-11-27", "2026-11-27T08:30:00Z" or plain unix seconds.
std::optional<std::int64_t> ParseTime(std::string_view text);
/// The seconds of "HH:MM" or "HH:MM:SS" since midnight, "24:00" included.
std::optional<std::int64_t> ParseClock(std::string_view text);

}  // namespace baleen::ledger

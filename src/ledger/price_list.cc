#include "ledger/price_list.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "diagnostics/check.h"
#include "ledger/calendar.h"

namespace baleen::ledger {
namespace {

using Json = nlohmann::json;
using diagnostics::InvalidInput;
using diagnostics::Quoted;

constexpr std::size_t kMostBytes = std::size_t{1} << 20;
constexpr PicoDollars kMostPerMillion = 10'000 * kPicoDollarsPerDollar;

constexpr char kShipped[] =
#include "shipped_prices.inc"
    ;

diagnostics::Error Wrong(const std::string& where, const std::string& expected, const Json* found) {
  const std::string text = found == nullptr ? "nothing" : Quoted(found->dump(-1, ' ', true, Json::error_handler_t::replace), 60);
  return InvalidInput("price list: " + where + ": expected " + expected + ", found " + text);
}

const Json* Find(const Json& object, const char* key) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  return at == object.end() ? nullptr : &*at;
}

// '*' stands for any text; a mismatch goes back to the last star only, so the time is bounded by the product of the lengths.
bool Matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

PicoDollars Rates::CostOf(std::int64_t hit_tokens, std::int64_t miss_tokens, std::int64_t output_tokens) const noexcept {
  return PicoDollars{hit} * hit_tokens + PicoDollars{miss} * miss_tokens + PicoDollars{output} * output_tokens;
}

/// Turns the JSON of a price list into its parts.
class PriceListReader {
 public:
  static Result<PriceList> Read(const Json& json) {
    if (!json.is_object()) return Wrong("the file", "an object", &json);
    PriceList list;
    TRY_ASSIGN(list.source_, Text(json, "source"));
    TRY_ASSIGN(list.date_, Text(json, "date"));
    if (!ParseDay(list.date_)) return Wrong("date", "a day as 2026-11-27", Find(json, "date"));
    const Json* models = Find(json, "models");
    if (models == nullptr || !models->is_array() || models->empty()) return Wrong("models", "an array with at least one entry", models);
    for (const Json& model : *models) {
      TRY_ASSIGN(PriceList::Entry entry, Entry(model, "models[" + std::to_string(list.entries_.size()) + "]"));
      list.entries_.push_back(std::move(entry));
    }
    if (const Json* peak = Find(json, "peak")) TRY(Peak(*peak, list));
    return list;
  }

 private:
  static Result<std::string> Text(const Json& object, const char* key) {
    const Json* value = Find(object, key);
    if (value == nullptr || !value->is_string() || value->get_ref<const std::string&>().size() > 1000) return Wrong(key, "a string", value);
    return value->get<std::string>();
  }

  // A double that was read from a decimal of up to 15 digits is written back as that decimal, so its price is exact.
  static Result<std::int64_t> Price(const Json& object, const char* key, const std::string& where) {
    const Json* value = Find(object, key);
    std::string decimal;
    if (value != nullptr && value->is_number()) {
      char text[400];
      decimal.assign(text, std::to_chars(text, text + sizeof text, value->get<double>(), std::chars_format::fixed).ptr);
    } else if (value != nullptr && value->is_string()) {
      decimal = value->get<std::string>();
    }
    const Result<PicoDollars> amount = ParseDollars(decimal);
    if (!amount || *amount > kMostPerMillion || *amount % 1'000'000 != 0) {
      return Wrong(where + "." + key, "USD per 1M tokens, 0 to 10000 with at most 6 digits behind the point", value);
    }
    return static_cast<std::int64_t>(*amount / 1'000'000);
  }

  static Result<Rates> Read(const Json& object, const std::string& where) {
    Rates rates;
    TRY_ASSIGN(rates.hit, Price(object, "hit", where));
    TRY_ASSIGN(rates.miss, Price(object, "miss", where));
    TRY_ASSIGN(rates.output, Price(object, "output", where));
    return rates;
  }

  static Result<PriceList::Entry> Entry(const Json& json, const std::string& where) {
    PriceList::Entry entry;
    const Json* pattern = Find(json, "model");
    if (pattern == nullptr || !pattern->is_string() || pattern->get_ref<const std::string&>().empty())
      return Wrong(where + ".model", "a model's id, in which * stands for any text", pattern);
    entry.pattern = pattern->get<std::string>();
    TRY_ASSIGN(entry.off_peak, Read(json, where));
    entry.peak = entry.off_peak;
    const Json *peak = Find(json, "peak"), *multiplier = Find(json, "peak_multiplier");
    if (peak != nullptr && multiplier != nullptr) return Wrong(where, "one of peak and peak_multiplier", &json);
    if (peak != nullptr) {
      TRY_ASSIGN(entry.peak, Read(*peak, where + ".peak"));
    } else if (multiplier != nullptr) {
      if (!multiplier->is_number_integer() || *multiplier < 1 || *multiplier > 100)
        return Wrong(where + ".peak_multiplier", "a whole number from 1 to 100", multiplier);
      const auto times = multiplier->get<std::int64_t>();
      entry.peak = {entry.off_peak.hit * times, entry.off_peak.miss * times, entry.off_peak.output * times};
    }
    return entry;
  }

  static Status Peak(const Json& peak, PriceList& list) {
    const Json *hours = Find(peak, "hours"), *without = Find(peak, "except");
    if (hours == nullptr || !hours->is_array()) return Wrong("peak.hours", "an array", hours);
    for (const Json& range : *hours) {
      TRY_ASSIGN(const PriceList::Hours read, Hours(range, "peak.hours[" + std::to_string(list.peak_hours_.size()) + "]"));
      list.peak_hours_.push_back(read);
    }
    if (without == nullptr) return {};
    if (!without->is_array()) return Wrong("peak.except", "an array of days as 2026-11-27", without);
    for (const Json& day : *without) {
      const auto number = day.is_string() ? ParseDay(day.get_ref<const std::string&>()) : std::nullopt;
      if (!number) return Wrong("peak.except", "days as 2026-11-27", &day);
      list.days_without_peak_.push_back(*number);
    }
    std::sort(list.days_without_peak_.begin(), list.days_without_peak_.end());
    return {};
  }

  static Result<PriceList::Hours> Hours(const Json& range, const std::string& where) {
    constexpr const char* kDays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    PriceList::Hours hours;
    const Json *days = Find(range, "days"), *from = Find(range, "from"), *until = Find(range, "until");
    if (days == nullptr || !days->is_array() || days->empty()) return Wrong(where + ".days", "an array of mon … sun", days);
    for (const Json& day : *days) {
      const auto* name = std::find_if(std::begin(kDays), std::end(kDays), [&](const char* known) { return day == known; });
      if (name == std::end(kDays)) return Wrong(where + ".days", "mon … sun", &day);
      hours.weekdays |= 1u << (name - std::begin(kDays));
    }
    const auto begin = from != nullptr && from->is_string() ? ParseClock(from->get_ref<const std::string&>()) : std::nullopt;
    const auto end = until != nullptr && until->is_string() ? ParseClock(until->get_ref<const std::string&>()) : std::nullopt;
    if (!begin) return Wrong(where + ".from", "a time of the day in UTC as 01:00", from);
    if (!end || *end <= *begin) return Wrong(where + ".until", "a time of the same day behind from, at most 24:00", until);
    hours.from_seconds = *begin;
    hours.until_seconds = *end;
    return hours;
  }
};

Result<PriceList> PriceList::Parse(std::string_view json) {
  try {
    return PriceListReader::Read(Json::parse(json));
  } catch (const Json::exception& error) {
    return InvalidInput("price list: expected JSON: " + Quoted(error.what(), 200));
  }
}

Result<PriceList> PriceList::Load(const std::string& path) {
  const std::string name = Quoted(path, 300);
  std::ifstream file(path, std::ios::binary);
  if (!file) return diagnostics::NotFound("price list: " + name + " cannot be opened; give a file like models/prices-deepseek.json");
  std::string text(kMostBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || file.gcount() == 0) return diagnostics::ResourceError("price list: " + name + " cannot be read, or is empty");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMostBytes) return InvalidInput("price list: " + name + ": expected at most 1 MiB, found more");
  Result<PriceList> list = Parse(text);
  if (!list) return InvalidInput(name + ": " + list.error().message);
  return list;
}

PriceList PriceList::Shipped() {
  Result<PriceList> list = Parse(kShipped);
  CHECK(list.has_value());
  return *std::move(list);
}

const PriceList::Entry* PriceList::Find(std::string_view model) const {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return Matches(e.pattern, model); });
  return entry == entries_.end() ? nullptr : &*entry;
}

bool PriceList::IsPeak(std::int64_t unix_seconds) const {
  const std::int64_t day = DayOf(unix_seconds), clock = unix_seconds - day * kSecondsPerDay;
  if (std::binary_search(days_without_peak_.begin(), days_without_peak_.end(), day)) return false;
  return std::any_of(peak_hours_.begin(), peak_hours_.end(), [&](const Hours& hours) {
    return (hours.weekdays >> WeekdayOf(day) & 1u) != 0 && clock >= hours.from_seconds && clock < hours.until_seconds;
  });
}

std::optional<Rates> PriceList::RatesAt(std::string_view model, std::int64_t unix_seconds) const { return IsPeak(unix_seconds) ? Peak(model) : OffPeak(model); }

std::optional<Rates> PriceList::OffPeak(std::string_view model) const {
  const Entry* entry = Find(model);
  return entry != nullptr ? std::optional(entry->off_peak) : std::nullopt;
}

std::optional<Rates> PriceList::Peak(std::string_view model) const {
  const Entry* entry = Find(model);
  return entry != nullptr ? std::optional(entry->peak) : std::nullopt;
}

}  // namespace baleen::ledger

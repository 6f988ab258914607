#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/money.h"

namespace baleen::ledger {

/// Pico-dollars for one token.
struct Rates {
  std::int64_t hit = 0, miss = 0, output = 0;

  /// Exact. Requires hit_tokens, miss_tokens and output_tokens of 0 to 2^40.
  PicoDollars CostOf(std::int64_t hit_tokens, std::int64_t miss_tokens, std::int64_t output_tokens) const noexcept;
  friend bool operator==(const Rates&, const Rates&) = default;
};

/// What models cost, by the hour (docs/ledger.md has the format of the file).
class PriceList {
 public:
  /// Reads the JSON text of a price list. Errors: name the field.
  static Result<PriceList> Parse(std::string_view json);
  /// Errors: also a file that is not there, or larger than 1 MiB.
  static Result<PriceList> Load(const std::string& path);
  /// The list that ships with the program: models/prices-deepseek.json.
  static PriceList Shipped();

  /// The rates of a model at a time: of the first entry whose pattern ('*' stands for any text) matches; nothing if none does.
  std::optional<Rates> RatesAt(std::string_view model, std::int64_t unix_seconds) const;
  /// The same outside the peak hours, and inside them.
  std::optional<Rates> OffPeak(std::string_view model) const;
  std::optional<Rates> Peak(std::string_view model) const;
  /// Whether the peak prices hold: from the first second of a range up to, but not including, its end.
  bool IsPeak(std::int64_t unix_seconds) const;

  /// Where the prices come from and of which day they are, as the file says.
  const std::string& source() const noexcept { return source_; }
  const std::string& date() const noexcept { return date_; }

 private:
  friend class PriceListReader;
  struct Entry {
    std::string pattern;
    Rates off_peak, peak;
  };
  struct Hours {
    unsigned weekdays = 0;  // bit 0 is Monday
    std::int64_t from_seconds = 0, until_seconds = 0;
  };

  const Entry* Find(std::string_view model) const;

  std::string source_, date_;
  std::vector<Entry> entries_;
  std::vector<Hours> peak_hours_;
  std::vector<std::int64_t> days_without_peak_;  // days since 1970, ascending
};

}  // namespace baleen::ledger

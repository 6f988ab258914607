#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diagnostics/result.h"
#include "ledger/price_list.h"

namespace baleen::apps {

/// Where the cost of an hour comes from: rent, or capital with its life, energy and operation. USD.
struct HourlyCost {
  std::optional<double> rent, capital;
  double life_years = 0, pue = 1, kwh_price = 0, operation = 0;
};

struct CostInputs {
  double dollars_an_hour = 0;
  double utilisation = 0;                                     // part of the hours in which the machine is busy
  double watts = 0;                                           // 0: not known
  double miss_tokens = 0, hit_tokens = 0, output_tokens = 0;  // of a request; all 0: no workload is stated
  std::optional<double> concurrency, user_rate, context;

  double prompt_tokens() const { return miss_tokens + hit_tokens; }
  double BusyHour() const { return dollars_an_hour / utilisation; }
  /// USD for 1M tokens at so many tokens a second.
  double PerMillion(double rate) const { return 1e6 * BusyHour() / (3600 * rate); }
};

/// One kind of work: the rates of its runs and what 1M tokens cost then. runs is 0 if none is known.
struct KindCost {
  std::string name, source;  // source: measured or projected
  int runs = 0;
  double rate_low = 0, rate_median = 0, rate_high = 0;  // tokens a second
  double dollars_low = 0, dollars_median = 0, dollars_high = 0;
};

/// What `baleen bench engine --json` measured.
struct MeasuredLoad {
  std::vector<double> decode_rates;  // of requests together, the time of their prompts included
  double concurrency = 0, user_rate = 0;
  double seconds = 0, prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;

  /// The cost of the busy time of the load, for 1M of its tokens.
  double DollarsPerMillion(const CostInputs& inputs) const;
};

/// The rate at which 1M tokens cost what a price list asks for them.
struct BreakEven {
  std::string name;
  double dollars = 0, rate = 0, peak_dollars = 0, peak_rate = 0;
  std::optional<double> reached;  // the median rate of the machine, as a part of `rate`
};

/// Errors: neither rent nor capital.
Result<double> DollarsAnHour(const HourlyCost& hourly, double watts);
KindCost CostOfKind(const std::string& name, const std::string& source, std::vector<double> rates, const CostInputs& inputs);
/// USD for 1M tokens of the workload; stays empty if no workload is stated or a kind that it needs is not known. kinds: miss, hit, output.
void Blend(const std::vector<KindCost>& kinds, const CostInputs& inputs, std::optional<double>& low, std::optional<double>& high);
/// Errors: the file is not what bench engine --json writes; it names the member.
Result<MeasuredLoad> ReadMeasuredLoad(const std::string& path);
/// Of miss, hit and output; a price of 0 has none.
std::vector<BreakEven> BreakEvens(const ledger::Rates& off_peak, const ledger::Rates& peak, const std::vector<KindCost>& kinds, const CostInputs& inputs);

}  // namespace baleen::apps

#include "apps/cost_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hardware/file.h"
#include "text/json_python.h"

namespace baleen::apps {
namespace {

using diagnostics::InvalidInput;

constexpr double kHoursPerYear = 8760;

Result<double> Number(const text::JsonValue& object, const char* key, const std::string& path, double least) {
  const text::JsonValue* value = object.Find(key);
  double number = -1;
  if (value != nullptr) {
    if (const auto whole = value->AsInt64()) number = static_cast<double>(*whole);
    if (const double* real = std::get_if<double>(&value->value)) number = *real;
  }
  if (std::isfinite(number) && number >= least) return number;
  return InvalidInput(diagnostics::Quoted(path, 300) + ": expected the output of baleen bench engine --json with a number '" + key + "', found none");
}

BreakEven EvenAt(const char* name, std::int64_t price, std::int64_t peak_price, const KindCost& kind, const CostInputs& inputs) {
  BreakEven even;
  even.name = name;
  even.dollars = static_cast<double>(price) / 1e6;  // pico-dollars a token are micro-dollars for 1M of them
  even.peak_dollars = static_cast<double>(peak_price) / 1e6;
  const auto rate = [&](double dollars) { return 1e6 * inputs.BusyHour() / (3600 * dollars); };
  even.rate = rate(even.dollars);
  even.peak_rate = rate(even.peak_dollars);
  if (kind.runs > 0) even.reached = kind.rate_median / even.rate;
  return even;
}

}  // namespace

double MeasuredLoad::DollarsPerMillion(const CostInputs& inputs) const { return inputs.PerMillion((prompt_tokens + completion_tokens) / seconds); }

Result<double> DollarsAnHour(const HourlyCost& hourly, double watts) {
  if (hourly.rent) return *hourly.rent;
  if (!hourly.capital) return InvalidInput("cost: expected --rent, or --capex with --life-years, found neither; say what the machine costs");
  if (hourly.kwh_price > 0 && watts <= 0) return InvalidInput("cost: --kwh: expected --watts with it, found none");
  return *hourly.capital / (hourly.life_years * kHoursPerYear) + watts * hourly.pue * hourly.kwh_price / 1000 + hourly.operation;
}

KindCost CostOfKind(const std::string& name, const std::string& source, std::vector<double> rates, const CostInputs& inputs) {
  KindCost kind;
  kind.name = name;
  kind.source = source;
  kind.runs = static_cast<int>(rates.size());
  if (rates.empty()) return kind;
  std::sort(rates.begin(), rates.end());
  kind.rate_low = rates.front();
  kind.rate_median = rates[rates.size() / 2];
  kind.rate_high = rates.back();
  kind.dollars_low = inputs.PerMillion(kind.rate_high);
  kind.dollars_median = inputs.PerMillion(kind.rate_median);
  kind.dollars_high = inputs.PerMillion(kind.rate_low);
  return kind;
}

void Blend(const std::vector<KindCost>& kinds, const CostInputs& inputs, std::optional<double>& low, std::optional<double>& high) {
  const double tokens[] = {inputs.miss_tokens, inputs.hit_tokens, inputs.output_tokens};
  double all = 0, low_sum = 0, high_sum = 0;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (tokens[i] > 0 && kinds[i].runs == 0) return;
    all += tokens[i];
    low_sum += tokens[i] * kinds[i].dollars_low;
    high_sum += tokens[i] * kinds[i].dollars_high;
  }
  if (all <= 0) return;
  low = low_sum / all;
  high = high_sum / all;
}

Result<MeasuredLoad> ReadMeasuredLoad(const std::string& path) {
  TRY_ASSIGN(const std::string json, hardware::ReadFile(path, std::uint64_t{16} << 20));
  const Result<text::JsonValue> value = text::ParseJson(json);
  if (!value) return InvalidInput(diagnostics::Quoted(path, 300) + ": " + value.error().message);
  MeasuredLoad measured;
  const text::JsonValue *load = value->Find("load"), *together = value->Find("together_tokens_per_second");
  const text::JsonArray* runs = together != nullptr ? together->AsArray() : nullptr;
  if (load == nullptr || runs == nullptr || runs->empty()) {
    return InvalidInput(diagnostics::Quoted(path, 300) +
                        ": expected the output of baleen bench engine --json, with load and together_tokens_per_second, found other JSON");
  }
  for (const text::JsonValue& run : *runs) {
    const double* rate = std::get_if<double>(&run.value);
    if (rate == nullptr || !std::isfinite(*rate) || *rate <= 0)
      return InvalidInput(diagnostics::Quoted(path, 300) + ": together_tokens_per_second: expected numbers above 0, found something else");
    measured.decode_rates.push_back(*rate);
  }
  TRY_ASSIGN(measured.concurrency, Number(*value, "parallel", path, 1));
  TRY_ASSIGN(measured.seconds, Number(*load, "seconds", path, 1e-9));
  TRY_ASSIGN(measured.prompt_tokens, Number(*load, "prompt_tokens", path, 0));
  TRY_ASSIGN(measured.cached_tokens, Number(*load, "cached_tokens", path, 0));
  TRY_ASSIGN(measured.completion_tokens, Number(*load, "completion_tokens", path, 1));
  if (const text::JsonValue* between = load->Find("between_tokens_seconds")) {
    TRY_ASSIGN(const double seconds, Number(*between, "p50", path, 0));
    if (seconds > 0) measured.user_rate = 1 / seconds;
  }
  return measured;
}

std::vector<BreakEven> BreakEvens(const ledger::Rates& off_peak, const ledger::Rates& peak, const std::vector<KindCost>& kinds, const CostInputs& inputs) {
  std::vector<BreakEven> evens;
  if (off_peak.miss > 0) evens.push_back(EvenAt("cache miss", off_peak.miss, peak.miss, kinds[0], inputs));
  if (off_peak.hit > 0) evens.push_back(EvenAt("cache hit", off_peak.hit, peak.hit, kinds[1], inputs));
  if (off_peak.output > 0) evens.push_back(EvenAt("output", off_peak.output, peak.output, kinds[2], inputs));
  return evens;
}

}  // namespace baleen::apps

// baleen cost: what a million tokens cost on a machine of one's own, and how fast it must be to be as cheap as a price list.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "apps/commands.h"
#include "apps/cost_figures.h"
#include "ledger/price_list.h"

namespace baleen::apps {
namespace {

using nlohmann::ordered_json;

struct CostFlags {
  HourlyCost hourly;
  CostInputs inputs;
  std::vector<double> prefill, restore, decode;
  std::string rates_are = "projected", measured, prices, price_model = "deepseek-flash";
  bool json = false;
};

struct CostReport {
  CostInputs inputs;
  std::vector<KindCost> kinds;
  std::optional<double> blend_low, blend_high;  // of the stated workload
  std::optional<MeasuredLoad> load;
  std::vector<BreakEven> break_even;
  std::string price_model, price_source, price_date;
  std::string hourly_from;
};

Result<CostReport> MakeReport(const CostFlags& flags) {
  CostReport report;
  report.inputs = flags.inputs;
  TRY_ASSIGN(report.inputs.dollars_an_hour, DollarsAnHour(flags.hourly, flags.inputs.watts));
  report.hourly_from = flags.hourly.rent            ? "rent, given"
                       : flags.hourly.kwh_price > 0 ? "capital over its life, energy and operation, given"
                                                    : "capital over its life and operation, given; no energy";
  std::vector<double> decode = flags.decode;
  std::string decode_is = flags.rates_are;
  if (!flags.measured.empty()) {
    TRY_ASSIGN(report.load, ReadMeasuredLoad(flags.measured));
    if (decode.empty()) {
      decode = report.load->decode_rates;
      decode_is = "measured, with the time of the prompts";
    }
    if (!report.inputs.concurrency) report.inputs.concurrency = report.load->concurrency;
    if (!report.inputs.user_rate && report.load->user_rate > 0) report.inputs.user_rate = report.load->user_rate;
  }
  const std::string& stated = flags.rates_are;
  report.kinds = {CostOfKind("cache miss", stated, flags.prefill, report.inputs), CostOfKind("cache hit", stated, flags.restore, report.inputs),
                  CostOfKind("output", decode_is, decode, report.inputs)};
  Blend(report.kinds, report.inputs, report.blend_low, report.blend_high);
  ledger::PriceList list = ledger::PriceList::Shipped();
  if (!flags.prices.empty()) {
    TRY_ASSIGN(list, ledger::PriceList::Load(flags.prices));
  }
  const std::optional<ledger::Rates> off_peak = list.OffPeak(flags.price_model), peak = list.Peak(flags.price_model);
  if (!off_peak) return diagnostics::NotFound("--price-model: the price list has no price for '" + diagnostics::Quoted(flags.price_model) + "'");
  report.break_even = BreakEvens(*off_peak, *peak, report.kinds, report.inputs);
  report.price_model = flags.price_model;
  report.price_source = list.source();
  report.price_date = list.date();
  return report;
}

std::string Grouped(double value) {
  std::string digits = std::to_string(std::llround(std::min(value, 9e15)));
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string Rate(double rate) {
  char text[40];
  if (rate >= 20) return Grouped(rate);
  std::snprintf(text, sizeof text, "%.3g", rate);
  return text;
}

std::string Dollars(double dollars) {
  char text[40];
  if (dollars >= 1000) return Grouped(dollars);
  std::snprintf(text, sizeof text, dollars >= 0.1 ? "%.2f" : "%.3g", dollars);
  return text;
}

std::string Span(double low, double high, std::string (*write)(double)) {
  const std::string from = write(low), to = write(high);
  return from == to ? from : from + " to " + to;
}

std::string Line(const char* name, const std::string& text) {
  char head[40];
  std::snprintf(head, sizeof head, "%-12s  ", name);
  return head + text + "\n";
}

std::string WorkloadText(const CostInputs& inputs) {
  const auto number = [](const std::optional<double>& value, const char* what) { return value ? Rate(*value) + " " + what : what + std::string(" not given"); };
  std::string mix = "mix not given";
  if (inputs.prompt_tokens() + inputs.output_tokens > 0) {
    mix = "prompt " + Grouped(inputs.prompt_tokens()) + " tokens (" + Grouped(inputs.hit_tokens) + " from the cache), answer " + Grouped(inputs.output_tokens);
  }
  return mix + "; " + number(inputs.concurrency, "requests at once") + "; " + number(inputs.user_rate, "tokens/s for one user") + "; " +
         number(inputs.context, "tokens of context");
}

std::string KindText(const KindCost& kind, const CostInputs& inputs) {
  if (kind.runs == 0) return "not given";
  std::string text = "USD " + Span(kind.dollars_low, kind.dollars_high, Dollars) + "  at " + Span(kind.rate_low, kind.rate_high, Rate) + " tokens/s, " +
                     kind.source + ", " + std::to_string(kind.runs) + (kind.runs == 1 ? " run" : " runs");
  if (inputs.watts > 0)
    text += "; " + Dollars(inputs.watts / kind.rate_median) + " J a token, " + Rate(1000 * kind.rate_median / inputs.watts) + " tokens/s for each kW";
  return text;
}

std::string LoadText(const MeasuredLoad& load, const CostInputs& inputs) {
  const double tokens = load.prompt_tokens + load.completion_tokens;
  return "USD " + Dollars(load.DollarsPerMillion(inputs)) + " for 1M of all tokens, measured: " + Grouped(load.prompt_tokens) + " prompt tokens (" +
         Rate(load.prompt_tokens > 0 ? 100 * load.cached_tokens / load.prompt_tokens : 0) + " % from the cache) and " + Grouped(load.completion_tokens) +
         " of answers, " + Rate(tokens / load.seconds) + " tokens/s, 1 run";
}

std::string TextOf(const CostReport& report) {
  const CostInputs& inputs = report.inputs;
  std::string text = Line("machine", "USD " + Dollars(inputs.dollars_an_hour) + " an hour (" + report.hourly_from + "); busy " +
                                         Rate(100 * inputs.utilisation) + " % of the hours (given): USD " + Dollars(inputs.BusyHour()) + " for a busy hour");
  text += Line("workload", WorkloadText(inputs));
  text += Line("energy", inputs.watts > 0 ? Rate(inputs.watts) + " W, given, not measured" : "not measured");
  text += "\n1M tokens, if the machine does one kind of work at a time\n";
  for (const KindCost& kind : report.kinds) text += Line(kind.name.c_str(), KindText(kind, inputs));
  if (report.blend_low)
    text += Line("blend", "USD " + Span(*report.blend_low, *report.blend_high, Dollars) + " for 1M tokens of the workload, projected from the rates above");
  if (report.load) text += Line("load", LoadText(*report.load, inputs));
  text += "\nTokens/s at which it is as cheap as " + report.price_model + " (" + report.price_source + ", " + report.price_date + ")\n";
  for (const BreakEven& even : report.break_even) {
    std::string line =
        Rate(even.rate) + " at USD " + Dollars(even.dollars) + "; in peak hours " + Rate(even.peak_rate) + " at USD " + Dollars(even.peak_dollars);
    if (even.reached) line += "; the rate above is " + Rate(100 * *even.reached) + " % of the first";
    text += Line(even.name.c_str(), line);
  }
  return text;
}

ordered_json OrNull(const std::optional<double>& value) { return value ? ordered_json(*value) : ordered_json(); }

ordered_json JsonOf(const KindCost& kind, const CostInputs& inputs) {
  if (kind.runs == 0) return ordered_json();
  ordered_json json = {{"source", kind.source},
                       {"runs", kind.runs},
                       {"tokens_per_second", {{"low", kind.rate_low}, {"median", kind.rate_median}, {"high", kind.rate_high}}},
                       {"usd_per_million", {{"low", kind.dollars_low}, {"median", kind.dollars_median}, {"high", kind.dollars_high}}}};
  json["joules_per_token"] = inputs.watts > 0 ? ordered_json(inputs.watts / kind.rate_median) : ordered_json("not measured");
  return json;
}

ordered_json JsonOf(const CostReport& report) {
  const CostInputs& inputs = report.inputs;
  ordered_json json = {{"usd_per_hour", inputs.dollars_an_hour},
                       {"utilisation", inputs.utilisation},
                       {"usd_per_busy_hour", inputs.BusyHour()},
                       {"watts", inputs.watts > 0 ? ordered_json(inputs.watts) : ordered_json("not measured")},
                       {"workload",
                        {{"miss_tokens", inputs.miss_tokens},
                         {"hit_tokens", inputs.hit_tokens},
                         {"output_tokens", inputs.output_tokens},
                         {"concurrency", OrNull(inputs.concurrency)},
                         {"user_tokens_per_second", OrNull(inputs.user_rate)},
                         {"context", OrNull(inputs.context)}}},
                       {"miss", JsonOf(report.kinds[0], inputs)},
                       {"hit", JsonOf(report.kinds[1], inputs)},
                       {"output", JsonOf(report.kinds[2], inputs)}};
  json["blend"] = report.blend_low ? ordered_json{{"source", "projected"}, {"usd_per_million", {{"low", *report.blend_low}, {"high", *report.blend_high}}}}
                                   : ordered_json();
  json["load"] = report.load ? ordered_json{{"source", "measured"}, {"usd_per_million", report.load->DollarsPerMillion(inputs)}} : ordered_json();
  ordered_json& even = json["break_even"] = {{"model", report.price_model}, {"prices", report.price_source}, {"date", report.price_date}};
  for (const BreakEven& one : report.break_even) {
    even[one.name.starts_with("cache ") ? one.name.substr(6) : one.name] = {{"usd_per_million", one.dollars},
                                                                            {"tokens_per_second", one.rate},
                                                                            {"peak_usd_per_million", one.peak_dollars},
                                                                            {"peak_tokens_per_second", one.peak_rate},
                                                                            {"reached", OrNull(one.reached)}};
  }
  return json;
}

Status Cost(const CostFlags& flags) {
  TRY_ASSIGN(const CostReport report, MakeReport(flags));
  return WriteStandardOutput(flags.json ? JsonOf(report).dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n" : TextOf(report));
}

/// As CLI::Range, which lets NaN pass.
CLI::Validator Between(double least, double most) {
  const auto check = [least, most](const std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most) return std::string();
    char expected[100];
    std::snprintf(expected, sizeof expected, "expected a number from %g to %g, found '", least, most);
    return expected + diagnostics::Quoted(text) + "'";
  };
  return CLI::Validator(check, "");
}

void AddMachine(CLI::App& command, CostFlags& flags) {
  const auto dollars = Between(0, 1e12), positive = Between(1e-9, 1e12);
  HourlyCost& hourly = flags.hourly;
  CLI::Option* rent = command.add_option("--rent", hourly.rent, "USD an hour for the machine")->check(positive);
  CLI::Option* capex = command.add_option("--capex", hourly.capital, "Or: USD to buy it, with --life-years")->check(positive)->excludes(rent);
  CLI::Option* life = command.add_option("--life-years", hourly.life_years, "Years it is used")->check(Between(0.01, 100));
  capex->needs(life);
  life->needs(capex);
  command.add_option("--watts", flags.inputs.watts, "W it draws on average, for the energy of a token and, with --kwh, for its price")->check(dollars);
  command.add_option("--pue", hourly.pue, "W of the building for each W of the machine")->check(Between(1, 10))->capture_default_str();
  command.add_option("--kwh", hourly.kwh_price, "USD for a kWh")->check(dollars)->needs(capex);
  command.add_option("--opex", hourly.operation, "USD an hour for its operation")->check(dollars)->needs(capex);
  command.add_option("--utilisation", flags.inputs.utilisation, "Part of the hours in which it is busy, above 0 and up to 1; there is no default")
      ->check(Between(1e-6, 1))
      ->required();
}

void AddRates(CLI::App& command, CostFlags& flags) {
  const auto rate = Between(1e-6, 1e12), tokens = Between(0, 1e12);
  command.add_option("--prefill", flags.prefill, "Prompt tokens/s computed (cache miss); one value for each run")->check(rate);
  command.add_option("--restore", flags.restore, "Prompt tokens/s taken from the cache (hit); one value for each run")->check(rate);
  command.add_option("--decode", flags.decode, "Tokens/s of answers, all sequences together; one value for each run")->check(rate);
  command.add_option("--rates", flags.rates_are, "What these rates are")->check(CLI::IsMember({"measured", "projected"}))->capture_default_str();
  command.add_option("--measured", flags.measured, "Output of baleen bench engine --json: the rate of answers and a measured load");
  command.add_option("--miss-tokens", flags.inputs.miss_tokens, "Workload: prompt tokens of a request that are computed")->check(tokens);
  command.add_option("--hit-tokens", flags.inputs.hit_tokens, "Workload: prompt tokens of a request from the cache")->check(tokens);
  command.add_option("--output-tokens", flags.inputs.output_tokens, "Workload: tokens of an answer")->check(tokens);
  command.add_option("--context", flags.inputs.context, "Tokens of context at which the rates hold")->check(rate);
  command.add_option("--concurrency", flags.inputs.concurrency, "Requests at once at which the rates hold")->check(rate);
  command.add_option("--user-rate", flags.inputs.user_rate, "Tokens/s that one user sees then")->check(rate);
}

}  // namespace

void AddCostCommand(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<CostFlags>();
  CLI::App* command = app.add_subcommand("cost", "What 1M tokens cost on a machine, and how fast it must be to be as cheap as a price list.");
  AddMachine(*command, *flags);
  AddRates(*command, *flags);
  command->add_option("--prices", flags->prices, "Price list to compare with (default: DeepSeek's published prices, as shipped)");
  command->add_option("--price-model", flags->price_model, "Its model")->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(
      "The three prices assume that the machine does one kind of work at a time. Examples:\n  baleen cost --rent 3 --utilisation 0.5 --prefill 980 1000 1020 "
      "--decode 240 250 251 --rates "
      "measured\n  baleen cost --capex 6000 --life-years 4 --watts 400 --kwh 0.30 --utilisation 0.3 --measured engine.json");
  command->callback([flags, &exit_code] { Run(exit_code, [&] { return Cost(*flags); }); });
}

}  // namespace baleen::apps

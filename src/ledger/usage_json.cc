#include "ledger/usage_json.h"

#include <nlohmann/json.hpp>

namespace baleen::ledger {
namespace {

using nlohmann::ordered_json;

ordered_json TotalsJson(const UsageTotals& totals) {
  return {{"requests", totals.requests},
          {"failed", totals.failed},
          {"prompt_tokens", totals.prompt_tokens},
          {"prompt_cache_hit_tokens", totals.hit_tokens},
          {"prompt_cache_miss_tokens", totals.miss_tokens},
          {"completion_tokens", totals.completion_tokens},
          {"reasoning_tokens", totals.reasoning_tokens},
          {"total_tokens", totals.prompt_tokens + totals.completion_tokens},
          {"cost_usd", ToDollars(totals.cost)},
          {"cost_usd_exact", WriteDollars(totals.cost)}};
}

ordered_json GroupsJson(const std::map<std::string, UsageTotals>& groups) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, totals] : groups) object[name] = TotalsJson(totals);
  return object;
}

}  // namespace

ordered_json JsonOf(const UsageReport& report) {
  return {{"total", TotalsJson(report.total)},
          {"by_key", GroupsJson(report.by_key)},
          {"by_model", GroupsJson(report.by_model)},
          {"by_day", GroupsJson(report.by_day)}};
}

}  // namespace baleen::ledger

#include "ledger/key.h"

#include <algorithm>
#include <limits>

namespace baleen::ledger {

std::optional<PicoDollars> Balance::MoneyLeft() const {
  std::optional<PicoDollars> left;
  if (quotas.money_per_month) left = *quotas.money_per_month - money_this_month;
  if (quotas.money_total) left = std::min(left.value_or(std::numeric_limits<PicoDollars>::max()), *quotas.money_total - money_total);
  if (left) left = std::max<PicoDollars>(*left, 0);
  return left;
}

Status CheckKeyName(const std::string& name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'; };
  if (!name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), fits)) return {};
  return diagnostics::InvalidInput("name of a key: expected 1 to 64 letters, digits, '.', '_' and '-', found '" + diagnostics::Quoted(name) + "'");
}

Status CheckQuotas(const Quotas& quotas) {
  constexpr PicoDollars kMost = std::numeric_limits<std::int64_t>::max();
  const std::pair<const char*, std::optional<PicoDollars>> all[] = {{"concurrent requests", quotas.concurrent_requests},
                                                                    {"tokens a day", quotas.tokens_per_day},
                                                                    {"tokens in total", quotas.tokens_total},
                                                                    {"money a month", quotas.money_per_month},
                                                                    {"money in total", quotas.money_total}};
  for (const auto& [name, value] : all) {
    if (value && (*value < 0 || *value > kMost))
      return diagnostics::InvalidInput(std::string("quota of ") + name + ": expected 0 to 2^63 - 1, found another number");
  }
  return {};
}

}  // namespace baleen::ledger

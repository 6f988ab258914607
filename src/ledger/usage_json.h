#pragma once

#include <nlohmann/json_fwd.hpp>

#include "ledger/usage.h"

namespace baleen::ledger {

/// {"total": …, "by_key": {NAME: …}, "by_model": {…}, "by_day": {…}}; each … is the sum of one group, with the money as the nearest double
/// (cost_usd) and as an exact decimal in a string (cost_usd_exact).
nlohmann::ordered_json JsonOf(const UsageReport& report);

}  // namespace baleen::ledger

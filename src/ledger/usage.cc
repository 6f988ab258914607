#include "ledger/usage.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baleen::ledger {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;

bool IsText(const std::string& text, std::size_t least, std::size_t most) {
  return text.size() >= least && text.size() <= most && std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

diagnostics::Error Wrong(const std::string& field, const std::string& expected) {
  return diagnostics::InvalidInput("usage record: " + field + ": expected " + expected + ", found something else");
}

}  // namespace

Status CheckRecord(const UsageRecord& record) {
  if (!IsText(record.request_id, 1, 256)) return Wrong("request_id", "1 to 256 bytes without control characters");
  for (const std::string* text : {&record.model, &record.route, &record.finish}) {
    if (!IsText(*text, 0, 1024)) return Wrong("model, route and finish", "at most 1,024 bytes without control characters");
  }
  if (record.time < 0 || record.time > std::int64_t{1} << 40) return Wrong("time", "unix seconds");
  for (const std::int64_t tokens :
       {record.prompt_tokens, record.hit_tokens, record.miss_tokens, record.completion_tokens, record.reasoning_tokens, record.choices}) {
    if (tokens < 0 || tokens > kMostTokens) return Wrong("tokens and choices", "0 to 2^40");
  }
  if (record.status < 0 || record.status > 999) return Wrong("status", "a status of HTTP");
  for (const double seconds : {record.queue_seconds, record.first_token_seconds, record.total_seconds}) {
    if (!std::isfinite(seconds) || seconds < 0) return Wrong("seconds", "a finite number of 0 or more");
  }
  if (record.cost < 0 || record.cost > std::numeric_limits<std::int64_t>::max()) return Wrong("cost", "0 to 2^63 - 1 pico-dollars");
  return {};
}

UsageTotals& UsageTotals::operator+=(const UsageTotals& other) {
  requests += other.requests;
  failed += other.failed;
  prompt_tokens += other.prompt_tokens;
  hit_tokens += other.hit_tokens;
  miss_tokens += other.miss_tokens;
  completion_tokens += other.completion_tokens;
  reasoning_tokens += other.reasoning_tokens;
  cost += other.cost;
  return *this;
}

}  // namespace baleen::ledger

#include "apps/arrival_trace.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "diagnostics/error.h"
#include "engine/counter_random.h"
#include "hardware/file.h"

namespace baleen::apps {
namespace {

constexpr std::uint64_t kFileLimitBytes = std::uint64_t{256} << 20;
constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;
constexpr std::int32_t kFirstOrdinaryId = 16;  // the ids before are special tokens in the released vocabularies and in the bundled one

/// A whole number of the line, within [0, most]. Errors name the field.
Result<std::int64_t> Whole(const nlohmann::json& line, const char* field, std::int64_t otherwise, std::int64_t most) {
  const auto found = line.find(field);
  if (found == line.end()) {
    if (otherwise >= 0) return otherwise;
    return diagnostics::InvalidInput(std::string(field) + ": expected a whole number, found nothing");
  }
  if (!found->is_number_integer() || (found->is_number_unsigned() ? found->get<std::uint64_t>() > static_cast<std::uint64_t>(most) : true)) {
    return diagnostics::InvalidInput(std::string(field) + ": expected a whole number from 0 to " + std::to_string(most));
  }
  return found->get<std::int64_t>();
}

Result<Arrival> ParseArrival(const std::string& text) {
  if (std::count(text.begin(), text.end(), '{') + std::count(text.begin(), text.end(), '[') > 1) {
    return diagnostics::InvalidInput("expected one JSON object without others inside");
  }
  const nlohmann::json line = nlohmann::json::parse(text, nullptr, false);
  if (!line.is_object()) return diagnostics::InvalidInput("expected a JSON object such as {\"at\": 0.5, \"prompt_tokens\": 100, \"answer_tokens\": 20}");
  Arrival arrival;
  const auto at = line.find("at");
  if (at == line.end() || !at->is_number() || !(at->get<double>() >= 0) || at->get<double>() > 1e6) {
    return diagnostics::InvalidInput("at: expected seconds from 0 to 1000000");
  }
  arrival.at_seconds = at->get<double>();
  TRY_ASSIGN(arrival.prompt_tokens, Whole(line, "prompt_tokens", -1, kMostTokens));
  TRY_ASSIGN(arrival.answer_tokens, Whole(line, "answer_tokens", -1, kMostTokens));
  TRY_ASSIGN(arrival.group, Whole(line, "group", 0, kMostTokens));
  TRY_ASSIGN(arrival.shared_tokens, Whole(line, "shared_tokens", 0, kMostTokens));
  TRY_ASSIGN(const std::int64_t priority, Whole(line, "priority", 0, 100));
  arrival.priority = static_cast<int>(priority);
  if (arrival.prompt_tokens < 1 || arrival.answer_tokens < 1) return diagnostics::InvalidInput("prompt_tokens, answer_tokens: expected at least 1");
  return arrival;
}

}  // namespace

std::vector<Arrival> MakeArrivals(const LoadShape& shape) {
  std::vector<Arrival> arrivals;
  double at = 0;
  for (std::int64_t i = 0; i < shape.requests; ++i) {
    if (shape.rate > 0) at -= std::log1p(-engine::UniformAt(shape.seed, static_cast<std::uint64_t>(i))) / shape.rate;
    arrivals.push_back({at, shape.prompt_tokens, shape.answer_tokens, 0, std::min(shape.shared_tokens, shape.prompt_tokens), 0});
  }
  return arrivals;
}

Result<std::vector<Arrival>> ReadArrivals(const std::filesystem::path& path) {
  TRY_ASSIGN(const std::string text, hardware::ReadFile(path, kFileLimitBytes));
  std::vector<Arrival> arrivals;
  std::istringstream lines(text);
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    Result<Arrival> arrival = ParseArrival(line);
    if (!arrival) {
      return diagnostics::InvalidInput(diagnostics::Quoted(path.string(), 300) + ", line " + std::to_string(number) + ": " + arrival.error().message);
    }
    arrivals.push_back(*arrival);
  }
  if (arrivals.empty()) return diagnostics::InvalidInput(diagnostics::Quoted(path.string(), 300) + ": expected at least one arrival, found none");
  std::stable_sort(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.at_seconds < b.at_seconds; });
  return arrivals;
}

std::vector<std::int32_t> PromptOf(const Arrival& arrival, std::int64_t number, std::int64_t vocab) {
  std::vector<std::int32_t> ids;
  ids.reserve(static_cast<std::size_t>(arrival.prompt_tokens));
  const std::int32_t first = vocab > 2 * kFirstOrdinaryId ? kFirstOrdinaryId : 0;
  for (std::int64_t i = 0; i < arrival.prompt_tokens; ++i) {
    const std::uint64_t stream = i < arrival.shared_tokens ? static_cast<std::uint64_t>(arrival.group) : 1000003u + static_cast<std::uint64_t>(number);
    ids.push_back(first + static_cast<std::int32_t>(engine::UniformAt(stream, static_cast<std::uint64_t>(i)) * static_cast<double>(vocab - first)));
  }
  return ids;
}

}  // namespace baleen::apps

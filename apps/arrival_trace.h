#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::apps {

/// One request of a load: when it comes and how large it is. Requests of one group begin with the same `shared` tokens.
struct Arrival {
  double at_seconds = 0;
  std::int64_t prompt_tokens = 0, answer_tokens = 0;
  std::int64_t group = 0, shared_tokens = 0;
  int priority = 0;
};

/// A load made of numbers.
struct LoadShape {
  std::int64_t requests = 64, prompt_tokens = 256, answer_tokens = 64, shared_tokens = 128;
  double rate = 0;  // requests a second, at random (exponential gaps); 0 = all at once
  std::uint64_t seed = 1;
};

/// The same arrivals for the same shape, on every machine.
std::vector<Arrival> MakeArrivals(const LoadShape& shape);

/// JSON lines {"at": seconds, "prompt_tokens": n, "answer_tokens": n, "group": n, "shared_tokens": n, "priority": n}; the first three are
/// required. Rising times are not. Errors name file, line and field.
Result<std::vector<Arrival>> ReadArrivals(const std::filesystem::path& path);

/// The prompt's ids: of its group for shared_tokens, of its own behind them. Ids from 16 to vocab − 1.
std::vector<std::int32_t> PromptOf(const Arrival& arrival, std::int64_t number, std::int64_t vocab);

}  // namespace baleen::apps

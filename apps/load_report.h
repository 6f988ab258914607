#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace baleen::apps {

/// What one request of a load met, in seconds from the load's beginning.
struct RequestTimes {
  double submitted = 0, started = 0, ended = 0;
  std::vector<double> tokens;  // when each came
  engine::Ending ending;
};

/// The numbers of a load.
struct LoadFigures {
  double seconds = 0, tokens_per_second = 0;
  double first_token_p50 = 0, first_token_p99 = 0;  // from the submission
  double between_p50 = 0, between_p99 = 0;          // of two tokens of one answer
  double hit_rate = 0;                              // prompt tokens that came from the cache
  std::int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0, failed = 0;
};

LoadFigures FiguresOf(const std::vector<RequestTimes>& times);

/// A picture of the load: a line for every request (waiting, reading its prompt, writing), and how first-token times and gaps are spread.
/// Self-contained SVG; `title` is shown above.
std::string LoadSvg(const std::vector<RequestTimes>& times, const LoadFigures& figures, const std::string& title);

}  // namespace baleen::apps

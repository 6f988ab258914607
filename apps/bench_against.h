#pragma once

#include <cstdint>
#include <string>

#include "diagnostics/result.h"

namespace baleen::apps {

struct AgainstFlags {
  std::string command;                                            // of the other engine, for /bin/sh
  std::string ours = "bench model --prompt 256 --decode 32 --repeats 0";  // arguments of this program
  std::int64_t rounds = 5;
  double seconds = 600;
  bool json = false;
};

/// Runs this program and another engine's command in turns, each as a process of its own, and prints the time and the CPU time that both took. Which
/// of the two begins alternates; a first round warms up and does not count. No round begins after `seconds`; a command that runs then is killed.
/// Errors: one of them fails (with the end of what it said), or has not ended when the time is over and no round counts.
Status RunBenchAgainst(const AgainstFlags& flags);

}  // namespace baleen::apps

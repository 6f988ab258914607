#pragma once

#include <functional>
#include <vector>

#include "diagnostics/result.h"
#include "hardware/memory.h"
#include "hardware/workers.h"
#include "kernels/table.h"

namespace baleen::apps {

/// One repetition of something that every thread of a team does at the same time.
struct Repetition {
  double seconds = 0;    // from the first thread's beginning to the last one's end
  bool clean = false;    // every thread had its core for at least 98 % of its time
  double probe = 0;      // seconds of the probe, the slower of before and after, on the slowest thread
};

/// Times repetitions on a team, with a probe of the cores around each: a loop of the machine's best multiplication from the first level of the
/// cache. Where another tenant works on a core's second hardware thread, it takes longer, and so does everything else.
class KernelClock {
 public:
  KernelClock(hardware::Workers& workers, const kernels::Peaks& peaks);

  /// Runs work(thread) once on every thread, all beginning together.
  Repetition Time(const std::function<void(int)>& work);

  /// The shortest probe so far.
  double best_probe() const noexcept { return best_probe_; }
  double ProbeFlops() const noexcept { return static_cast<double>(peaks_->steps) * peaks_->flops; }

 private:
  double Probe(int thread) noexcept;

  hardware::Workers* workers_;
  const kernels::Peaks* peaks_;
  std::vector<hardware::Region> operands_;  // of each thread's probe
  double best_probe_ = 1e9;
};

/// Whether its cores were as fast as in the best one.
bool IsFast(const Repetition& repetition, double best_probe);

/// The repetitions that count: the clean ones whose probe took at most 1.3 of the best; where these are fewer than three, the clean ones;
/// where there is none, all of them.
struct Counted {
  double seconds = 0;     // median
  std::int64_t clean = 0; // how many were clean
  bool fast = false;      // whether the median is of fast ones
};
Counted Count(const std::vector<Repetition>& repetitions, double best_probe);

}  // namespace baleen::apps

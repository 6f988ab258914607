#include "apps/kernel_clock.h"

#include <time.h>

#include <algorithm>
#include <atomic>

#include "apps/measure.h"
#include "diagnostics/check.h"

namespace baleen::apps {
namespace {

constexpr double kCleanShare = 0.98, kFastProbe = 1.3;
constexpr std::size_t kFewest = 3;

double Seconds(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

KernelClock::KernelClock(hardware::Workers& workers, const kernels::Peaks& peaks) : workers_(&workers), peaks_(&peaks) {
  for (int thread = 0; thread < workers.threads(); ++thread) {
    auto region = hardware::Region::Allocate(kernels::kPeakBytes, "the probe of a core");
    CHECK(region.has_value());
    operands_.push_back(std::move(*region));
  }
}

double KernelClock::Probe(int thread) noexcept {
  const double begin = Seconds(CLOCK_MONOTONIC);
  peaks_->multiply(peaks_->steps, operands_[static_cast<std::size_t>(thread)].data());
  return Seconds(CLOCK_MONOTONIC) - begin;
}

Repetition KernelClock::Time(const std::function<void(int)>& work) {
  struct Share {
    double begin = 0, end = 0, cpu = 0, probe = 0;
  };
  const int threads = workers_->threads();
  std::vector<Share> shares(static_cast<std::size_t>(threads));
  std::atomic<int> arrived{0};
  // Nobody goes on before all are there, so every thread runs one part.
  workers_->Run(threads, [&](std::int64_t part, int) noexcept {
    const auto thread = static_cast<int>(part);
    Share& share = shares[static_cast<std::size_t>(part)];
    arrived.fetch_add(1);
    while (arrived.load() < threads) {
    }
    const double before = Probe(thread), cpu = Seconds(CLOCK_THREAD_CPUTIME_ID);
    share.begin = Seconds(CLOCK_MONOTONIC);
    work(thread);
    share.end = Seconds(CLOCK_MONOTONIC);
    share.cpu = Seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    share.probe = std::max(before, Probe(thread));
  });
  Repetition repetition{.seconds = 0, .clean = true, .probe = 0};
  double begin = shares[0].begin, end = 0;
  for (const Share& share : shares) {
    begin = std::min(begin, share.begin);
    end = std::max(end, share.end);
    repetition.clean = repetition.clean && share.cpu >= kCleanShare * (share.end - share.begin);
    repetition.probe = std::max(repetition.probe, share.probe);
  }
  repetition.seconds = end - begin;
  best_probe_ = std::min(best_probe_, repetition.probe);
  return repetition;
}

bool IsFast(const Repetition& repetition, double best_probe) { return repetition.probe <= kFastProbe * best_probe; }

Counted Count(const std::vector<Repetition>& repetitions, double best_probe) {
  Counted counted;
  std::vector<double> all, clean, fast;
  for (const Repetition& repetition : repetitions) {
    all.push_back(repetition.seconds);
    if (!repetition.clean) continue;
    clean.push_back(repetition.seconds);
    if (IsFast(repetition, best_probe)) fast.push_back(repetition.seconds);
  }
  counted.clean = static_cast<std::int64_t>(clean.size());
  counted.fast = fast.size() >= kFewest;
  std::vector<double>& chosen = counted.fast ? fast : !clean.empty() ? clean : all;
  counted.seconds = Median(std::move(chosen));
  return counted;
}

}  // namespace baleen::apps

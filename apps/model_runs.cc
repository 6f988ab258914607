#include "apps/model_runs.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "apps/measure.h"
#include "diagnostics/progress.h"

namespace baleen::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kWaitShare = 0.02;  // of a clean repetition's time a thread may have waited for a core

/// Ids that depend on nothing but their place.
std::vector<std::int32_t> Ids(std::int64_t count, std::int64_t vocab) {
  std::vector<std::int32_t> ids;
  std::uint64_t state = 88172645463325252u;
  for (std::int64_t i = 0; i < count; ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    ids.push_back(static_cast<std::int32_t>(state % static_cast<std::uint64_t>(vocab)));
  }
  return ids;
}

void Feed(model::Transformer& model, kvcache::Sequence& sequence, std::span<const std::int32_t> tokens) {
  const model::Segment segment{&sequence, static_cast<std::int64_t>(tokens.size())};
  const std::int32_t last = static_cast<std::int32_t>(tokens.size()) - 1;
  model.Forward({tokens, {&segment, 1}, {&last, 1}, {}});
}

std::int32_t Likeliest(model::Transformer& model) {
  const auto logits = model.Logits(0);
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// Seconds that this process's threads have waited for a core, all together.
double WaitedSeconds() {
  double waited = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream statistics(task.path() / "schedstat");
    double ran = 0, waits = 0;
    if (statistics >> ran >> waits) waited += 1e-9 * waits;
  }
  return waited;
}

/// What is measured beside the model: the probe of the cores and the machine's two peaks.
struct Bystander {
  Bystander(backend::Device& device, const WeightPool& weights, std::vector<hardware::Region>& operands)
      : clock(device.workers(), device.kernels().peaks), cases(PeakCases(device.kernels().peaks, device.workers().threads(), weights, operands)), repetitions(cases.size()) {}

  double Probe() {
    return clock.Time([](int) {}).probe;
  }
  void MeasurePeaks() {
    constexpr std::size_t kTurns = 6;
    for (std::size_t turn = 0; turn < kTurns * cases.size(); ++turn) {
      const std::size_t i = turn % cases.size();
      repetitions[i].push_back(clock.Time([&](int thread) { cases[i].run(thread, static_cast<std::int64_t>(repetitions[i].size())); }));
    }
  }

  KernelClock clock;
  std::vector<KernelCase> cases;
  std::vector<std::vector<Repetition>> repetitions;
};

/// One pass over the contexts.
class Pass {
 public:
  Pass(model::Transformer& model, kvcache::Sequence& sequence, const ModelRunPlan& plan, Clock::time_point until)
      : model_(&model), sequence_(&sequence), plan_(&plan), ids_(Ids(plan.contexts.back(), plan.vocab)), until_(until) {
    sequence.Reset();
  }

  /// False where the time was over.
  bool Prefill(std::int64_t context) {
    const std::int64_t rows = model_->limits().rows;
    for (std::int64_t at = sequence_->length(); at < context; at = sequence_->length()) {
      if (Clock::now() >= until_) return false;
      Feed(*model_, *sequence_, std::span(ids_).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(std::min(rows, context - at))));
    }
    return true;
  }
  bool Decode() {
    const auto heap = static_cast<std::int64_t>(mallinfo2().uordblks);
    for (std::int64_t i = 0; i < plan_->decode; ++i) {
      if (Clock::now() >= until_) return false;
      const std::int32_t next = Likeliest(*model_);
      hash_ = Hash(&next, sizeof next, hash_);
      Feed(*model_, *sequence_, {&next, 1});
    }
    heap_growth_ = std::max(heap_growth_, static_cast<std::int64_t>(mallinfo2().uordblks) - heap);
    return true;
  }
  std::int64_t heap_growth() const noexcept { return heap_growth_; }
  /// Of the tokens chosen so far, and of the one that is the likeliest now.
  std::uint64_t hash() const {
    const std::int32_t next = Likeliest(*model_);
    return Hash(&next, sizeof next, hash_);
  }

 private:
  model::Transformer* model_;
  kvcache::Sequence* sequence_;
  const ModelRunPlan* plan_;
  std::vector<std::int32_t> ids_;
  Clock::time_point until_;
  std::uint64_t hash_ = kHashBegin;
  std::int64_t heap_growth_ = 0;
};

/// The part's turn in a pass. False where the time was over.
bool TimePart(Pass& pass, ModelPart& part, int threads, Bystander& beside, Repetition& repetition) {
  beside.MeasurePeaks();
  const double probe = beside.Probe(), waited = WaitedSeconds();
  const auto begin = Clock::now();
  if (!(part.prefill ? pass.Prefill(part.context) : pass.Decode())) return false;
  repetition.seconds = Since(begin);
  repetition.clean = WaitedSeconds() - waited <= kWaitShare * repetition.seconds * threads;
  repetition.probe = std::max(probe, beside.Probe());
  return true;
}

std::vector<ModelPart> PartsOf(const ModelRunPlan& plan) {
  std::vector<ModelPart> parts;
  std::int64_t at = 0;
  for (const std::int64_t context : plan.contexts) {
    parts.push_back({.prefill = true, .context = context, .tokens = context - at});
    parts.push_back({.prefill = false, .context = context, .tokens = plan.decode});
    at = context + plan.decode;
  }
  return parts;
}

std::string NameOf(const ModelPart& part) { return std::string(part.prefill ? "prefill to " : "decode at ") + std::to_string(part.context) + " tokens"; }

Status SameHash(ModelPart& part, std::uint64_t hash, bool first) {
  if (first) part.hash = hash;
  if (part.hash == hash) return {};
  return diagnostics::ResourceError(NameOf(part) + ": expected the same tokens in every pass, found output " + Hex(part.hash) + ", then " + Hex(hash) +
                                    "; the machine's memory or this program is at fault: please report it");
}

}  // namespace

Counted ModelPart::Time(double best_probe) const {
  const bool warm = repetitions.size() > 1;
  return Count({repetitions.begin() + (warm ? 1 : 0), repetitions.end()}, best_probe);
}

std::vector<double> ModelPart::TokensPerSecond() const {
  std::vector<double> rates;
  for (const Repetition& repetition : repetitions) rates.push_back(static_cast<double>(tokens) / repetition.seconds);
  return rates;
}

void WarmUp(model::Transformer& model, kvcache::Sequence& sequence, const ModelRunPlan& plan) {
  Pass pass(model, sequence, plan, Clock::time_point::max());
  pass.Prefill(std::min(plan.contexts.front(), model.limits().rows));
  const std::int32_t next = Likeliest(model);
  Feed(model, sequence, {&next, 1});
}

Result<ModelRuns> RunModel(model::Transformer& model, backend::Device& device, kvcache::Sequence& sequence, const ModelRunPlan& plan) {
  const auto begin = Clock::now();
  const auto until = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(plan.seconds));
  const int threads = device.workers().threads();
  TRY_ASSIGN(const WeightPool weights, WeightPool::Create());
  TRY_ASSIGN(std::vector<hardware::Region> operands, PeakOperands(threads));
  Bystander beside(device, weights, operands);
  ModelRuns runs{.parts = PartsOf(plan), .machine = {}, .read_bytes_per_second = {}};
  const std::int64_t passes = plan.repeats == 0 ? 1 : plan.repeats + 2;
  diagnostics::Progress progress("bench model", static_cast<std::uint64_t>(passes) * runs.parts.size(), "parts");
  for (std::int64_t number = 0; number < passes; ++number) {
    const bool watched = number == 1;
    std::optional<OpWatch> watch;
    if (watched) watch.emplace(device);
    Pass pass(model, sequence, plan, until);
    for (std::size_t i = 0; i < runs.parts.size(); ++i, progress.Advance(1)) {
      ModelPart& part = runs.parts[i];
      Repetition repetition;
      if (!TimePart(pass, part, threads, beside, repetition)) {
        if (number == 0) runs.parts.resize(i);  // nobody reaches it
        break;
      }
      runs.heap_growth = std::max(runs.heap_growth, pass.heap_growth());
      TRY(SameHash(part, pass.hash(), number == 0));
      if (watched) {
        part.operations = watch->Take();
        part.watched_seconds = repetition.seconds;
      } else {
        part.repetitions.push_back(repetition);
      }
    }
    if (Clock::now() >= until) break;
  }
  if (runs.parts.size() < 2) {
    return diagnostics::InvalidInput("--seconds: " + NameOf(PartsOf(plan)[runs.parts.size()]) + " was not finished in time; give it more seconds, or begin with a shorter context");
  }
  runs.machine = MachineOf(device.kernels().peaks, device.isa(), threads, beside.clock, beside.cases, beside.repetitions);
  for (const Repetition& repetition : beside.repetitions[0]) runs.read_bytes_per_second.push_back(beside.cases[0].bytes / repetition.seconds);
  return runs;
}

}  // namespace baleen::apps

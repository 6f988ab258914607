#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/kernel_clock.h"
#include "apps/machine_peaks.h"
#include "apps/op_watch.h"
#include "kvcache/sequence.h"
#include "model/transformer.h"

namespace baleen::apps {

/// What `bench model` runs: one sequence, which each pass begins anew. At each context it prefills on to there, then decodes greedily.
struct ModelRunPlan {
  std::vector<std::int64_t> contexts;  // tokens before the decode, each more than the one before and its decode
  std::int64_t decode = 32, repeats = 3;
  double seconds = 300;                // bound of all passes
  std::int64_t vocab = 0;
};

/// Prefill up to a context, or decode from there on, over all passes.
struct ModelPart {
  bool prefill = false;
  std::int64_t context = 0, tokens = 0;       // tokens: fed to the model
  std::vector<Repetition> repetitions;        // the first one warms up
  double watched_seconds = 0;                 // of the pass that was watched; 0 = the time was over before
  std::vector<OpCount> operations;            // of that pass
  std::uint64_t hash = 0;                     // of the tokens chosen so far

  /// Median of the repetitions that count, without the first one where there are others.
  Counted Time(double best_probe) const;
  std::vector<double> TokensPerSecond() const;  // of every repetition
};

struct ModelRuns {
  std::vector<ModelPart> parts;  // those reached in time: prefill and decode of every context in turn
  MachineFigures machine;
  std::vector<double> read_bytes_per_second;  // B, each time it was measured
  std::int64_t heap_growth = 0;               // bytes of the heap that a decode kept at most
};

/// One pass of the first context alone, which takes what memory a step takes. Nothing is measured.
void WarmUp(model::Transformer& model, kvcache::Sequence& sequence, const ModelRunPlan& plan);

/// All passes: the first warms up, the second is watched, `repeats` more are timed as they are (none where repeats is 0: the first is then the only
/// one). The peaks of the machine are measured before every part. Errors: a first part that the time does not suffice for; outputs that differ
/// between passes; memory.
Result<ModelRuns> RunModel(model::Transformer& model, backend::Device& device, kvcache::Sequence& sequence, const ModelRunPlan& plan);

}  // namespace baleen::apps

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "diagnostics/result.h"
#include "hardware/cpu.h"
#include "hardware/memory.h"

namespace baleen::apps {

/// One kernel on one shape: what a line of `bench kernels` measures.
struct KernelCase {
  std::string op, format, arithmetic, place;  // place: "l2", operands of a thread fit its second cache; "ram": nothing of them is in any
  hardware::Isa isa = hardware::Isa::kReference;
  std::int64_t rows = 0, n = 0, k = 0;
  double bytes = 0, flops = 0;  // of one repetition, all threads together; bytes: weights or cached rows
  std::int64_t items = 0;       // keys or scores of a repetition, where they are what counts
  std::function<void(int thread, std::int64_t repetition)> run;
  std::function<std::uint64_t()> hash;  // of what repetition 0 gives
};

/// Which cases are wanted; an empty list means all.
struct CaseFilter {
  std::vector<std::string> ops, formats;
  std::vector<std::int64_t> rows;
};

/// Memory that the cases' weights lie in, larger than any cache: every byte is plausible in every format.
class WeightPool {
 public:
  static Result<WeightPool> Create();
  /// `bytes` from a place that no call before gave, as long as the pool lasts; then it begins anew.
  const std::byte* Place(std::int64_t index, std::int64_t bytes) const noexcept;
  const hardware::Region& region() const noexcept { return region_; }

 private:
  hardware::Region region_;
};

/// The cases of this machine: linear layers of every format in V4-Flash's shapes for 1 to 256 rows, attention over 640 rows, index scores and the
/// choice among them, each by `isa` and, where it is quick enough, by the reference beside it. `pool` must outlive them.
std::vector<KernelCase> MakeKernelCases(hardware::Isa isa, int threads, const WeightPool& pool, const CaseFilter& filter);

}  // namespace baleen::apps

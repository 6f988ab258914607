#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"
#include "hardware/cpu.h"
#include "hardware/memory.h"
#include "hardware/workers.h"
#include "kernels/table.h"

namespace baleen::backend {

struct Ops;

/// Memory of a device; a CPU's is the machine's own.
using Buffer = hardware::Region;

/// What the operations may need while they run, beyond their operands; settled before the first step.
struct ScratchSizes {
  std::int64_t floats_per_thread = 0;
  std::int64_t integers_per_thread = 0;
  std::int64_t pointers_per_thread = 0;

  /// The largest of both, member by member.
  ScratchSizes Max(const ScratchSizes& other) const noexcept;
  std::uint64_t BytesPerThread() const noexcept;
};

/// A place that runs whole-tensor operations: the table of operations and what they run on. Not thread-safe: one step at a time.
class Device {
 public:
  /// The CPU with one instruction set's kernels and a team of `threads`; placements as hardware::Workers takes them.
  Device(hardware::Isa isa, int threads, std::vector<hardware::Placement> placements = {});

  const Ops& ops() const noexcept { return *ops_; }

  /// Runs other operations from now on, for example ones that watch or replace some of the present ones. `ops` must outlive the device.
  void Use(const Ops& ops) noexcept { ops_ = &ops; }

  /// Calls body(i) for every i in [0, count), several at the same time: bodies may run operations that write nothing in common. Each is then
  /// computed by one thread, which pays where there are many and each is small.
  template <typename Body>
  void Together(std::int64_t count, const Body& body) noexcept {
    workers_->Run(count, [&](std::int64_t i, int) noexcept { body(i); });
  }

  const kernels::Table& kernels() const noexcept { return *kernels_; }
  hardware::Workers& workers() noexcept { return *workers_; }
  hardware::Isa isa() const noexcept { return isa_; }

  /// Zeroed memory that operations of this device may touch; `purpose` stands in the error. Errors: the machine cannot give that much.
  Result<Buffer> Allocate(std::uint64_t bytes, std::string_view purpose) { return Buffer::Allocate(bytes, purpose); }

  /// Takes the threads' scratch; at least `sizes` per thread from then on.
  Status Reserve(const ScratchSizes& sizes);
  std::uint64_t ReservedBytes() const noexcept { return scratch_.size(); }

  float* ThreadFloats(int thread) noexcept;
  std::int32_t* ThreadIntegers(int thread) noexcept;
  const std::byte** ThreadPointers(int thread) noexcept;

 private:
  const Ops* ops_;
  const kernels::Table* kernels_;
  std::unique_ptr<hardware::Workers> workers_;
  hardware::Isa isa_;
  ScratchSizes sizes_;
  Buffer scratch_;
};

}  // namespace baleen::backend

#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "diagnostics/result.h"
#include "hardware/topology.h"

namespace baleen::hardware {

/// Takes so much of the calling thread's stack now, or half of what the system would let it grow to if that is less. A first thread's stack grows as
/// it is touched; where the process may have no more addresses, that would end it by a signal. Errors: no room.
Status TakeCallersStack(std::uint64_t bytes);

/// A team of threads that runs the parts of one job at a time. Between jobs it spins shortly, then sleeps in the kernel.
/// The caller is thread 0 of the team. Every thread begins with an equal range of neighbouring parts, the same in every job of so many parts,
/// so that rows stay in the caches of one core from operation to operation; then it takes from the others' ranges. So a job must not care which
/// thread runs what, and never waits for a thread that the system has not woken yet. At most kMostParts parts a job.
class Workers {
 public:
  /// threads >= 1, the caller included. Where the system refuses some of them the team is smaller; threads() says how large it is.
  /// placements: of each thread, as PlaceThreads gives them, or empty: threads that are to be pinned are, except the caller, who belongs to somebody
  /// else. Where the system does not allow it they run unpinned, with the same results, and the process warns once.
  explicit Workers(int threads, std::vector<Placement> placements = {});
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const noexcept { return static_cast<int>(team_.size()) + 1; }

  /// The processors that thread 0 belongs to; empty = wherever the system likes.
  std::vector<int> CallerProcessors() const { return placements_.empty() ? std::vector<int>() : placements_[0].processors; }

  /// From now on every thread that calls Run is pinned as thread 0's placement says, for good. For programs that own those threads; and for the
  /// end of their preparations, as threads that a pinned one starts stay where it is.
  void PinCallers() noexcept { pin_callers_.store(!placements_.empty() && !placements_[0].processors.empty(), std::memory_order_relaxed); }

  /// Takes so much of the caller's stack now, and of every other thread's from its next job on: planned memory is there at once, whichever path a
  /// part goes later. Errors: the system has no room for the caller's, or lets
  /// no stack grow so far.
  Status TakeStacks(std::uint64_t bytes);

  static constexpr std::int64_t kMostParts = (1 << 23) - 1;

  /// The first of the parts that this thread of a team of `threads` begins with; that of thread + 1 is their end.
  static constexpr std::int64_t FirstPart(std::int64_t parts, int thread, int threads) noexcept { return parts * thread / threads; }

  /// Calls body(part, thread) once for every part in [0, parts); returns when all have ended. Inside a part it calls them
  /// one after another on the thread of that part; else only one thread may call it at a time.
  template <typename Body>
  void Run(std::int64_t parts, const Body& body) noexcept {
    Start(parts, [](const void* context, std::int64_t part, int thread) noexcept { (*static_cast<const Body*>(context))(part, thread); }, &body);
  }

 private:
  using Call = void (*)(const void* context, std::int64_t part, int thread) noexcept;
  void Start(std::int64_t parts, Call call, const void* context) noexcept;
  void Serve(int thread) noexcept;
  void PinTeam() noexcept;
  void PinCaller() noexcept;

  // What a thread must know of a job stands in one cache line of its own: fetching a line from another core is most of what handing out costs.
  struct alignas(64) Seat {
    // Its range of the job: job number (16 bits), end (24), next part (24) in one word, so that a thread that comes late sees that the job it knows
    // has nothing left. A part taken is always finished before its job ends, so whoever has taken one may read the rest of the seat.
    std::atomic<std::uint64_t> ticket{0};
    std::atomic<std::uint32_t> job{0};  // counts jobs; the thread waits for it to change
    Call call = nullptr;
    const void* context = nullptr;
    std::int64_t parts = 0;
  };
  std::int64_t TakeRange(Seat& range, const Seat& own, std::uint32_t job, int thread) noexcept;
  void TakeParts(std::uint32_t job, int thread) noexcept;
  void Finish(std::int64_t parts, const Seat& own) noexcept;

  std::vector<Placement> placements_;
  std::vector<std::thread> team_;
  std::vector<Seat> seats_;  // of each thread
  std::atomic<bool> stop_{false}, pin_callers_{false};
  std::atomic<std::uint64_t> stack_bytes_{0};
  alignas(64) std::atomic<std::int64_t> done_{0};  // parts finished; what stands above is seldom written
};

/// Keeps the calling thread where a team's thread 0 belongs for as long as it lives: memory that it touches first comes to lie there. Does nothing for
/// a team that is not pinned.
class HeldCaller {
 public:
  explicit HeldCaller(const Workers& workers) noexcept;
  ~HeldCaller();
  HeldCaller(const HeldCaller&) = delete;
  HeldCaller& operator=(const HeldCaller&) = delete;

 private:
  cpu_set_t before_{};
  bool held_ = false;
};

}  // namespace baleen::hardware

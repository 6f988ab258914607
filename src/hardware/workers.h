#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace baleen::hardware {

/// A team of threads that runs the parts of one job at a time. Between jobs it spins shortly, then sleeps in the kernel.
/// The caller is thread 0 of the team. Every thread begins with an equal range of neighbouring parts, the same in every job of so many parts,
/// so that rows stay in the caches of one core from operation to operation; then it takes from the others' ranges. So a job must not care which
/// thread runs what, and never waits for a thread that the system has not woken yet. At most kMostParts parts a job.
class Workers {
 public:
  /// threads >= 1, the caller included. Where the system refuses some of them the team is smaller; threads() says how large it is.
  explicit Workers(int threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const noexcept { return static_cast<int>(team_.size()) + 1; }

  /// From its next job on every thread has touched so much of its stack: planned memory is taken at once, whichever path a part goes later.
  void TakeStacks(std::uint64_t bytes) noexcept { stack_bytes_.store(bytes, std::memory_order_relaxed); }

  static constexpr std::int64_t kMostParts = (1 << 23) - 1;

  /// Calls body(part, thread) once for every part in [0, parts); returns when all have ended. Inside a part it calls them
  /// one after another on the thread of that part; else only one thread may call it at a time.
  template <typename Body>
  void Run(std::int64_t parts, const Body& body) noexcept {
    Start(parts, [](const void* context, std::int64_t part, int thread) noexcept { (*static_cast<const Body*>(context))(part, thread); }, &body);
  }

 private:
  // A thread's range of the job being handed out: job number (16 bits), end (24), next part (24) in one word, so that a thread that comes late
  // sees that nothing is left without touching what belongs to the next job. A part taken is always finished before its job ends.
  struct alignas(64) Range {
    std::atomic<std::uint64_t> ticket{0};
  };

  using Call = void (*)(const void* context, std::int64_t part, int thread) noexcept;
  void Start(std::int64_t parts, Call call, const void* context) noexcept;
  void TakeParts(int thread) noexcept;
  std::int64_t TakeRange(Range& range, int thread) noexcept;
  void Serve(int thread) noexcept;

  std::vector<std::thread> team_;
  std::vector<Range> ranges_;  // of each thread
  Call call_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t parts_ = 0;
  alignas(64) std::atomic<std::int64_t> done_{0};  // parts finished
  alignas(64) std::atomic<std::uint32_t> job_{0};  // counts jobs; the team waits for it to change
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> stack_bytes_{0};
};

}  // namespace baleen::hardware

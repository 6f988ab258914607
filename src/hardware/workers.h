#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace baleen::hardware {

/// A team of threads that runs the parts of one job at a time. Between jobs it spins shortly, then sleeps in the kernel.
/// The caller is thread 0 of the team. Parts are handed out one by one, so a job must not care which thread runs what.
class Workers {
 public:
  /// threads >= 1, the caller included.
  explicit Workers(int threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const noexcept { return static_cast<int>(team_.size()) + 1; }

  /// Calls body(part, thread) once for every part in [0, parts); returns when all have ended. Not reentrant.
  template <typename Body>
  void Run(std::int64_t parts, const Body& body) noexcept {
    Start(parts, [](const void* context, std::int64_t part, int thread) noexcept { (*static_cast<const Body*>(context))(part, thread); }, &body);
  }

 private:
  using Call = void (*)(const void* context, std::int64_t part, int thread) noexcept;
  void Start(std::int64_t parts, Call call, const void* context) noexcept;
  void TakeParts(int thread) noexcept;
  void Serve(int thread) noexcept;

  std::vector<std::thread> team_;
  Call call_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t parts_ = 0;
  alignas(64) std::atomic<std::int64_t> next_{0};
  alignas(64) std::atomic<std::uint32_t> job_{0};       // counts jobs; the team waits for it to change
  alignas(64) std::atomic<int> busy_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace baleen::hardware

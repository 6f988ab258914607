#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace baleen::diagnostics {

/// A progress bar on standard error. Redraws in place at most 10 times a second on a terminal; elsewhere it prints a line after
/// 10 s, after ever longer pauses others, and nothing for work that ends sooner. Not thread-safe.
class Progress {
 public:
  /// label: what is being done; total: units of work, > 0; unit: printed after the rate ("B" is scaled to MiB and GiB).
  Progress(std::string label, std::uint64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(std::uint64_t by);

 private:
  void Draw(bool last);

  using Clock = std::chrono::steady_clock;
  std::string label_, unit_;
  std::uint64_t total_, done_ = 0;
  Clock::time_point start_, drawn_;
  bool terminal_, printed_ = false;
};

}  // namespace baleen::diagnostics

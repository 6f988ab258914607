#include "diagnostics/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include <spdlog/fmt/fmt.h>

namespace baleen::diagnostics {
namespace {

std::string Amount(double value, const std::string& unit) {
  if (unit != "B") return fmt::format("{:.0f} {}", value, unit);
  return value < 1e9 ? fmt::format("{:.0f} MiB", value / 1048576.0) : fmt::format("{:.2f} GiB", value / 1073741824.0);
}

}  // namespace

Progress::Progress(std::string label, std::uint64_t total, std::string unit)
    : label_(std::move(label)), unit_(std::move(unit)), total_(std::max<std::uint64_t>(total, 1)), start_(Clock::now()), drawn_(start_), terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (printed_) Draw(true);
}

void Progress::Advance(std::uint64_t by) {
  done_ = std::min(total_, done_ + by);
  const Clock::time_point now = Clock::now();
  // Each drawing is a line of its own where there is no terminal: the pauses grow, so that days of work make some twenty.
  const Clock::duration pause = terminal_ ? std::chrono::milliseconds(100) : std::max<Clock::duration>(std::chrono::seconds(10), (now - start_) / 2);
  if (now - drawn_ >= pause) Draw(false);
}

void Progress::Draw(bool last) {
  drawn_ = Clock::now();
  printed_ = true;
  const double seconds = std::chrono::duration<double>(drawn_ - start_).count();
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  const int filled = static_cast<int>(share * 30);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '=') + std::string(static_cast<std::size_t>(30 - filled), ' ');
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  const std::string line = fmt::format("{} [{}] {:3.0f} %  {}, {}/s", label_, bar, share * 100, Amount(static_cast<double>(done_), unit_), Amount(rate, unit_));
  std::fprintf(stderr, terminal_ ? "\r%s\033[K%s" : "%s%s", line.c_str(), terminal_ ? (last ? "\n" : "") : "\n");
}

}  // namespace baleen::diagnostics

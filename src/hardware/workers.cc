#include "hardware/workers.h"

namespace baleen::hardware {
namespace {

constexpr int kSpins = 4000;  // about 20 µs: longer than the gap between two operations of a step

void Relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

template <typename T>
void WaitWhile(const std::atomic<T>& value, T old) noexcept {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    Relax();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

Workers::Workers(int threads) {
  for (int thread = 1; thread < threads; ++thread) team_.emplace_back([this, thread] { Serve(thread); });
}

Workers::~Workers() {
  stop_ = true;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& thread : team_) thread.join();
}

void Workers::Start(std::int64_t parts, Call call, const void* context) noexcept {
  if (team_.empty() || parts <= 1) {
    for (std::int64_t part = 0; part < parts; ++part) call(context, part, 0);
    return;
  }
  call_ = call;
  context_ = context;
  parts_ = parts;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(team_.size()), std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  TakeParts(0);
  for (int left = busy_.load(std::memory_order_acquire); left != 0; left = busy_.load(std::memory_order_acquire)) WaitWhile(busy_, left);
}

void Workers::TakeParts(int thread) noexcept {
  for (std::int64_t part = next_.fetch_add(1, std::memory_order_relaxed); part < parts_; part = next_.fetch_add(1, std::memory_order_relaxed)) {
    call_(context_, part, thread);
  }
}

void Workers::Serve(int thread) noexcept {
  std::uint32_t seen = 0;
  while (true) {
    WaitWhile(job_, seen);
    seen = job_.load(std::memory_order_acquire);
    if (stop_) return;
    TakeParts(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
  }
}

}  // namespace baleen::hardware

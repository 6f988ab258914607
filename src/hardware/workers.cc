#include "hardware/workers.h"

#include <alloca.h>

#include <exception>

#include "diagnostics/check.h"

namespace baleen::hardware {
namespace {

// The team whose part this thread is running, and its number there.
thread_local const Workers* team_of_part = nullptr;
thread_local int thread_of_part = 0;

thread_local std::uint64_t touched_stack_bytes = 0;

[[gnu::noinline]] void TouchStack(std::uint64_t bytes) noexcept {
  if (bytes <= touched_stack_bytes) return;
  constexpr std::uint64_t kPage = 4096;
  auto* stack = static_cast<volatile char*>(alloca(bytes));
  for (std::uint64_t at = 0; at < bytes; at += kPage) stack[bytes - 1 - at] = 0;  // downward, as a stack grows
  touched_stack_bytes = bytes;
}

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

Workers::Workers(int threads) : ranges_(static_cast<std::size_t>(threads)) {
  team_.reserve(static_cast<std::size_t>(threads));
  try {
    for (int thread = 1; thread < threads; ++thread) team_.emplace_back([this, thread] { Serve(thread); });
  } catch (const std::exception&) {
    // The system gives no more threads or no memory for one: the work is done by those that are there, with the same result.
  }
}

Workers::~Workers() {
  stop_ = true;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& thread : team_) thread.join();
}

void Workers::Start(std::int64_t parts, Call call, const void* context) noexcept {
  const bool inside = team_of_part == this;
  if (team_.empty()) TouchStack(stack_bytes_.load(std::memory_order_relaxed));
  if (inside || team_.empty() || parts <= 1) {
    for (std::int64_t part = 0; part < parts; ++part) call(context, part, inside ? thread_of_part : 0);
    return;
  }
  CHECK(parts <= kMostParts);
  call_ = call;
  context_ = context;
  parts_ = parts;
  done_.store(0, std::memory_order_relaxed);
  const std::uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < threads(); ++i) {
    const std::int64_t end = parts * (i + 1) / threads();
    const std::uint64_t ticket = (std::uint64_t{job & 0xFFFF} << 48) | (static_cast<std::uint64_t>(end) << 24) | static_cast<std::uint64_t>(begin);
    ranges_[static_cast<std::size_t>(i)].ticket.store(ticket, std::memory_order_release);
    begin = end;
  }
  job_.store(job, std::memory_order_release);
  job_.notify_all();
  TakeParts(0);
  for (std::int64_t done = done_.load(std::memory_order_acquire); done != parts; done = done_.load(std::memory_order_acquire)) WaitWhile(done_, done);
}

void Workers::TakeParts(int thread) noexcept {
  team_of_part = this;
  thread_of_part = thread;
  TouchStack(stack_bytes_.load(std::memory_order_relaxed));
  std::int64_t finished = 0;
  for (int i = thread; i < threads(); ++i) finished += TakeRange(ranges_[static_cast<std::size_t>(i)], thread);
  for (int i = 0; i < thread; ++i) finished += TakeRange(ranges_[static_cast<std::size_t>(i)], thread);
  team_of_part = nullptr;
  // The job is not over before what was finished is told, so parts_ is still its own.
  if (finished > 0 && done_.fetch_add(finished, std::memory_order_acq_rel) + finished == parts_) done_.notify_all();
}

std::int64_t Workers::TakeRange(Range& range, int thread) noexcept {
  const auto left = [](std::uint64_t ticket) noexcept { return (ticket & 0xFFFFFF) < (ticket >> 24 & 0xFFFFFF); };
  std::int64_t finished = 0;
  while (left(range.ticket.load(std::memory_order_relaxed))) {
    const std::uint64_t ticket = range.ticket.fetch_add(1, std::memory_order_acq_rel);
    if (!left(ticket)) break;
    call_(context_, static_cast<std::int64_t>(ticket & 0xFFFFFF), thread);
    ++finished;
  }
  return finished;
}

void Workers::Serve(int thread) noexcept {
  std::uint32_t seen = 0;
  while (true) {
    WaitWhile(job_, seen);
    seen = job_.load(std::memory_order_acquire);
    if (stop_) return;
    TakeParts(thread);
  }
}

}  // namespace baleen::hardware

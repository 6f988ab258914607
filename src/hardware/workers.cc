#include "hardware/workers.h"

#include <alloca.h>
#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <string>
#include <utility>

#include "diagnostics/check.h"
#include "diagnostics/log.h"
#include "hardware/memory.h"

namespace baleen::hardware {
namespace {

// The team whose part this thread is running, and its number there.
thread_local const Workers* team_of_part = nullptr;
thread_local int thread_of_part = 0;

thread_local std::uint64_t touched_stack_bytes = 0;

thread_local const Workers* pinned_for = nullptr;  // the team whose caller this thread is pinned as

void WarnUnpinned() noexcept {
  static std::atomic<bool> warned{false};
  if (!warned.exchange(true)) diagnostics::Warn("the system does not let threads be pinned to processors: they run unpinned");
}

[[gnu::noinline]] void TouchStack(std::uint64_t bytes) noexcept {
  if (bytes <= touched_stack_bytes) return;
  constexpr std::uint64_t kPage = 4096;
  auto* stack = static_cast<volatile char*>(alloca(bytes));
  for (std::uint64_t at = 0; at < bytes; at += kPage) stack[bytes - 1 - at] = 0;  // downward, as a stack grows
  touched_stack_bytes = bytes;
}

constexpr std::uint64_t kStackMargin = 64 << 10;

/// So far the system lets a thread's stack grow.
std::uint64_t StackLimit() noexcept {
  rlimit limit{};
  return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : std::numeric_limits<std::uint64_t>::max();
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

Workers::Workers(int threads, std::vector<Placement> placements) : placements_(std::move(placements)), seats_(static_cast<std::size_t>(threads)) {
  CHECK(placements_.empty() || placements_.size() == seats_.size());
  team_.reserve(static_cast<std::size_t>(threads));
  try {
    for (int thread = 1; thread < threads; ++thread) team_.emplace_back([this, thread] { Serve(thread); });
  } catch (const std::exception&) {
    // The system gives no more threads or no memory for one: the work is done by those that are there, with the same result.
  }
  PinTeam();
}

void Workers::PinTeam() noexcept {
  for (std::size_t i = 0; i < team_.size() && !placements_.empty(); ++i) {
    const std::vector<int>& processors = placements_[i + 1].processors;
    if (!processors.empty() && !PinThread(team_[i].native_handle(), processors)) return WarnUnpinned();
  }
}

void Workers::PinCaller() noexcept {
  pinned_for = this;
  if (!PinThread(pthread_self(), placements_[0].processors)) WarnUnpinned();
}

Workers::~Workers() {
  stop_ = true;
  for (Seat& seat : seats_) {
    seat.job.fetch_add(1, std::memory_order_release);
    seat.job.notify_all();
  }
  for (std::thread& thread : team_) thread.join();
}

Status TakeCallersStack(std::uint64_t bytes) {
  bytes = std::min(bytes, StackLimit() / 2);
  {
    // The addresses are asked for first, and given back.
    TRY_ASSIGN([[maybe_unused]] const Region room, Region::Allocate(bytes + kStackMargin, "the stack of the calling thread"));
  }
  TouchStack(bytes);
  return {};
}

Status Workers::TakeStacks(std::uint64_t bytes) {
  if (const std::uint64_t limit = StackLimit(); limit < bytes + kStackMargin) {
    return diagnostics::ResourceError("the stack of a thread: expected a limit of at least " + std::to_string((bytes + kStackMargin) >> 10) + " KiB, found " +
                                       std::to_string(limit >> 10) + " KiB; raise it (ulimit -s)");
  }
  TRY(TakeCallersStack(bytes));
  stack_bytes_.store(bytes, std::memory_order_relaxed);
  return {};
}

void Workers::Start(std::int64_t parts, Call call, const void* context) noexcept {
  const bool inside = team_of_part == this;
  if (pin_callers_.load(std::memory_order_relaxed) && !inside && pinned_for != this) PinCaller();
  if (team_.empty()) TouchStack(stack_bytes_.load(std::memory_order_relaxed));
  if (inside || team_.empty() || parts <= 1) {
    for (std::int64_t part = 0; part < parts; ++part) call(context, part, inside ? thread_of_part : 0);
    return;
  }
  CHECK(parts <= kMostParts);
  const std::uint32_t job = seats_[0].job.load(std::memory_order_relaxed) + 1;
  done_.store(0, std::memory_order_relaxed);
  for (std::size_t i = 0; i <= team_.size(); ++i) {
    seats_[i].call = call;
    seats_[i].context = context;
    seats_[i].parts = parts;
  }
  for (int i = 0; i < threads(); ++i) {
    const std::int64_t begin = FirstPart(parts, i, threads()), end = FirstPart(parts, i + 1, threads());
    seats_[static_cast<std::size_t>(i)].ticket.store((std::uint64_t{job & 0xFFFF} << 48) | (static_cast<std::uint64_t>(end) << 24) | static_cast<std::uint64_t>(begin), std::memory_order_release);
  }
  for (std::size_t i = 0; i <= team_.size(); ++i) {
    seats_[i].job.store(job, std::memory_order_release);
    if (i > 0) seats_[i].job.notify_all();
  }
  TakeParts(job, 0);
  for (std::int64_t done = done_.load(std::memory_order_acquire); done != parts; done = done_.load(std::memory_order_acquire)) WaitWhile(done_, done);
}

void Workers::TakeParts(std::uint32_t job, int thread) noexcept {
  team_of_part = this;
  thread_of_part = thread;
  TouchStack(stack_bytes_.load(std::memory_order_relaxed));
  const auto place = static_cast<std::size_t>(thread), count = team_.size() + 1;
  Seat& own = seats_[place];
  // What is done is told before looking at the others' ranges: the caller waits for it.
  Finish(TakeRange(own, own, job, thread), own);
  for (std::size_t i = place + 1; i < count; ++i) Finish(TakeRange(seats_[i], own, job, thread), own);
  for (std::size_t i = 0; i < place; ++i) Finish(TakeRange(seats_[i], own, job, thread), own);
  team_of_part = nullptr;
}

void Workers::Finish(std::int64_t parts, const Seat& own) noexcept {
  if (parts == 0) return;
  const std::int64_t all = own.parts;  // the job is not over before these are told
  if (done_.fetch_add(parts, std::memory_order_acq_rel) + parts == all) done_.notify_all();
}

std::int64_t Workers::TakeRange(Seat& range, const Seat& own, std::uint32_t job, int thread) noexcept {
  std::int64_t taken = 0;
  for (std::uint64_t ticket = range.ticket.load(std::memory_order_relaxed);;) {
    if ((ticket >> 48) != (job & 0xFFFF) || (ticket & 0xFFFFFF) >= (ticket >> 24 & 0xFFFFFF)) return taken;
    if (!range.ticket.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_relaxed)) continue;
    own.call(own.context, static_cast<std::int64_t>(ticket & 0xFFFFFF), thread);
    ++taken;
    ++ticket;
  }
}

void Workers::Serve(int thread) noexcept {
  Seat& own = seats_[static_cast<std::size_t>(thread)];
  std::uint32_t seen = 0;
  while (true) {
    WaitWhile(own.job, seen);
    seen = own.job.load(std::memory_order_acquire);
    if (stop_) return;
    TakeParts(seen, thread);
  }
}

HeldCaller::HeldCaller(const Workers& workers) noexcept {
  const std::vector<int> processors = workers.CallerProcessors();
  held_ = !processors.empty() && sched_getaffinity(0, sizeof before_, &before_) == 0 && PinThread(pthread_self(), processors);
}

HeldCaller::~HeldCaller() {
  if (held_) sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace baleen::hardware

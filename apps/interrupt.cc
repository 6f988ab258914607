#include "apps/interrupt.h"

#include <csignal>
#include <ctime>
#include <initializer_list>

namespace baleen::apps {
namespace {

volatile std::sig_atomic_t interrupted = 0;
volatile std::sig_atomic_t first_at = 0;  // seconds of a clock that never goes back

std::sig_atomic_t Now() noexcept {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::sig_atomic_t>(now.tv_sec);
}

/// A step of the model cannot be left half done, and a long one takes long: who asks again, and not by a key that bounced, need not wait for it.
void Remember(int signal) {
  constexpr int kPatience = 2;
  if (interrupted == 0) {
    InterruptWatch::Mark();
  } else if (Now() - first_at >= kPatience) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

void SetAction(void (*action)(int), InterruptWatch::Signals signals) {
  struct sigaction wanted = {};
  wanted.sa_handler = action;
  sigemptyset(&wanted.sa_mask);
  sigaction(SIGINT, &wanted, nullptr);  // without SA_RESTART: a read of the keyboard must return
  if (signals == InterruptWatch::Signals::kCtrlC) return;
  for (const int signal : {SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    const bool ignored = sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;  // as nohup wants it
    if (!ignored) sigaction(signal, &wanted, nullptr);
  }
}

}  // namespace

InterruptWatch::InterruptWatch(Signals signals) : signals_(signals) {
  Clear();
  SetAction(Remember, signals_);
}

InterruptWatch::~InterruptWatch() { SetAction(SIG_DFL, signals_); }

bool InterruptWatch::Seen() noexcept { return interrupted != 0; }

void InterruptWatch::Mark() noexcept {
  first_at = Now();
  interrupted = 1;
}

void InterruptWatch::Clear() noexcept { interrupted = 0; }

}  // namespace baleen::apps

#include "apps/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace baleen::apps {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void Remember(int) { interrupted = 1; }

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

void InterruptWatch::Mark() noexcept { interrupted = 1; }

void InterruptWatch::Clear() noexcept { interrupted = 0; }

}  // namespace baleen::apps

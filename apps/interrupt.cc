#include "apps/interrupt.h"

#include <csignal>

namespace baleen::apps {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void Remember(int) { interrupted = 1; }

void SetAction(void (*action)(int)) {
  struct sigaction wanted = {};
  wanted.sa_handler = action;
  sigemptyset(&wanted.sa_mask);
  sigaction(SIGINT, &wanted, nullptr);  // without SA_RESTART: a read of the keyboard must return
}

}  // namespace

InterruptWatch::InterruptWatch() {
  Clear();
  SetAction(Remember);
}

InterruptWatch::~InterruptWatch() { SetAction(SIG_DFL); }

bool InterruptWatch::Seen() noexcept { return interrupted != 0; }

void InterruptWatch::Mark() noexcept { interrupted = 1; }

void InterruptWatch::Clear() noexcept { interrupted = 0; }

}  // namespace baleen::apps

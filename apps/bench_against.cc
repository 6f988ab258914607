#include "apps/bench_against.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include <nlohmann/json.hpp>

#include "apps/measure.h"
#include "diagnostics/progress.h"

namespace baleen::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kSaidBytes = 2000;  // of what a failing command said, in the error

/// One run of a command.
struct Turn {
  double seconds = 0, cpu_seconds = 0;
  bool ended = false;  // false: it was killed at the deadline
};

struct Side {
  std::string name, command;
  std::vector<Turn> turns;
};

using OutputFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::string EndOf(std::FILE* output) {
  std::fseek(output, 0, SEEK_END);
  const long size = std::ftell(output), begin = std::max(0L, size - kSaidBytes);
  std::string said(static_cast<std::size_t>(size - begin), '\0');
  std::fseek(output, begin, SEEK_SET);
  said.resize(std::fread(said.data(), 1, said.size(), output));
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said;
}

/// In the child: a group of its own, so that the shell's children end with it; it ends with us too.
[[noreturn]] void BecomeShell(const std::string& command, int output) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
  _exit(127);
}

double Seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); }

/// Waits for the child until `deadline`, then kills its group. Whether it ended by itself.
bool WaitUntil(pid_t child, Clock::time_point deadline) {
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  const auto left = [&] { return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count(); };
  pollfd ended{descriptor, POLLIN, 0};
  bool in_time = false;
  while (!in_time && left() > 0) {
    // Without descriptors for processes (kernels before 5.3) it is asked every two milliseconds.
    const int timeout = static_cast<int>(std::min<std::int64_t>(left(), descriptor >= 0 ? 1 << 30 : 2));
    siginfo_t state{};
    in_time = poll(&ended, descriptor >= 0 ? 1 : 0, timeout) > 0 ||
              (waitid(P_PID, static_cast<id_t>(child), &state, WEXITED | WNOHANG | WNOWAIT) == 0 && state.si_pid == child);
  }
  if (descriptor >= 0) close(descriptor);
  if (!in_time) kill(-child, SIGKILL);
  return in_time;
}

Result<Turn> RunTurn(const Side& side, Clock::time_point deadline) {
  const OutputFile output(std::tmpfile(), std::fclose);
  if (output == nullptr) return diagnostics::ResourceError(std::string("no file for what a command says: ") + std::strerror(errno));
  const auto begin = Clock::now();
  const pid_t child = fork();
  if (child < 0) return diagnostics::ResourceError("the system gives no process for " + side.name + ": " + std::strerror(errno));
  if (child == 0) BecomeShell(side.command, fileno(output.get()));
  setpgid(child, child);
  Turn turn;
  turn.ended = WaitUntil(child, deadline);
  turn.seconds = Since(begin);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  turn.cpu_seconds = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  if (turn.ended && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
    const std::string how = WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status)) : "signal " + std::to_string(WTERMSIG(status));
    return diagnostics::InvalidInput(side.name + ": expected a command that succeeds, found " + how + " from " + diagnostics::Quoted(side.command) + "; it said: " +
                                     diagnostics::Quoted(EndOf(output.get())));
  }
  return turn;
}

double MedianOf(const Side& side, double Turn::*figure) {
  std::vector<double> values;
  for (const Turn& turn : side.turns) values.push_back(turn.*figure);
  return Median(std::move(values));
}

/// The median over rounds of theirs / ours.
double MedianRatio(const std::array<Side, 2>& sides, double Turn::*figure) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < sides[1].turns.size(); ++i) ratios.push_back(sides[1].turns[i].*figure / (sides[0].turns[i].*figure));
  return Median(std::move(ratios));
}

void Print(const std::array<Side, 2>& sides, bool json) {
  if (!json) {
    for (const Side& side : sides) {
      std::printf("%-7s %10.3f s %10.3f CPU s, medians of %zu: %s\n", side.name.c_str(), MedianOf(side, &Turn::seconds), MedianOf(side, &Turn::cpu_seconds), side.turns.size(),
                  side.command.c_str());
    }
    std::printf("theirs / ours, median of the rounds: %.3f in time, %.3f in CPU time\n", MedianRatio(sides, &Turn::seconds), MedianRatio(sides, &Turn::cpu_seconds));
    return;
  }
  nlohmann::ordered_json report;
  for (const Side& side : sides) {
    nlohmann::ordered_json seconds = nlohmann::ordered_json::array(), cpu = seconds;
    for (const Turn& turn : side.turns) {
      seconds.push_back(turn.seconds);
      cpu.push_back(turn.cpu_seconds);
    }
    report[side.name] = {{"command", side.command}, {"seconds", seconds}, {"cpu_seconds", cpu}};
  }
  report["rounds"] = sides[0].turns.size();
  report["theirs_to_ours_seconds"] = MedianRatio(sides, &Turn::seconds);
  report["theirs_to_ours_cpu_seconds"] = MedianRatio(sides, &Turn::cpu_seconds);
  std::printf("%s\n", report.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

Result<std::string> OwnPath() {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return diagnostics::ResourceError(std::string("this program's own path is not known: ") + std::strerror(errno));
  std::string quoted = "'";
  for (const char c : std::string_view(path.data(), static_cast<std::size_t>(length))) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

Status RunBenchAgainst(const AgainstFlags& flags) {
  if (flags.command.find_first_not_of(" \t\n") == std::string::npos) return diagnostics::InvalidInput("--against: expected the other engine's command, found nothing");
  if (!std::isfinite(flags.seconds)) return diagnostics::InvalidInput("--seconds: expected a number from 0.1 up, found none");
  TRY_ASSIGN(const std::string own, OwnPath());
  std::array<Side, 2> sides{Side{"ours", own + " " + flags.ours, {}}, Side{"theirs", flags.command, {}}};
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(flags.seconds));
  diagnostics::Progress progress("bench against", static_cast<std::uint64_t>(2 * (flags.rounds + 1)), "runs");
  for (std::int64_t round = 0; round <= flags.rounds && Clock::now() < deadline; ++round) {
    std::array<Turn, 2> turns;
    for (const std::int64_t turn : {round % 2, 1 - round % 2}) {
      const auto at = static_cast<std::size_t>(turn);
      TRY_ASSIGN(turns[at], RunTurn(sides[at], deadline));
      progress.Advance(1);
      if (turns[at].ended) continue;
      if (sides[0].turns.empty()) {
        return diagnostics::InvalidInput(sides[at].name + ": expected an end within --seconds, two rounds before it, found it still running: " + diagnostics::Quoted(sides[at].command));
      }
      Print(sides, flags.json);
      return {};
    }
    for (std::size_t i = 0; round > 0 && i < sides.size(); ++i) sides[i].turns.push_back(turns[i]);
  }
  if (sides[0].turns.empty()) return diagnostics::InvalidInput("--seconds: expected time for a round after the first, found none left; give more");
  Print(sides, flags.json);
  return {};
}

}  // namespace baleen::apps

#include "constraint/trial.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

namespace baleen::constraint {

namespace {

using diagnostics::ResourceError;
using Clock = std::chrono::steady_clock;

constexpr char kPassed = 'P', kRefused = 'R';

// In the child: only what its parent's one thread may do after fork, and what allocates (glibc keeps its heap usable).
[[noreturn]] void RunChild(int out, const std::function<std::string()>& work, std::chrono::milliseconds time, rlim_t address_space) {
  const rlimit memory{address_space, address_space};
  if (address_space > 0) setrlimit(RLIMIT_AS, &memory);
  const auto seconds = static_cast<rlim_t>(time.count() / 1000 + 2);  // if the parent is killed, nobody else ends this one
  const rlimit processor{seconds, seconds}, no_core{0, 0};
  setrlimit(RLIMIT_CPU, &processor);
  setrlimit(RLIMIT_CORE, &no_core);
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGTERM, SIGINT}) std::signal(signal, SIG_DFL);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO), dup2(nowhere, STDOUT_FILENO);
  const std::string message = work();
  std::string answer(1, message.empty() ? kPassed : kRefused);
  answer += message.substr(0, 2000);
  const ssize_t written = write(out, answer.data(), answer.size());
  _exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
}

// The child's answer; nothing if the time is over first.
std::string ReadAnswer(int in, Clock::time_point until) {
  std::string answer;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return "";
    pollfd wanted{in, POLLIN, 0};
    if (poll(&wanted, 1, static_cast<int>(left)) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t count = read(in, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return answer;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

rlim_t AddressSpace() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  return file >> pages ? static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

Status TryApart(const std::function<std::string()>& work, std::chrono::milliseconds time, std::size_t memory_bytes) {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return ResourceError(std::string("expected a pipe to a process for a trial, found: ") + std::strerror(errno));
  const rlim_t before = AddressSpace();
  const pid_t child = fork();
  if (child == 0) RunChild(pipe_ends[1], work, time, before == 0 ? 0 : before + memory_bytes);
  close(pipe_ends[1]);
  if (child < 0) {
    const int error = errno;
    close(pipe_ends[0]);
    return ResourceError(std::string("expected to start a process for a trial, found: ") + std::strerror(error));
  }
  const auto until = Clock::now() + time;
  const std::string answer = ReadAnswer(pipe_ends[0], until);
  const bool late = Clock::now() >= until;
  close(pipe_ends[0]);
  kill(child, SIGKILL);  // it has answered, ended or is too slow
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {}
  if (answer.starts_with(kPassed)) return {};
  if (answer.starts_with(kRefused)) return diagnostics::InvalidInput(answer.substr(1));
  return ResourceError(late ? "it takes more time to compile than a request may have" : "it takes more memory to compile than a request may have");
}

}  // namespace baleen::constraint

#include "apps/commands.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hardware/cpu.h"
#include "library/open_model.h"

namespace baleen::apps {
namespace {

Status RunChecked(const std::function<Status()>& work) {
  TRY(hardware::IsaFromEnvironment());
  TRY(library::ThreadsOf(0));
  TRY(library::PinOf(std::nullopt));
  TRY(library::WeightsOf(std::nullopt));
  return work();
}

}  // namespace

void Run(int& exit_code, const std::function<Status()>& work) {
  const Status status = RunChecked(work);
  if (status) return;
  std::fprintf(stderr, "baleen: error: %s\n", status.error().message.c_str());
  exit_code = status.error().ExitCode();
}

Result<std::string> ReadStandardInput(std::size_t limit_bytes) {
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return diagnostics::ResourceError(std::string("standard input cannot be read: ") + std::strerror(errno));
    if (got == 0) return text;
    if (text.size() + static_cast<std::size_t>(got) > limit_bytes) {
      return diagnostics::InvalidInput("standard input: expected at most " + std::to_string(limit_bytes) + " bytes, found more; split the input");
    }
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

Status WriteStandardOutput(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return diagnostics::ResourceError(std::string("standard output cannot be written: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

}  // namespace baleen::apps

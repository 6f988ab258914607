// The `baleen` program: one subcommand per thing a person does with a model.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "hardware/workers.h"

namespace {

/// A descriptor that the caller closed would be given to the next file opened, and messages would be written into that file. Opened the wrong
/// way round, it still fails as a closed one does.
void HoldStandardDescriptors() {
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) < 0) open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
  }
}

/// What is wrong with the command line. An argument that nobody knows comes first: it may be why something else is missing.
std::string Fault(const CLI::App& app, const CLI::ParseError& error) {
  constexpr std::size_t kMostBytes = 1000;  // arguments may be of any length and hold any bytes
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  std::string fault = baleen::diagnostics::Quoted(error.what(), kMostBytes);
  if (!unknown.empty() && dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr) {
    fault = "expected no argument '" + baleen::diagnostics::Quoted(unknown.front(), kMostBytes) + "'; " + fault;
  }
  const CLI::App* asked = &app;
  while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
  std::string commands;
  for (const CLI::App* command : asked->get_subcommands([](const CLI::App*) { return true; })) commands += (commands.empty() ? "" : ", ") + command->get_name();
  return commands.empty() ? fault : fault + "; the commands are " + commands;
}

/// The help or the version that was asked for, or what is wrong with the command line: 0, 1, or 5 where the help cannot be written.
int Explain(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream output, unused;
  int exit_code = 1;
  if (app.exit(error, output, unused) == 0) {
    exit_code = 0;
    baleen::apps::Run(exit_code, [&] { return baleen::apps::WriteStandardOutput(output.str()); });
  } else {
    std::fprintf(stderr, "baleen: error: command line: %s\nRun baleen --help, or baleen COMMAND --help, for what is expected.\n", Fault(app, error).c_str());
  }
  return exit_code;
}

constexpr const char* kNoMemory = "baleen: error: the system refuses more memory; ask for a shorter context or a smaller input\n";
constexpr std::uint64_t kStackBytes = 512 << 10;  // nested JSON takes the most

/// Where there is no memory even for the exception that says so, the library ends the program without one.
[[noreturn]] void Terminate() noexcept {
  try {
    if (const std::exception_ptr error = std::current_exception(); error != nullptr) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    // Said below.
  } catch (...) {
    std::abort();
  }
  [[maybe_unused]] const auto written = write(2, kNoMemory, std::strlen(kNoMemory));
  _exit(5);
}

/// Before the libraries' globals are made: they take memory too.
[[gnu::constructor(101)]] void EndByAMessage() noexcept { std::set_terminate(Terminate); }

}  // namespace

int main(int argc, char** argv) {
  HoldStandardDescriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of a write, not the end by a signal
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file beyond the limit of sizes
  if (const auto taken = baleen::hardware::TakeCallersStack(kStackBytes); !taken) {
    std::fprintf(stderr, "baleen: error: %s\n", taken.error().message.c_str());
    return 5;
  }
  CLI::App app("Baleen: runs DeepSeek-V4 checkpoints as they are.", "baleen");
  app.require_subcommand(1);
  app.set_version_flag("--version", BALEEN_VERSION);
  app.footer("Exit codes: 0 done; 1 command line; 2 invalid input; 3 not found; 4 unsupported here; 5 memory, disk or permission.");

  int exit_code = 0;
  baleen::apps::AddTextCommands(app, exit_code);
  baleen::apps::AddInspectCommand(app, exit_code);
  baleen::apps::AddTwinCommand(app, exit_code);
  baleen::apps::AddLogitsCommand(app, exit_code);
  baleen::apps::AddBenchCommand(app, exit_code);
  baleen::apps::AddGenerateCommand(app, exit_code);
  baleen::apps::AddChatCommand(app, exit_code);
  baleen::apps::AddScoreCommand(app, exit_code);
  baleen::apps::AddBatchCommand(app, exit_code);
  baleen::apps::AddServeCommand(app, exit_code);
  baleen::apps::AddKeysCommand(app, exit_code);
  baleen::apps::AddUsageCommand(app, exit_code);
  baleen::apps::AddCostCommand(app, exit_code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return Explain(app, error);
  } catch (const std::bad_alloc&) {
    std::fputs(kNoMemory, stderr);
    return 5;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "baleen: error: %s\n", error.what());
    return 2;
  }
  return exit_code;
}

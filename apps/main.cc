// The `baleen` program: one subcommand per thing a person does with a model.

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "apps/commands.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of a write, not the end by a signal
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

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  } catch (const std::bad_alloc&) {
    std::fputs("baleen: error: the system refuses more memory; ask for a shorter context or a smaller input\n", stderr);
    return 5;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "baleen: error: %s\n", error.what());
    return 2;
  }
  return exit_code;
}

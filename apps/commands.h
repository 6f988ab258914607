#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "diagnostics/result.h"

namespace baleen::apps {

/// Each family registers its subcommands; a subcommand stores its exit code (0..125) through Run.
void AddTextCommands(CLI::App& app, int& exit_code);
void AddInspectCommand(CLI::App& app, int& exit_code);
void AddTwinCommand(CLI::App& app, int& exit_code);
void AddLogitsCommand(CLI::App& app, int& exit_code);
void AddBenchCommand(CLI::App& app, int& exit_code);
void AddBenchModelCommand(CLI::App& bench, int& exit_code);
void AddBenchEngineCommand(CLI::App& bench, int& exit_code);
void AddBenchKernelsCommand(CLI::App& bench, int& exit_code);
void AddGenerateCommand(CLI::App& app, int& exit_code);
void AddChatCommand(CLI::App& app, int& exit_code);
void AddScoreCommand(CLI::App& app, int& exit_code);
void AddBatchCommand(CLI::App& app, int& exit_code);
void AddServeCommand(CLI::App& app, int& exit_code);
void AddKeysCommand(CLI::App& app, int& exit_code);
void AddUsageCommand(CLI::App& app, int& exit_code);
void AddCostCommand(CLI::App& app, int& exit_code);

/// Checks BALEEN_ISA, BALEEN_THREADS, BALEEN_PIN and BALEEN_WEIGHTS, which every command knows, then runs its work and turns its Status into an exit code: 0, or the error printed to standard error and its ExitCode().
void Run(int& exit_code, const std::function<Status()>& work);

/// Standard input to its end, or an error past limit_bytes.
Result<std::string> ReadStandardInput(std::size_t limit_bytes = std::size_t{1} << 30);

/// Writes to standard output and reports a closed pipe or a full disk as an error. Nothing is buffered past the call.
Status WriteStandardOutput(std::string_view bytes);

}  // namespace baleen::apps

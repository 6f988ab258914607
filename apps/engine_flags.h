#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "apps/open_model.h"
#include "library/start_engine.h"

namespace baleen::apps {

/// The flags of every command that runs an engine.
struct EngineFlags {
  std::int64_t parallel = 16;      // sequences at once
  std::int64_t context = 0;        // tokens of one sequence; 0 = what the model allows and the memory holds
  std::int64_t step_rows = 256;
  std::uint64_t kv_bytes = 0;      // attention state and cache; 0 = a choice that is printed
  std::string cache_dir;           // empty = nothing on disk
  std::uint64_t cache_bytes = std::uint64_t{16} << 30;
  double tenant_quota = 1.0;       // see library::EngineSettings
  std::string draft = "auto";      // off | mtp | dspark | auto
};

/// Adds --parallel, --context, --step-rows, --kv-memory, --cache-dir, --cache-bytes and --draft.
void AddEngineFlags(CLI::App& command, EngineFlags& flags);

/// library::StartEngine with these flags; prints the plan of the memory that was taken, and the context if that had to be cut.
/// Errors: the library's, under the names of the flags.
Result<library::RunningEngine> StartEngine(library::OpenedModel opened, const ModelFlags& model_flags, const EngineFlags& flags);

}  // namespace baleen::apps

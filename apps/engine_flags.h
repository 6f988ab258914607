#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "apps/open_model.h"
#include "engine/engine.h"

namespace baleen::apps {

/// The flags of every command that runs an engine.
struct EngineFlags {
  std::int64_t parallel = 16;      // sequences at once
  std::int64_t context = 0;        // tokens of one sequence; 0 = what the model allows and the memory holds
  std::int64_t step_rows = 256;
  std::uint64_t kv_bytes = 0;      // attention state and cache; 0 = a choice that is printed
  std::string cache_dir;           // empty = nothing on disk
  std::uint64_t cache_bytes = std::uint64_t{16} << 30;
  std::string draft = "auto";      // off | mtp | dspark | auto
};

/// Adds --parallel, --context, --step-rows, --kv-memory, --cache-dir, --cache-bytes and --draft.
void AddEngineFlags(CLI::App& command, EngineFlags& flags);

/// A model with the engine that runs it. Moves as a whole.
struct OpenEngine {
  OpenModel model;
  engine::Options options;
  std::unique_ptr<engine::Engine> engine;
};

/// Settles the memory, prints the plan and takes it: pool, activations, cache folder. A context that the memory cannot hold is cut, and said,
/// unless it was asked for. Errors: a drafter that the checkpoint does not have, memory, a cache folder that cannot be used.
Result<OpenEngine> StartEngine(OpenModel opened, const ModelFlags& model_flags, const EngineFlags& flags);

}  // namespace baleen::apps

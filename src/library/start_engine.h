#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"
#include "engine/engine.h"
#include "library/open_model.h"

namespace baleen::library {

inline constexpr std::int64_t kMostParallel = 1024, kMostStepRows = 8192;

struct EngineSettings {
  std::int64_t parallel = 16;  // sequences at once
  std::int64_t context = 0;    // tokens of one sequence; 0 = what the model allows and the memory holds
  std::int64_t step_rows = 256;
  std::uint64_t kv_bytes = 0;  // attention state and cache; 0 = chosen
  std::string cache_dir;       // empty = nothing on disk
  std::uint64_t cache_bytes = std::uint64_t{16} << 30;
  std::int64_t waiting_requests = 1024;
  double tenant_quota = 1.0;   // share of the memory for attention state that a tenant's cached prompts keep from other tenants
  std::optional<checkpoint::DrafterKind> draft;  // missing = what the checkpoint has
};

/// A model with the engine that runs it. Moves as a whole.
struct RunningEngine {
  OpenedModel model;
  engine::Options options;
  std::unique_ptr<engine::Engine> engine;
  bool context_cut = false;  // the memory holds less than the model allows, and no context was asked for

  std::uint64_t AttentionBytes() const noexcept;
  std::int64_t AttentionTokens() const noexcept;
};

/// Settles the memory and takes it: weights' places, pool, activations, cache folder.
/// Errors: settings out of range, a drafter that the checkpoint does not have, a context that the memory cannot hold, memory, a cache
/// folder that cannot be used.
Result<RunningEngine> StartEngine(OpenedModel opened, const EngineSettings& settings);

}  // namespace baleen::library

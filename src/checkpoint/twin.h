#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"

namespace baleen::checkpoint {

/// The same model, smaller: the first `layers` layers and `experts` experts (0 = as they are); what depends on them follows.
/// Errors: more layers or experts than there are, fewer experts than a token uses.
Result<ModelConfig> CutModel(ModelConfig config, std::int64_t layers, std::int64_t experts);

struct TwinOptions {
  std::uint64_t seed = 0;
  std::uint64_t shard_limit_bytes = 5'000'000'000;
  unsigned threads = 1;
};

/// Writes a random-weight checkpoint in the vendor's exact format: config.json, inference/config.json, shards and index (one
/// model.safetensors where one shard holds all). Complete shards of an earlier run with the same configuration and seed are kept.
/// Errors: the folder holds another model, the disk is too small (checked first) or fails.
Status WriteTwin(const ModelConfig& config, const std::filesystem::path& dir, const TwinOptions& options);

/// Removes the files of a twin, finished or not, and its folder. Returns the bytes that they took. Errors, and nothing is removed: the folder holds
/// no weights of a twin, or anything that WriteTwin and its tokenizer do not leave there.
Result<std::uint64_t> DeleteTwin(const std::filesystem::path& dir);

/// Bytes of all tensors of such a checkpoint.
std::uint64_t TwinBytes(const ModelConfig& config);

}  // namespace baleen::checkpoint

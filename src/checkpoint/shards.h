#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "diagnostics/result.h"
#include "hardware/file.h"

namespace baleen::checkpoint {

/// model.safetensors.index.json: which file of the folder holds which tensor.
struct ShardIndex {
  std::vector<std::pair<std::string, std::string>> files_by_tensor;  // sorted by tensor, tensors unique
  std::optional<std::uint64_t> total_bytes;                          // metadata.total_size, when it is a whole number
};

/// Errors: malformed JSON, no weight_map, a tensor listed twice, a file name that is absolute, empty or leaves the folder.
Result<ShardIndex> ParseShardIndex(std::string_view json_text);

/// One file of tensors, mapped.
struct Shard {
  std::filesystem::path path;
  std::unique_ptr<hardware::Mapping> mapping;
  SafetensorsHeader header;
};

struct ShardSet {
  std::vector<Shard> shards;
  std::vector<std::string> odd;  // what the index says and the files do not, where that does no harm
};

/// Opens what a checkpoint folder holds: the files of its index, or model.safetensors. Tensors that a file holds and the index
/// does not list are left out and noted as odd.
/// Errors: neither is there; a file is missing, unreadable or malformed; a tensor is not in the file the index names, or in two files.
Result<ShardSet> OpenShards(const std::filesystem::path& dir);

/// One file. Errors name it.
Result<Shard> OpenShard(const std::filesystem::path& path);

}  // namespace baleen::checkpoint

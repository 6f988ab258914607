#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "diagnostics/result.h"
#include "tensor/view.h"

namespace baleen::checkpoint {

struct NamedTensor {
  std::string name;
  tensor::View view;
};

/// The 8 length bytes and the JSON header (padded with spaces to a multiple of 8) for tensors that follow each other in this order.
/// `begin` and `end` of each are set to their place in the file. Errors: a shape without a byte size.
Result<std::string> LayOut(std::vector<StoredTensor>& tensors, const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

/// Writes one safetensors file, tensors in the given order; it appears under its name only when complete.
/// Errors: two tensors of one name, a view whose bytes do not fit its shape, the folder or the disk.
Status WriteSafetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors);

/// "model-00001-of-00003.safetensors"
std::string ShardFileName(std::size_t number, std::size_t count);

/// model.safetensors.index.json for shards whose tensors are listed in order.
std::string WriteShardIndex(const std::vector<std::pair<std::string, std::vector<StoredTensor>>>& shards);

/// Writes `tensors` as model.safetensors, or as numbered shards of at most `shard_limit_bytes` tensor bytes (one tensor at least)
/// with their index. `dir` must exist. Files appear one by one, the index last.
Status WriteShards(const std::filesystem::path& dir, const std::vector<NamedTensor>& tensors, std::uint64_t shard_limit_bytes);

}  // namespace baleen::checkpoint

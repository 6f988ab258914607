#include "checkpoint/shards.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "checkpoint/json_cursor.h"

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using diagnostics::NotFound;
using diagnostics::Quoted;
namespace fs = std::filesystem;

constexpr int kIndexDepth = 16;
constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";

diagnostics::Error At(const fs::path& path, diagnostics::Error error) {
  error.message = Quoted(path.string(), 300) + ": " + error.message;
  return error;
}

/// A shard must lie in the checkpoint's folder or below it; where a symbolic link of that name points to is the owner's affair.
Status CheckFileName(const std::string& file) {
  const fs::path path(file);
  bool safe = !file.empty() && file.size() <= 1024 && file.find('\0') == std::string::npos && path.is_relative() && path.has_filename();
  for (const fs::path& part : path) safe = safe && part != "..";
  if (safe) return {};
  return InvalidInput("weight_map: expected the name of a file inside the checkpoint folder, found '" + Quoted(file) + "'");
}

Status ParseIndexMetadata(JsonCursor& json, ShardIndex& index) {
  if (json.Peek() != '{') return json.Skip(kIndexDepth);
  TRY(json.Expect('{'));
  if (json.Take('}')) return {};
  do {
    TRY_ASSIGN(const std::string key, json.String());
    TRY(json.Expect(':'));
    if (key == "total_size") {
      JsonCursor ahead = json;
      const auto number = ahead.Unsigned();
      if (number) index.total_bytes = *number;
    }
    TRY(json.Skip(kIndexDepth));
  } while (json.Take(','));
  return json.Expect('}');
}

Status ParseWeightMap(JsonCursor& json, ShardIndex& index) {
  TRY(json.Expect('{'));
  if (json.Take('}')) return {};
  do {
    TRY_ASSIGN(std::string name, json.String());
    TRY(json.Expect(':'));
    TRY_ASSIGN(std::string file, json.String());
    TRY(CheckFileName(file));
    index.files_by_tensor.emplace_back(std::move(name), std::move(file));
  } while (json.Take(','));
  return json.Expect('}');
}

/// All listed tensors must be in the shard; those it holds beside them are dropped and noted.
Status MatchIndex(const std::vector<std::string>& listed, Shard& shard, std::vector<std::string>& odd) {
  std::size_t next = 0;
  std::vector<StoredTensor> kept;
  kept.reserve(listed.size());
  for (StoredTensor& stored : shard.header.tensors) {  // both sorted by name
    if (next < listed.size() && listed[next] < stored.name) break;
    if (next < listed.size() && listed[next] == stored.name) {
      kept.push_back(std::move(stored));
      ++next;
    } else {
      odd.push_back(stored.name);
    }
  }
  if (next < listed.size()) {
    return InvalidInput(Quoted(shard.path.string(), 300) + ": the index says that this file holds tensor '" + Quoted(listed[next]) +
                        "', but it does not; the download is incomplete or mixed from two versions");
  }
  shard.header.tensors = std::move(kept);
  return {};
}

Status RefuseTensorsInTwoFiles(const std::vector<Shard>& shards) {
  std::vector<std::pair<std::string_view, const Shard*>> names;
  for (const Shard& shard : shards) {
    for (const StoredTensor& stored : shard.header.tensors) names.emplace_back(stored.name, &shard);
  }
  std::sort(names.begin(), names.end());
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (names[i].first != names[i - 1].first) continue;
    return InvalidInput("tensor '" + Quoted(names[i].first) + "' is in two files: " + Quoted(names[i - 1].second->path.filename().string()) + " and " +
                        Quoted(names[i].second->path.filename().string()) + "; remove one");
  }
  return {};
}

Result<ShardSet> OpenIndexed(const fs::path& dir, const ShardIndex& index) {
  std::map<std::string, std::vector<std::string>> tensors_by_file;
  for (const auto& [name, file] : index.files_by_tensor) tensors_by_file[file].push_back(name);
  ShardSet set;
  for (const auto& [file, listed] : tensors_by_file) {
    auto shard = OpenShard(dir / file);
    if (!shard) {
      diagnostics::Error error = shard.error();
      error.message += "; " + std::string(kIndexName) + " names it as the home of " + std::to_string(listed.size()) + " tensors";
      return error;
    }
    set.shards.push_back(std::move(*shard));
  }
  TRY(RefuseTensorsInTwoFiles(set.shards));
  std::uint64_t total = 0;
  std::size_t i = 0;
  for (const auto& [file, listed] : tensors_by_file) {
    Shard& shard = set.shards[i++];
    for (const StoredTensor& stored : shard.header.tensors) total += stored.end - stored.begin;
    TRY(MatchIndex(listed, shard, set.odd));
  }
  if (index.total_bytes && *index.total_bytes != total) {
    set.odd.push_back("(" + std::string(kIndexName) + ": metadata.total_size is " + std::to_string(*index.total_bytes) + ", the files hold " +
                      std::to_string(total) + " tensor bytes)");
  }
  return set;
}

bool ShardsExist(const fs::path& dir, const ShardIndex& index) {
  std::set<std::string_view> files;
  for (const auto& entry : index.files_by_tensor) files.insert(entry.second);
  std::error_code code;
  for (const std::string_view file : files) {
    if (!fs::exists(dir / file, code)) return false;
  }
  return true;
}

diagnostics::Error NothingToOpen(const fs::path& dir) {
  std::size_t others = 0;
  std::error_code code;
  for (fs::directory_iterator it(dir, code), end; !code && it != end; it.increment(code)) others += it->path().extension() == ".safetensors" ? 1 : 0;
  std::string message = Quoted(dir.string(), 300) + ": expected " + kSingleName + " or " + kIndexName + ", found neither";
  if (others > 0) {
    message += "; there are " + std::to_string(others) + " other .safetensors files: the index that says which tensor is where is missing, "
               "fetch it from the same place";
  }
  return NotFound(message);
}

}  // namespace

Result<ShardIndex> ParseShardIndex(std::string_view json_text) {
  ShardIndex index;
  JsonCursor json(json_text);
  bool has_map = false, has_metadata = false;
  TRY(json.Expect('{'));
  if (!json.Take('}')) {
    do {
      TRY_ASSIGN(const std::string key, json.String());
      TRY(json.Expect(':'));
      if ((key == "weight_map" && has_map) || (key == "metadata" && has_metadata)) return InvalidInput("the key '" + key + "' appears twice");
      if (key == "weight_map") {
        has_map = true;
        TRY(ParseWeightMap(json, index));
      } else if (key == "metadata") {
        has_metadata = true;
        TRY(ParseIndexMetadata(json, index));
      } else {
        TRY(json.Skip(kIndexDepth));
      }
    } while (json.Take(','));
    TRY(json.Expect('}'));
  }
  TRY(json.End());
  if (!has_map) return InvalidInput("expected the key 'weight_map', found none");
  if (index.files_by_tensor.empty()) return InvalidInput("weight_map: expected at least one tensor, found none");
  std::sort(index.files_by_tensor.begin(), index.files_by_tensor.end());
  for (std::size_t i = 1; i < index.files_by_tensor.size(); ++i) {
    if (index.files_by_tensor[i].first == index.files_by_tensor[i - 1].first) {
      return InvalidInput("weight_map: tensor '" + Quoted(index.files_by_tensor[i].first) + "' is listed twice");
    }
  }
  return index;
}

Result<Shard> OpenShard(const fs::path& path) {
  TRY_ASSIGN(hardware::Mapping mapping, hardware::Mapping::Open(path));
  Shard shard{path, std::make_unique<hardware::Mapping>(std::move(mapping)), {}};
  auto header = ParseSafetensors(shard.mapping->bytes());
  if (!header) return At(path, header.error());
  shard.header = std::move(*header);
  return shard;
}

Result<ShardSet> OpenShards(const fs::path& dir) {
  std::error_code code;
  const fs::path single = dir / kSingleName, index_path = dir / kIndexName;
  // A link to nothing counts as there, so that the error names it.
  const bool has_single = fs::exists(fs::symlink_status(single, code));
  if (fs::exists(fs::symlink_status(index_path, code))) {
    TRY_ASSIGN(const std::string text, hardware::ReadFile(index_path, kHeaderLimitBytes));
    auto index = ParseShardIndex(text);
    if (!index) return At(index_path, index.error());
    if (!has_single || ShardsExist(dir, *index)) return OpenIndexed(dir, *index);
  }
  if (!has_single) return NothingToOpen(dir);
  ShardSet set;
  TRY_ASSIGN(Shard shard, OpenShard(single));
  set.shards.push_back(std::move(shard));
  return set;
}

}  // namespace baleen::checkpoint

#include "checkpoint/writer.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <nlohmann/json.hpp>

#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

std::string JsonText(const std::string& text) { return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

std::vector<StoredTensor> Listed(std::span<const NamedTensor> tensors) {
  std::vector<StoredTensor> stored;
  for (const NamedTensor& t : tensors) stored.push_back({t.name, t.view.dtype, t.view.shape});
  return stored;
}

Status CheckTensors(std::span<const NamedTensor> tensors) {
  std::set<std::string_view> names;
  for (const NamedTensor& t : tensors) {
    if (!names.insert(t.name).second) return InvalidInput("tensor '" + Quoted(t.name) + "' is given twice");
    TRY_ASSIGN(const std::uint64_t bytes, TensorBytes(t.view.dtype, t.view.shape));
    if (bytes == t.view.bytes.size()) continue;
    return InvalidInput("tensor '" + Quoted(t.name) + "': expected " + std::to_string(bytes) + " bytes for its shape, found " +
        std::to_string(t.view.bytes.size()));
  }
  return {};
}

Status WriteOne(const std::filesystem::path& path, std::span<const NamedTensor> tensors) {
  std::vector<StoredTensor> stored = Listed(tensors);
  TRY_ASSIGN(const std::string header, LayOut(stored));
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(header));
  for (const NamedTensor& t : tensors) TRY(file.Write(t.view.bytes));
  return file.Commit();
}

}  // namespace

Result<std::string> LayOut(std::vector<StoredTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  std::string json = R"({"__metadata__":)" + nlohmann::json(metadata).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::uint64_t at = 0;
  for (StoredTensor& t : tensors) {
    TRY_ASSIGN(const std::uint64_t bytes, TensorBytes(t.dtype, t.shape));
    t.begin = at;
    t.end = at + bytes;
    at = t.end;
    json += "," + JsonText(t.name) + R"(:{"dtype":")" + std::string(tensor::DTypeName(t.dtype)) + R"(","shape":[)";
    for (std::size_t i = 0; i < t.shape.size(); ++i) json += (i == 0 ? "" : ",") + std::to_string(t.shape[i]);
    json += R"(],"data_offsets":[)" + std::to_string(t.begin) + "," + std::to_string(t.end) + "]}";
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  const std::uint64_t length = json.size();
  std::string header(8, '\0');
  std::memcpy(header.data(), &length, 8);
  header += json;
  for (StoredTensor& t : tensors) {
    t.begin += header.size();
    t.end += header.size();
  }
  return header;
}

Status WriteSafetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors) {
  TRY(CheckTensors(tensors));
  return WriteOne(path, tensors);
}

std::string ShardFileName(std::size_t number, std::size_t count) {
  const auto five = [](std::size_t value) {
    const std::string digits = std::to_string(value);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return "model-" + five(number) + "-of-" + five(count) + ".safetensors";
}

std::string WriteShardIndex(const std::vector<std::pair<std::string, std::vector<StoredTensor>>>& shards) {
  std::uint64_t total = 0;
  std::string map;
  for (const auto& [file, tensors] : shards) {
    for (const StoredTensor& t : tensors) {
      total += t.end - t.begin;
      map += (map.empty() ? "\n    " : ",\n    ") + JsonText(t.name) + ": " + JsonText(file);
    }
  }
  return "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(total) + "\n  },\n  \"weight_map\": {" + map + "\n  }\n}\n";
}

Status WriteShards(const std::filesystem::path& dir, const std::vector<NamedTensor>& tensors, std::uint64_t shard_limit_bytes) {
  TRY(CheckTensors(tensors));
  std::vector<std::span<const NamedTensor>> parts;
  std::uint64_t filled = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i <= tensors.size(); ++i) {
    const std::uint64_t bytes = i < tensors.size() ? tensors[i].view.bytes.size() : 0;
    if (i == tensors.size() || (i > first && filled + bytes > shard_limit_bytes)) {
      parts.push_back(std::span(tensors).subspan(first, i - first));
      first = i;
      filled = 0;
    }
    filled += bytes;
  }
  if (parts.size() == 1) return WriteOne(dir / "model.safetensors", parts.front());
  std::vector<std::pair<std::string, std::vector<StoredTensor>>> index;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string file = ShardFileName(i + 1, parts.size());
    std::vector<StoredTensor> stored = Listed(parts[i]);
    TRY(LayOut(stored));
    TRY(WriteOne(dir / file, parts[i]));
    index.emplace_back(file, std::move(stored));
  }
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(dir / "model.safetensors.index.json"));
  TRY(file.Write(WriteShardIndex(index)));
  return file.Commit();
}

}  // namespace baleen::checkpoint

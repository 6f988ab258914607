#include "checkpoint/twin.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <utility>

#include "checkpoint/random_weights.h"
#include "checkpoint/shards.h"
#include "checkpoint/tensor_list.h"
#include "checkpoint/writer.h"
#include "diagnostics/progress.h"
#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;
using diagnostics::InvalidInput;
using diagnostics::Quoted;
using tensor::DType;

constexpr std::uint64_t kMaxTensors = 2'000'000;
constexpr std::size_t kStretchBytes = std::size_t{64} << 20, kPieceBytes = std::size_t{1} << 20;
constexpr std::uint64_t kSpareBytes = std::uint64_t{64} << 20;  // configs, index, tokenizer, the file system's own needs

/// A shard to be: its tensors laid out, and what fills them.
struct PlannedShard {
  std::string file, header;
  std::vector<StoredTensor> stored;
  std::vector<RandomTensor> contents;

  std::uint64_t Bytes() const { return stored.empty() ? header.size() : stored.back().end; }
};

StoredTensor Stored(const TensorSpec& spec) {
  StoredTensor out{spec.name, spec.official, spec.shape};
  if (spec.official == DType::kF4) {
    out.dtype = DType::kI8;
    out.shape.back() /= 2;
  }
  return out;
}

bool HasScales(const TensorSpec& spec) { return spec.official == DType::kF4 || spec.official == DType::kF8E4M3; }

std::uint64_t SpecBytes(const TensorSpec& spec) {
  const StoredTensor stored = Stored(spec);
  std::uint64_t bytes = *TensorBytes(stored.dtype, stored.shape);
  if (HasScales(spec)) bytes += *TensorBytes(DType::kF8E8M0, ScaleShape(spec.shape, spec.official));
  return bytes;
}

Status CheckSizes(const ModelConfig& config) {
  if (config.experts_fp4 && (config.hidden_size % 2 != 0 || config.expert_intermediate % 2 != 0)) {
    return InvalidInput("FP4 experts need an even hidden size and intermediate size, found " + std::to_string(config.hidden_size) + " and " +
                        std::to_string(config.expert_intermediate));
  }
  const std::uint64_t blocks = static_cast<std::uint64_t>(config.layers + config.drafter_modules);
  if (blocks * (static_cast<std::uint64_t>(config.experts) * 6 + 64) <= kMaxTensors) return {};
  return diagnostics::Unsupported("expected at most " + std::to_string(kMaxTensors) +
      " tensors, found more; use --layers or --experts to make the twin smaller");
}

std::vector<PlannedShard> PlanShards(const ModelConfig& config, const TwinOptions& options) {
  std::vector<PlannedShard> shards(1);
  std::uint64_t filled = 0;
  ForEachTensor(config, config.experts, [&](const TensorSpec& spec) {
    const std::uint64_t bytes = SpecBytes(spec);
    if (filled > 0 && filled + bytes > options.shard_limit_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    filled += bytes;
    PlannedShard& shard = shards.back();
    shard.stored.push_back(Stored(spec));
    shard.contents.emplace_back(spec, config, options.seed);
    if (HasScales(spec)) {
      shard.stored.push_back({ScaleName(spec.name), DType::kF8E8M0, ScaleShape(spec.shape, spec.official)});
      shard.contents.push_back(RandomTensor::Scales(spec, config, options.seed));
    }
    return true;
  });
  return shards;
}

/// Whether the file is there with exactly this header (which names the seed) and size.
bool IsComplete(const fs::path& path, const PlannedShard& shard) {
  std::error_code code;
  if (!fs::is_regular_file(path, code) || fs::file_size(path, code) != shard.Bytes()) return false;
  const auto mapping = hardware::Mapping::Open(path);
  if (!mapping) return false;
  const std::span<const std::byte> header = std::as_bytes(std::span(shard.header));
  return std::ranges::equal(mapping->bytes().first(header.size()), header);
}

/// Bytes [first, first + out.size()) of the shard's file.
void FillPiece(const PlannedShard& shard, std::uint64_t first, std::span<std::byte> out) {
  auto at = std::upper_bound(shard.stored.begin(), shard.stored.end(), first, [](std::uint64_t byte, const StoredTensor& t) { return byte < t.end; });
  std::size_t done = 0;
  for (; done < out.size(); ++at) {
    const std::uint64_t begin = first + done;
    const std::size_t count = std::min<std::size_t>(at->end - begin, out.size() - done);
    shard.contents[static_cast<std::size_t>(at - shard.stored.begin())].Fill(begin - at->begin, out.subspan(done, count));
    done += count;
  }
}

void FillStretch(const PlannedShard& shard, std::uint64_t first, std::span<std::byte> out, unsigned threads) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t at = next.fetch_add(kPieceBytes); at < out.size(); at = next.fetch_add(kPieceBytes)) {
      FillPiece(shard, first + at, out.subspan(at, std::min(kPieceBytes, out.size() - at)));
    }
  };
  std::vector<std::thread> team;
  team.reserve(threads);
  try {
    for (unsigned i = 1; i < threads; ++i) team.emplace_back(work);
  } catch (const std::system_error&) {
    // The system gives no more threads: those that are there do the work.
  }
  work();
  for (std::thread& member : team) member.join();
}

Status WriteShard(const fs::path& path, const PlannedShard& shard, unsigned threads, diagnostics::Progress& progress) {
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(shard.header));
  std::vector<std::byte> stretch(std::min<std::uint64_t>(kStretchBytes, shard.Bytes() - shard.header.size()));
  for (std::uint64_t at = shard.header.size(); at < shard.Bytes();) {
    const std::span<std::byte> part(stretch.data(), std::min<std::uint64_t>(stretch.size(), shard.Bytes() - at));
    FillStretch(shard, at, part, threads);
    TRY(file.Write(part));
    progress.Advance(part.size());
    at += part.size();
  }
  return file.Commit();
}

Status WriteText(const fs::path& path, const std::string& text) {
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(text));
  return file.Commit();
}

/// What a killed run leaves of a file it was writing: NAME.partial-PID.
bool IsPartial(const std::string& name) {
  const std::size_t at = name.rfind(".partial-");
  const bool ours = name.starts_with("model") || name.starts_with("config.json") || name.starts_with("tokenizer");
  return ours && at != std::string::npos && name.find_first_not_of("0123456789", at + 9) == std::string::npos;
}

void RemovePartials(const fs::path& dir) {
  std::error_code code, ignored;
  for (fs::directory_iterator it(dir, code), end; !code && it != end; it.increment(code)) {
    if (IsPartial(it->path().filename().string())) fs::remove(it->path(), ignored);
  }
}

/// The name of something in the folder that no run of ours leaves before it has written config.json.
std::string Foreign(const fs::path& dir) {
  std::error_code code;
  for (fs::directory_iterator it(dir, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (name != "inference" && name != "lost+found" && !IsPartial(name)) return name;
  }
  return "";
}

bool IsShardName(const std::string& name) { return name.starts_with("model") && name.ends_with(".safetensors"); }

/// Whether a twin has such a file beside its weights.
bool IsTwinsText(const std::string& name) {
  return name == "config.json" || name == "model.safetensors.index.json" || name == "tokenizer.json" || name == "tokenizer_config.json";
}

/// Adds the folder's files to `files`. Errors: one that no twin has, or a shard without a twin's mark.
Status ListTwin(const fs::path& dir, bool inner, std::vector<fs::path>& files) {
  std::error_code code;
  const auto refusal = [&](const fs::path& path, const char* what) {
    return InvalidInput(Quoted(path.string(), 300) + ": expected a folder with a twin and nothing else, found " + what + "; nothing was removed");
  };
  for (fs::directory_iterator it(dir, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    const fs::file_type type = it->symlink_status(code).type();
    if (!inner && name == "inference" && type == fs::file_type::directory) {
      TRY(ListTwin(it->path(), true, files));
      continue;
    }
    if (type != fs::file_type::regular) return refusal(it->path(), "something that is not a plain file");
    if (IsShardName(name) && !inner) {
      const auto shard = OpenShard(it->path());
      if (!shard || !shard->header.metadata.contains("twin_seed")) return refusal(it->path(), "weights that are no twin");
    } else if (!(inner ? name == "config.json" : IsTwinsText(name)) && !IsPartial(name)) {
      return refusal(it->path(), "another file");
    }
    files.push_back(it->path());
  }
  if (code) return diagnostics::ResourceError(Quoted(dir.string(), 300) + ": cannot be listed: " + code.message());
  return {};
}

/// A folder that holds something else than an earlier run of the same twin is not written into.
Status ClaimFolder(const fs::path& dir, const std::string& config_text) {
  std::error_code code;
  const std::string expected = Quoted(dir.string(), 300) + ": expected an empty folder or an unfinished twin of the same configuration, found ";
  if (fs::exists(dir, code) && !fs::is_directory(dir, code)) return InvalidInput(expected + "a file; choose another --out");
  if (fs::exists(dir / "config.json", code)) {
    const auto present = hardware::ReadFile(dir / "config.json", 4u << 20);
    if (!present || *present != config_text) return InvalidInput(expected + "another model; choose another --out");
  } else if (const std::string name = Foreign(dir); !name.empty()) {
    return InvalidInput(expected + "'" + Quoted(name) + "'; choose another --out");
  }
  fs::create_directories(dir / "inference", code);
  if (code) return diagnostics::ResourceError(Quoted(dir.string(), 300) + ": cannot create the folder: " + code.message());
  RemovePartials(dir);
  RemovePartials(dir / "inference");
  return {};
}

/// A whole file of other contents (another seed, or real weights) is not replaced; a damaged one of ours is.
Status RefuseToReplace(const fs::path& path, const PlannedShard& shard, std::uint64_t seed) {
  const auto present = OpenShard(path);
  if (!present) return {};
  const auto& metadata = present->header.metadata;
  const auto it = metadata.find("twin_seed");
  if (it != metadata.end() && it->second == std::to_string(seed) && shard.stored.size() == present->header.tensors.size()) return {};
  return InvalidInput(Quoted(path.string(), 300) + ": expected a shard of the twin with seed " + std::to_string(seed) + ", found " +
                      (it == metadata.end() ? "weights that are no twin" : "one with seed " + Quoted(it->second)) + "; choose another --out or remove it");
}

Status CheckDisk(const fs::path& dir, std::uint64_t needed) {
  TRY_ASSIGN(const std::uint64_t available, hardware::FreeDiskBytes(dir));
  if (needed == 0 || available >= needed + kSpareBytes) return {};
  return diagnostics::ResourceError(Quoted(dir.string(), 300) + ": expected " + std::to_string(needed + kSpareBytes) + " free bytes on this disk, found " +
                                    std::to_string(available) + "; free some space, choose another --out, or use fewer --layers or --experts");
}

/// The folder above `dir` that exists: where the disk can be asked before anything is made.
fs::path ExistingAncestor(fs::path dir) {
  std::error_code code;
  dir = fs::absolute(dir, code);
  while (dir.has_relative_path() && !fs::exists(dir, code)) dir = dir.parent_path();
  return dir;
}

}  // namespace

Result<ModelConfig> CutModel(ModelConfig config, std::int64_t layers, std::int64_t experts) {
  if (layers < 0 || layers > config.layers) {
    return InvalidInput("--layers: expected 1 to " + std::to_string(config.layers) + ", found " + std::to_string(layers));
  }
  if (experts != 0 && (experts < config.experts_per_token || experts > config.experts)) {
    return InvalidInput("--experts: expected " + std::to_string(config.experts_per_token) + " (as many as a token uses) to " + std::to_string(config.experts) +
                        ", found " + std::to_string(experts));
  }
  if (experts != 0) config.experts = experts;
  if (layers != 0 && layers < config.layers) {
    config.layers = layers;
    config.compress_ratios.resize(static_cast<std::size_t>(layers));
    config.hash_layers = std::min(config.hash_layers, layers);
    const std::int64_t targets = std::min<std::int64_t>(layers, static_cast<std::int64_t>(config.dspark_target_layers.size()));
    config.dspark_target_layers.clear();
    for (std::int64_t i = layers - targets; i < layers; ++i) config.dspark_target_layers.push_back(i);
  }
  return config;
}

Result<std::uint64_t> DeleteTwin(const fs::path& dir) {
  std::error_code code;
  if (!fs::is_directory(dir, code)) return diagnostics::NotFound(Quoted(dir.string(), 300) + ": expected the folder of a twin, found " + (fs::exists(dir, code) ? "a file" : "nothing"));
  std::vector<fs::path> files;
  TRY(ListTwin(dir, false, files));
  if (std::none_of(files.begin(), files.end(), [](const fs::path& file) { return IsShardName(file.filename().string()); })) {
    return InvalidInput(Quoted(dir.string(), 300) + ": expected the weights of a twin, found none; nothing was removed");
  }
  std::uint64_t bytes = 0;
  files.push_back(dir / "inference");
  files.push_back(dir);
  for (const fs::path& file : files) {
    if (const std::uintmax_t size = fs::is_regular_file(file, code) ? fs::file_size(file, code) : 0; !code) bytes += size;
    fs::remove(file, code);
    if (code) return diagnostics::ResourceError(Quoted(file.string(), 300) + ": cannot be removed: " + code.message());
  }
  return bytes;
}

std::uint64_t TwinBytes(const ModelConfig& config) {
  std::uint64_t bytes = 0;
  ForEachTensor(config, 1, [&](const TensorSpec& spec) {
    bytes += SpecBytes(spec) * (spec.part == Part::kRoutedExperts ? static_cast<std::uint64_t>(config.experts) : 1);
    return true;
  });
  return bytes;
}

Status WriteTwin(const ModelConfig& config, const fs::path& dir, const TwinOptions& options) {
  TRY(CheckSizes(config));
  const std::string config_text = WriteModelConfig(config);
  std::error_code code;
  if (!fs::exists(dir / "config.json", code)) TRY(CheckDisk(ExistingAncestor(dir), TwinBytes(config)));
  TRY(ClaimFolder(dir, config_text));
  std::vector<PlannedShard> shards = PlanShards(config, options);
  std::uint64_t missing_bytes = 0;
  std::vector<std::pair<std::string, std::vector<StoredTensor>>> index;
  std::vector<const PlannedShard*> missing;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    PlannedShard& shard = shards[i];
    shard.file = shards.size() == 1 ? "model.safetensors" : ShardFileName(i + 1, shards.size());
    TRY_ASSIGN(shard.header, LayOut(shard.stored, {{"format", "pt"}, {"twin_seed", std::to_string(options.seed)}}));
    index.emplace_back(shard.file, shard.stored);
    if (IsComplete(dir / shard.file, shard)) continue;
    TRY(RefuseToReplace(dir / shard.file, shard, options.seed));
    missing.push_back(&shard);
    missing_bytes += shard.Bytes();
  }
  TRY(CheckDisk(dir, missing_bytes));
  TRY(WriteText(dir / "config.json", config_text));
  TRY(WriteText(dir / "inference" / "config.json", WriteInferenceConfig(config)));
  diagnostics::Progress progress("writing the twin", std::max<std::uint64_t>(1, missing_bytes), "B");
  for (const PlannedShard* shard : missing) TRY(WriteShard(dir / shard->file, *shard, options.threads, progress));
  if (shards.size() == 1) return {};
  return WriteText(dir / "model.safetensors.index.json", WriteShardIndex(index));
}

}  // namespace baleen::checkpoint

#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_config.h"
#include "diagnostics/result.h"
#include "hardware/workers.h"
#include "tensor/view.h"

namespace baleen::checkpoint {

/// A checkpoint folder, opened: config read and checked, every shard mapped and its header checked, names mapped to the official ones.
/// No weight byte is read. Views stay valid as long as the Checkpoint lives.
class Checkpoint {
 public:
  /// dir holds config.json (or inference/config.json) and model.safetensors, or model.safetensors.index.json and its shards.
  /// Errors: anything missing, truncated, overlapping, duplicated, out of bounds, of a wrong dtype or shape (§9.3), each naming file and tensor.
  static Result<Checkpoint> Open(const std::filesystem::path& dir);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const ModelConfig& config() const noexcept;
  const std::filesystem::path& directory() const noexcept;

  /// The tensor under its official name of §9.3, whatever the file calls it; experts that the file stacks ([E, 2I, d]) are views of their
  /// slice. The dtype is the stored one: a linear layer may be F8_E4M3 or F4 (also when stored as I8) with an F8_E8M0 `.scale`, BF16 or F32 without.
  /// An I8 tensor that holds FP4 is given as kF4 with its logical shape. Returns nullopt if absent.
  std::optional<tensor::View> Find(std::string_view official_name) const;

  /// All official names present, sorted, drafter modules included.
  std::vector<std::string> Names() const;

  /// What the files hold and no official name claims, and other oddities that do no harm; for `inspect`.
  const std::vector<std::string>& odd_names() const noexcept;

  /// Total tensor bytes of all shards.
  std::uint64_t TotalBytes() const noexcept;

  /// The tensor files and their whole contents, in the same order.
  std::vector<std::filesystem::path> FilePaths() const;
  std::vector<std::span<const std::byte>> FileBytes() const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Reads config.json of a folder, or inference/config.json where that is the only one. Errors name the file.
Result<ModelConfig> ReadModelConfig(const std::filesystem::path& dir);

/// Refuses an expert id of a hash-routed layer (`ffn.gate.tid2eid`) that is out of range or twice in a row. Reads only these tables;
/// whoever routes by them must call this (or VerifyValues) first.
Status VerifyHashTables(const Checkpoint& checkpoint);

/// VerifyHashTables; then reads every FP8, e8m0, BF16 and F32 tensor and refuses NaN codes, NaN scales and non-finite numbers, naming the
/// tensor: of several the first one by name. Costs a pass over the weights by the whole team; shows a progress bar when long.
Status VerifyValues(const Checkpoint& checkpoint, hardware::Workers& workers);

/// `model` is a folder, or a hub id "owner/name" looked up in the local Hugging Face cache: HF_HUB_CACHE, else HF_HOME/hub, else
/// ~/.cache/huggingface/hub; models--owner--name/refs/main → snapshots/<commit>. Nothing is ever fetched.
/// Errors: neither exists; says every place that was looked at.
Result<std::filesystem::path> FindModel(std::string_view model);

}  // namespace baleen::checkpoint

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "backend/ops.h"
#include "checkpoint/checkpoint.h"
#include "kvcache/layout.h"
#include "model/activations.h"
#include "model/step.h"
#include "model/weights.h"

namespace baleen::model {

/// Where a model's memory goes, in bytes; settled before the first token.
struct MemoryPlan {
  std::uint64_t mapped_weights = 0;   // read where they lie in the checkpoint
  std::uint64_t owned_weights = 0;    // small vectors widened to fp32
  std::uint64_t activations = 0;
  std::uint64_t thread_scratch = 0;
  std::uint64_t thread_stacks = 0;    // what kernels touch of them
  std::uint64_t per_sequence = 0;     // attention state of one sequence at the context limit

  /// Everything beyond the mapped weights for so many sequences.
  std::uint64_t BeyondWeights(std::int64_t sequences) const noexcept;
  /// The plan as lines of text.
  std::string Text(std::int64_t sequences, std::int64_t context) const;
};

/// A V4 model ready to run steps. One step at a time; not thread-safe.
class Transformer {
 public:
  /// Loads the weights' places and takes every buffer. The checkpoint and the device must outlive the model.
  /// Errors: those of LoadWeights; memory; a context beyond the config's max_positions.
  static Result<std::unique_ptr<Transformer>> Load(const checkpoint::Checkpoint& checkpoint, backend::Device& device, Arithmetic arithmetic, const Limits& limits);

  /// Runs the step: afterwards every sequence is longer by its rows and Logits holds the rows wanted.
  void Forward(const Step& step) noexcept;

  /// Runs the MTP module behind Forward(step) (§7.1): row i pairs the streams of position i with token i + 1 and predicts token i + 2.
  /// A segment at position p with m rows gives rows p − 1 … p + m − 2, the first of a sequence only from position 0 on.
  /// Draft logits replace Logits; returns how many rows there are. Must follow every step of a sequence, or none.
  std::int64_t Draft(const Step& step) noexcept;

  /// [vocab] logits of the i-th row wanted.
  std::span<const float> Logits(std::int64_t i) const noexcept;

  const checkpoint::ModelConfig& config() const noexcept { return config_; }
  const kvcache::Layout& cache_layout() const noexcept { return cache_layout_; }
  const Limits& limits() const noexcept { return limits_; }
  const MemoryPlan& memory_plan() const noexcept { return memory_plan_; }
  std::uint64_t ActivationBytes() const noexcept { return memory_.size(); }
  bool has_mtp() const noexcept { return !weights_.mtp.empty(); }

 private:
  Transformer(const checkpoint::ModelConfig& config, backend::Device& device, Arithmetic arithmetic, const Limits& limits, Weights weights);
  Status TakeMemory(const checkpoint::Checkpoint& checkpoint);

  void Embed(const Rows& rows) noexcept;
  void RunBlock(const Layer& layer, const Rows& rows, float* streams) noexcept;
  void Attend(const Layer& layer, const Rows& rows) noexcept;
  void Query(const Layer& layer, const Rows& rows) noexcept;
  void StoreRows(const Layer& layer, const Rows& rows) noexcept;
  void CompressRows(const Layer& layer, const Rows& rows, const CompressorWeights& compressor, bool index_keys) noexcept;
  void ChooseEntries(const Layer& layer, const Rows& rows) noexcept;
  void AttendSegments(const Layer& layer, const Rows& rows) noexcept;
  void ProjectOutput(const Layer& layer, const Rows& rows) noexcept;
  void RunExperts(const Layer& layer, const Rows& rows) noexcept;
  void ComputeLogits(const Head& head, const float* streams, std::span<const std::int32_t> chosen) noexcept;

  void BeginRows(const Step& step) noexcept;
  std::int64_t BeginDraftRows(const Step& step) noexcept;
  void ProjectDraftInput(const Rows& rows) noexcept;
  void MakeRotations(const Rows& rows) noexcept;
  void KeepCarry() noexcept;
  backend::Rotation RotationOf(const Layer& layer, const Rows& rows, std::int64_t first_row) const noexcept;
  backend::Numbers Quantized(const QuantizedBuffer& buffer, std::int64_t rows, std::int64_t d) noexcept;

  checkpoint::ModelConfig config_;
  backend::Device* device_;
  Arithmetic arithmetic_;
  backend::Rounding rounding_;
  Limits limits_;
  Weights weights_;
  kvcache::Layout cache_layout_;
  std::vector<float> plain_frequencies_, compressed_frequencies_;
  MemoryPlan memory_plan_;
  backend::Buffer memory_;
  Activations a_;
};

}  // namespace baleen::model

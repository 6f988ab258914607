#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "backend/ops.h"
#include "checkpoint/checkpoint.h"
#include "kvcache/layout.h"
#include "model/activations.h"
#include "model/drafter.h"
#include "model/packing.h"
#include "model/step.h"
#include "model/weights.h"

namespace baleen::model {

/// Where a model's memory goes, in bytes; settled before the first token.
struct MemoryPlan {
  std::uint64_t mapped_weights = 0;   // read where they lie in the checkpoint; 0 where they are packed
  std::uint64_t packed_weights = 0;   // copied out of it
  std::uint64_t owned_weights = 0;    // small vectors widened to fp32
  std::uint64_t activations = 0;
  std::uint64_t thread_scratch = 0;
  std::uint64_t thread_stacks = 0;    // what kernels touch of them
  std::uint64_t per_sequence = 0;     // attention state of one sequence at the context limit

  /// The matrices, wherever they are.
  std::uint64_t Matrices() const noexcept { return mapped_weights + packed_weights; }
  /// Everything beyond the matrices, mapped or packed, for so many sequences.
  std::uint64_t BeyondWeights(std::int64_t sequences) const noexcept;
  /// The plan as lines of text.
  std::string Text(std::int64_t sequences, std::int64_t context) const;
};

/// A V4 model ready to run steps. One step at a time; not thread-safe.
class Transformer {
 public:
  /// Loads the weights' places, or packs them, and takes every buffer. The checkpoint and the device must outlive the model.
  /// Errors: those of LoadWeights; memory; a context beyond the config's max_positions.
  static Result<std::unique_ptr<Transformer>> Load(const checkpoint::Checkpoint& checkpoint, backend::Device& device, Arithmetic arithmetic, const Limits& limits,
                                                   WeightsPlace place = WeightsPlace::kMapped);

  /// Runs the step: afterwards every sequence is longer by its rows and Logits holds the rows wanted.
  void Forward(const Step& step) noexcept;

  /// Brings the drafter up to the last step's rows that the proposals' sequences still hold and drafts tokens behind them (§7); call it
  /// once after a step, and after every Rollback that belongs to it. The drafter of a sequence must see every step of it, or it drafts
  /// from rows of others. Tokens are the likeliest, ties by the lowest id; what is drafted for a sequence does not depend on the others
  /// nor on how it was cut into steps. Requires has_drafter(), and 0 <= wanted <= limits().draft_tokens.
  void Propose(std::span<Proposal> proposals) noexcept;

  /// [vocab] logits that chose the token at a place of the draft in the last Propose; place < proposed.
  std::span<const float> DraftedLogits(std::int64_t proposal, std::int64_t place) const noexcept;

  /// In place of Propose, all logits of the MTP module (§7.1): a row per row that the step's sequences still hold, from the streams of
  /// its position i and token i + 1, predicts token i + 2. next_tokens: of every segment the token behind its last row; negative = not
  /// known, that row is left out. They replace Logits; returns how many rows there are. Requires an MTP drafter.
  std::int64_t DraftLogits(std::span<const std::int32_t> next_tokens) noexcept;

  /// [vocab] logits of the i-th row wanted.
  std::span<const float> Logits(std::int64_t i) const noexcept;

  const checkpoint::ModelConfig& config() const noexcept { return config_; }
  const kvcache::Layout& cache_layout() const noexcept { return cache_layout_; }
  const Limits& limits() const noexcept { return limits_; }
  /// Seconds that packing the weights took; 0 where they are mapped.
  double packing_seconds() const noexcept { return packed_.seconds; }
  const MemoryPlan& memory_plan() const noexcept { return memory_plan_; }
  std::uint64_t ActivationBytes() const noexcept { return memory_.size(); }
  /// The drafter that was loaded: kNone too where limits().draft_tokens is 0.
  checkpoint::DrafterKind drafter() const noexcept {
    return !weights_.mtp.empty() ? checkpoint::DrafterKind::kMtp : !weights_.dspark.empty() ? checkpoint::DrafterKind::kDspark : checkpoint::DrafterKind::kNone;
  }
  bool has_drafter() const noexcept { return drafter() != checkpoint::DrafterKind::kNone; }

 private:
  Transformer(const checkpoint::ModelConfig& config, backend::Device& device, Arithmetic arithmetic, const Limits& limits, Weights weights);
  Status TakeMemory(const checkpoint::Checkpoint& checkpoint);

  void Embed(const Rows& rows, float* streams) noexcept;
  void RunBlock(const Layer& layer, const Rows& rows, float* streams) noexcept;
  void Attend(const Layer& layer, const Rows& rows) noexcept;
  void Query(const Layer& layer, const Rows& rows) noexcept;
  void StoreRows(const Layer& layer, const Rows& rows) noexcept;
  void CompressRows(const Layer& layer, const Rows& rows, const CompressorWeights& compressor, bool index_keys) noexcept;
  void ChooseEntries(const Layer& layer, const Rows& rows) noexcept;
  void AttendSegments(const Layer& layer, const Rows& rows) noexcept;
  void ProjectOutput(const Layer& layer, const Rows& rows) noexcept;
  void RunExperts(const Layer& layer, const Rows& rows, const backend::ExpandStreams& expand) noexcept;
  void ComputeLogits(const Head& head, const float* streams, std::span<const std::int32_t> chosen, float* logits) noexcept;

  void BeginRows(const Step& step) noexcept;
  void MakeRotations(const Rows& rows) noexcept;
  backend::Rotation RotationOf(const Layer& layer, const Rows& rows, std::int64_t first_row) const noexcept;
  backend::Numbers Quantized(const backend::QuantizedBuffer& buffer, std::int64_t rows, std::int64_t d) noexcept;

  std::int64_t KeptRows(const SegmentRows& segment) const noexcept;
  void DraftToken(Proposal& proposal, std::int64_t index, std::int32_t logit_row) noexcept;
  void ProposeMtp(std::span<Proposal> proposals) noexcept;
  std::int64_t ContinueDrafts(std::span<Proposal> proposals, std::int64_t drafting) noexcept;
  void AddPairs(const SegmentRows& segment, std::int64_t count, std::int32_t next_token) noexcept;
  void RunMtp() noexcept;
  void ProjectDraftInput(const Rows& rows) noexcept;
  void KeepFeatures(const Layer& layer) noexcept;
  void ProposeDspark(std::span<Proposal> proposals) noexcept;
  void StoreFeatureRows(std::span<const Proposal> proposals) noexcept;
  std::int64_t RunDraftBlocks(std::span<const Proposal> proposals) noexcept;
  void ComputeBlockLogits(std::span<const Proposal> proposals, std::int64_t drafting) noexcept;
  std::int64_t DraftPlace(std::span<Proposal> proposals, std::int64_t going) noexcept;
  void ComputeConfidence(std::span<const Proposal> proposals, std::int64_t going) noexcept;

  checkpoint::ModelConfig config_;
  backend::Device* device_;
  Arithmetic arithmetic_;
  backend::Rounding rounding_;
  Limits limits_;
  PackedWeights packed_;  // where weights_ points, if they are packed
  Weights weights_;
  kvcache::Layout cache_layout_;
  std::vector<float> plain_frequencies_, compressed_frequencies_;
  MemoryPlan memory_plan_;
  backend::Buffer memory_;
  Activations a_;
};

}  // namespace baleen::model

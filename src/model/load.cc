#include <algorithm>
#include <cstdio>
#include <utility>

#include "diagnostics/check.h"
#include "diagnostics/log.h"
#include "model/cache_layout.h"
#include "model/transformer.h"

namespace baleen::model {
namespace {

constexpr std::int64_t kTrainedPositions = 1048576;  // of the released models (§1.1)

/// Bytes of the widened vectors and of the structures that say where every matrix lies.
std::uint64_t OwnedBytes(const Weights& weights) {
  std::uint64_t floats = 0, structures = sizeof(Transformer);
  const auto add = [&](const Vector& v) { floats += v.size(); };
  const auto site = [&](const Site& s) { add(s.scale), add(s.base); };
  const auto layer = [&](const Layer& l) {
    structures += sizeof(Layer) + l.experts.size() * sizeof(backend::ExpertWeights);
    site(l.before_attention), site(l.before_experts), add(l.attention_norm), add(l.expert_norm);
    add(l.attention.query_norm), add(l.attention.kv_norm), add(l.attention.sink), add(l.router.bias);
    for (const CompressorWeights* c : {&l.attention.compressor, &l.attention.indexer.compressor}) add(c->position_bias), add(c->norm);
  };
  for (const Layer& l : weights.layers) layer(l);
  for (const MtpModule& m : weights.mtp) layer(m.block), add(m.token_norm), add(m.stream_norm), site(m.head.site), add(m.head.norm);
  for (const DsparkDrafter& d : weights.dspark) {
    for (const Layer& stage : d.stages) layer(stage);
    add(d.feature_norm), site(d.head.site), add(d.head.norm);
  }
  site(weights.head.site), add(weights.head.norm);
  return 4 * floats + structures;
}

}  // namespace

Transformer::Transformer(const checkpoint::ModelConfig& config, backend::Device& device, Arithmetic arithmetic, const Limits& limits, Weights weights)
    : config_(ConfigWithin(config, limits.context)), device_(&device), arithmetic_(arithmetic),
      rounding_(arithmetic == Arithmetic::kExact ? backend::Rounding::kNone : backend::Rounding::kBf16), limits_(limits), weights_(std::move(weights)),
      cache_layout_(CacheLayoutOf(config, arithmetic, limits)),
      plain_frequencies_(RopeFrequencies(config, false)), compressed_frequencies_(RopeFrequencies(config, true)) {
  CHECK(cache_layout_.layers.size() == weights_.layers.size() + weights_.mtp.size() + (weights_.dspark.empty() ? 0 : weights_.dspark.front().stages.size()));
}

Result<std::unique_ptr<Transformer>> Transformer::Load(const checkpoint::Checkpoint& checkpoint, backend::Device& device, Arithmetic arithmetic, const Limits& limits,
                                                          WeightsPlace place) {
  const checkpoint::ModelConfig& config = checkpoint.config();
  if (limits.context < 1 || limits.context > config.max_positions) {
    return diagnostics::InvalidInput("the context must be 1 to " + std::to_string(config.max_positions) + " tokens (max_position_embeddings), asked for " +
                                     std::to_string(limits.context));
  }
  TRY_ASSIGN(Weights weights, LoadWeights(checkpoint, limits.draft_tokens > 0));
  Limits used = limits;
  used.draft_tokens = DraftTokensOf(config, limits.draft_tokens);
  std::unique_ptr<Transformer> model(new Transformer(config, device, arithmetic, used, std::move(weights)));
  TRY(model->TakeMemory(checkpoint));
  if (place == WeightsPlace::kPacked) {
    TRY_ASSIGN(model->packed_, PackWeights(model->weights_, checkpoint, device));
    model->memory_plan_.mapped_weights = 0;
    model->memory_plan_.packed_weights = model->packed_.memory.size();
  }
  if (limits.context > kTrainedPositions) {
    diagnostics::Note("a context of " + std::to_string(limits.context) + " tokens: positions beyond " + std::to_string(kTrainedPositions) + " are untrained");
  }
  return model;
}

Status Transformer::TakeMemory(const checkpoint::Checkpoint& checkpoint) {
  const backend::ScratchSizes scratch = ScratchFor(config_, limits_);
  const auto threads = static_cast<std::uint64_t>(device_->workers().threads());
  const std::uint64_t activations = model::ActivationBytes(config_, arithmetic_, limits_);
  memory_plan_ = {.mapped_weights = checkpoint.TotalBytes(),
                  .owned_weights = OwnedBytes(weights_),
                  .activations = activations,
                  .thread_scratch = scratch.BytesPerThread() * threads,
                  .thread_stacks = kernels::kStackBytes * threads,
                  .per_sequence = cache_layout_.Bytes(limits_.context)};
  TRY(device_->Reserve(scratch));
  TRY(device_->workers().TakeStacks(kernels::kStackBytes));
  TRY_ASSIGN(memory_, device_->Allocate(activations, "the activations of " + std::to_string(limits_.rows) + " rows a step"));
  tensor::Arena arena(memory_.data());
  a_.Take(arena, config_, arithmetic_, limits_);
  return {};
}

std::uint64_t MemoryPlan::BeyondWeights(std::int64_t sequences) const noexcept {
  return owned_weights + activations + thread_scratch + thread_stacks + per_sequence * static_cast<std::uint64_t>(sequences);
}

std::string MemoryPlan::Text(std::int64_t sequences, std::int64_t context) const {
  std::string text;
  const auto line = [&](const char* what, std::uint64_t bytes) {
    char buffer[160];
    std::snprintf(buffer, sizeof buffer, "  %-44s %12.1f MiB\n", what, static_cast<double>(bytes) / 1048576.0);
    text += buffer;
  };
  if (packed_weights > 0) {
    line("weights, packed", packed_weights);
  } else {
    line("weights, mapped from the checkpoint", mapped_weights);
  }
  line("weights, small vectors as fp32", owned_weights);
  line("activations", activations);
  line("scratch of the threads", thread_scratch);
  line("stacks of the threads", thread_stacks);
  const std::string state = std::to_string(sequences) + " sequence" + (sequences == 1 ? "" : "s") + " of " + std::to_string(context) + " tokens";
  line(state.c_str(), per_sequence * static_cast<std::uint64_t>(sequences));
  line(packed_weights > 0 ? "beyond the packed weights" : "beyond the mapped weights", BeyondWeights(sequences));
  return text;
}

}  // namespace baleen::model

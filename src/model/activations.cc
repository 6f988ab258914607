#include "model/activations.h"

#include <algorithm>

namespace baleen::model {
namespace {

constexpr std::int64_t kScoreRows = 8;  // tokens whose index scores are held at once

std::int64_t Groups(std::int64_t channels, std::int64_t group = kernels::kActivationGroup) noexcept { return (channels + group - 1) / group; }

backend::QuantizedBuffer TakeQuantized(tensor::Arena& arena, std::int64_t rows, std::int64_t d, Arithmetic arithmetic) noexcept {
  backend::QuantizedBuffer buffer{.x = arena.Take<float>(rows * d)};
  if (arithmetic == Arithmetic::kOfficial) {
    buffer.codes = arena.Take<float>(rows * d);
    buffer.scales = arena.Take<float>(rows * Groups(d));
  }
  if (arithmetic == Arithmetic::kFast) {
    buffer.bytes = arena.Take<std::int8_t>(rows * d);
    buffer.scales = arena.Take<float>(rows * Groups(d, kernels::kByteGroup));
  }
  return buffer;
}

Rows TakeRows(tensor::Arena& arena, std::int64_t rows, std::int64_t segments, std::int64_t half) noexcept {
  return {.tokens = arena.Take<std::int32_t>(rows),
          .positions = arena.Take<std::int64_t>(rows),
          .segments = arena.Take<SegmentRows>(segments),
          .plain_cosine = arena.Take<float>(rows * half),
          .plain_sine = arena.Take<float>(rows * half),
          .compressed_cosine = arena.Take<float>(rows * half),
          .compressed_sine = arena.Take<float>(rows * half)};
}

/// Rows that a block runs at once: a step's, or all blocks of a DSpark drafter.
std::int64_t MostRows(const checkpoint::ModelConfig& config, const Limits& limits) noexcept {
  const bool dspark = limits.draft_tokens > 0 && config.drafter == checkpoint::DrafterKind::kDspark;
  return dspark ? std::max(limits.rows, limits.segments * config.dspark_block) : limits.rows;
}

DraftBuffers TakeDraft(tensor::Arena& arena, const checkpoint::ModelConfig& c, const Limits& limits) noexcept {
  const std::int64_t segments = limits.segments, most = segments * limits.draft_tokens, rank = c.dspark_markov_rank;
  DraftBuffers draft{.logits = arena.Take<float>(most * c.vocab_size), .logit_row = arena.Take<std::int32_t>(most), .owner = arena.Take<std::int32_t>(segments)};
  if (c.drafter != checkpoint::DrafterKind::kDspark) return draft;
  draft.head_y = arena.Take<float>(most * c.hidden_size);
  draft.previous = arena.Take<std::int32_t>(segments);
  draft.markov = arena.Take<float>(segments * rank);
  draft.correction = arena.Take<float>(segments * c.vocab_size);
  draft.confidence_input = arena.Take<float>(segments * (c.hidden_size + rank));
  draft.confidence = arena.Take<float>(segments);
  draft.reached = arena.Take<float>(segments);
  return draft;
}

/// Compressed entries of the smallest ratio at the context limit.
std::int64_t MostEntries(const checkpoint::ModelConfig& config, const Limits& limits) noexcept {
  std::int64_t most = 0;
  for (const LayerPlan& layer : PlanLayers(config)) {
    if (layer.ratio == 0) continue;
    const std::int64_t visible = limits.context / layer.ratio;
    most = std::max(most, layer.attention == AttentionKind::kCsa ? std::min(visible, config.index_top_k) : visible);
  }
  return most;
}

bool HasIndexer(const checkpoint::ModelConfig& config) noexcept {
  return std::find(config.compress_ratios.begin(), config.compress_ratios.end(), 4) != config.compress_ratios.end();
}

}  // namespace

void Activations::Take(tensor::Arena& arena, const checkpoint::ModelConfig& c, Arithmetic arithmetic, const Limits& limits) noexcept {
  const bool indexer = HasIndexer(c);
  const std::int64_t m = MostRows(c, limits), n = c.streams, d = c.hidden_size, mixes = (2 + n) * n, width = c.heads * c.head_dim;
  const std::int64_t pairs = m * (c.experts_per_token + 1), channels = 2 * std::max(c.head_dim, c.index_dim);
  rows = TakeRows(arena, limits.rows, limits.segments, c.rope_dim / 2);
  streams = arena.Take<float>(limits.rows * n * d);
  mix_raw = arena.Take<float>(m * mixes);
  mix = arena.Take<float>(m * mixes);
  x = TakeQuantized(arena, m, d, arithmetic);
  y = arena.Take<float>(m * d);
  query_low = TakeQuantized(arena, m, c.q_lora, arithmetic);
  query = arena.Take<float>(m * width);
  // The output projection takes each group of heads apart; official arithmetic multiplies what it gets as it is (§3.6).
  attended = TakeQuantized(arena, m * c.output_groups, width / c.output_groups, arithmetic == Arithmetic::kOfficial ? Arithmetic::kExact : arithmetic);
  kv = arena.Take<float>(m * c.head_dim);
  kv_rows = arena.Take<std::byte>(m * 4 * c.head_dim);
  compressor_value = arena.Take<float>(m * channels);
  compressor_gate = arena.Take<float>(m * channels);
  if (indexer) {
    index_query = arena.Take<float>(m * c.index_heads * c.index_dim);
    index_weights = arena.Take<float>(m * c.index_heads);
    index_score_rows = std::min(m, kScoreRows);
    index_score_stride = limits.context / 4 + 1;
    index_score = arena.Take<float>(index_score_rows * index_score_stride);
    chosen_rows = arena.Take<std::int32_t>(m * c.index_top_k);
  }
  output_low = TakeQuantized(arena, m, c.output_groups * c.output_lora, arithmetic);
  router_scores = arena.Take<float>(m * c.experts);
  chosen_experts = arena.Take<std::int32_t>(m * c.experts_per_token);
  expert_weights = arena.Take<float>(m * c.experts_per_token);
  pair_row = arena.Take<std::int32_t>(pairs);
  pair_of = arena.Take<std::int32_t>(pairs);
  active_experts = arena.Take<std::int32_t>(c.experts + 1);
  expert_begin = arena.Take<std::int64_t>(c.experts + 2);
  expert_gate = arena.Take<float>(pairs * c.expert_intermediate);
  expert_up = arena.Take<float>(pairs * c.expert_intermediate);
  expert_scales = arena.Take<float>(pairs * Groups(c.expert_intermediate));
  expert_out = arena.Take<float>(pairs * d);
  if (limits.draft_tokens > 0) {
    draft_rows = TakeRows(arena, m, limits.segments, c.rope_dim / 2);
    draft_streams = arena.Take<float>(m * n * d);
    draft_chosen = arena.Take<std::int32_t>(m);
    if (c.drafter == checkpoint::DrafterKind::kMtp) draft_input = TakeQuantized(arena, m * n, d, arithmetic);
    else features = TakeQuantized(arena, limits.rows, static_cast<std::int64_t>(c.dspark_target_layers.size()) * d, arithmetic);
    draft = TakeDraft(arena, c, limits);
  }
  const std::int64_t heads = std::max(limits.logit_rows, limits.segments * limits.draft_tokens);
  head_raw = arena.Take<float>(heads * n);
  head_y = arena.Take<float>(heads * d);
  logits = arena.Take<float>(limits.logit_rows * c.vocab_size);
}

backend::ScratchSizes ScratchFor(const checkpoint::ModelConfig& c, const Limits& limits) noexcept {
  const std::int64_t window = std::min(c.window, limits.context), block = limits.draft_tokens > 0 ? c.dspark_block : 0;
  const std::int64_t keys = window + std::max(MostEntries(c, limits), block);
  backend::ScratchSizes sizes = backend::AttendScratch(c.heads, keys, c.head_dim);
  for (const LayerPlan& layer : PlanLayers(c)) {
    if (layer.ratio != 0) sizes = sizes.Max(backend::CompressScratch(layer.ratio, std::max(c.head_dim, c.index_dim), c.rope_dim));
  }
  if (HasIndexer(c)) sizes = sizes.Max(backend::ChooseScratch(c.index_dim, limits.context / 4 + 1));
  return sizes;
}

std::uint64_t ActivationBytes(const checkpoint::ModelConfig& config, Arithmetic arithmetic, const Limits& limits) noexcept {
  tensor::Arena counting;
  Activations activations;
  activations.Take(counting, config, arithmetic, limits);
  return counting.used_bytes();
}

std::int64_t ChunkRows(const checkpoint::ModelConfig& config, Arithmetic arithmetic, std::int64_t tokens, std::uint64_t bytes) noexcept {
  constexpr std::int64_t kMost = 2048, kLeast = 256;
  std::int64_t rows = std::min(kMost, tokens);
  while (rows > kLeast && ActivationBytes(config, arithmetic, {.rows = rows, .context = tokens}) > bytes) rows = std::max(kLeast, rows / 2);
  return rows;
}

}  // namespace baleen::model

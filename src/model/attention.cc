#include <algorithm>
#include <cmath>

#include "model/transformer.h"

namespace baleen::model {
namespace {

/// Whether segments are many, short and near their beginning, as in steps that decode a batch: then each is one thread's work, else each is
/// everybody's, so that no thread is left alone with a long one.
bool AreShort(backend::Device& device, const Rows& rows) noexcept {
  constexpr std::int64_t kShort = 8, kShortContext = 32768;
  if (rows.segment_count < device.workers().threads() || rows.count > kShort * rows.segment_count) return false;
  for (std::int64_t s = 0; s < rows.segment_count; ++s) {
    if (rows.segments[s].first_position > kShortContext) return false;
  }
  return rows.segment_count > 1;
}

/// Calls body(s) for every segment, some at the same time where `together`.
template <typename Body>
void ForSegments(backend::Device& device, const Rows& rows, bool together, const Body& body) noexcept {
  if (together) return device.Together(rows.segment_count, body);
  for (std::int64_t s = 0; s < rows.segment_count; ++s) body(s);
}

}  // namespace

/// y = wo_b(wo_a(attention over window and entries)) for a_.x (§3).
void Transformer::Attend(const Layer& layer, const Rows& rows) noexcept {
  Query(layer, rows);
  StoreRows(layer, rows);
  if (layer.plan.attention != AttentionKind::kWindow) CompressRows(layer, rows, layer.attention.compressor, false);
  if (layer.plan.attention == AttentionKind::kCsa) {
    CompressRows(layer, rows, layer.attention.indexer.compressor, true);
    ChooseEntries(layer, rows);
  }
  AttendSegments(layer, rows);
  ProjectOutput(layer, rows);
}

/// query_low = norm(wq_a x), query = rotated, normalised wq_b query_low (§3.1).
void Transformer::Query(const Layer& layer, const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  const AttentionWeights& w = layer.attention;
  const auto eps = static_cast<float>(config_.norm_eps);
  ops.linear(*device_, {w.query_down, a_.x.Of(config_.hidden_size), rows.count, a_.query_low.x, rounding_});
  ops.norm(*device_, {a_.query_low.x, rows.count, config_.q_lora, config_.q_lora, w.query_norm.data(), eps, a_.query_low, rounding_});
  ops.linear(*device_, {w.query_up, a_.query_low.Of(config_.q_lora), rows.count, a_.query, rounding_});
  ops.prepare_query(*device_, {.q = a_.query,
                               .rows = rows.count,
                               .heads = config_.heads,
                               .dim = config_.head_dim,
                               .head_norm_eps = eps,
                               .rotation = RotationOf(layer, rows, 0),
                               .rounding = rounding_});
}

/// One KV row per token: key and value at once (§3.2).
void Transformer::StoreRows(const Layer& layer, const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  ops.linear(*device_, {layer.attention.kv, a_.x.Of(config_.hidden_size), rows.count, a_.kv, rounding_});
  ops.store_kv(*device_, {.kv = a_.kv,
                          .rows = rows.count,
                          .norm_weight = layer.attention.kv_norm.data(),
                          .eps = static_cast<float>(config_.norm_eps),
                          .rotation = RotationOf(layer, rows, 0),
                          .layout = cache_layout_.layers[static_cast<std::size_t>(layer.cache_layer)].row,
                          .stored = a_.kv_rows,
                          .rounding = rounding_});
}

/// Projects every row and closes the windows that end in this step (§4); projections stay fp32 in both arithmetics.
void Transformer::CompressRows(const Layer& layer, const Rows& rows, const CompressorWeights& compressor, bool index_keys) noexcept {
  const backend::Ops& ops = device_->ops();
  const kvcache::LayerLayout& layout = cache_layout_.layers[static_cast<std::size_t>(layer.cache_layer)];
  const backend::Numbers x{.x = a_.x.x, .d = config_.hidden_size};
  ops.linear(*device_, {compressor.value, x, rows.count, a_.compressor_value});
  ops.linear(*device_, {compressor.gate, x, rows.count, a_.compressor_gate});
  ForSegments(*device_, rows, AreShort(*device_, rows), [&](std::int64_t s) noexcept {
    const SegmentRows& segment = rows.segments[s];
    const backend::CacheView cache = segment.sequence->Layer(layer.cache_layer);
    const kvcache::TailRing tail = index_keys ? segment.sequence->IndexTail(layer.cache_layer) : segment.sequence->Tail(layer.cache_layer);
    ops.compress(*device_, {.value = a_.compressor_value + segment.first_row * compressor.channels,
                            .gate = a_.compressor_gate + segment.first_row * compressor.channels,
                            .position_bias = compressor.position_bias.data(),
                            .first_position = segment.first_position,
                            .rows = segment.rows,
                            .tail_value = tail.value,
                            .tail_gate = tail.gate,
                            .tail_rows = tail.slots,
                            .ratio = compressor.ratio,
                            .dim = compressor.dim,
                            .channels = compressor.channels,
                            .norm_weight = compressor.norm.data(),
                            .eps = static_cast<float>(config_.norm_eps),
                            .frequencies = compressed_frequencies_,
                            .index_keys = index_keys,
                            .kv = layout.row,
                            .index = layout.index_row,
                            .entries = index_keys ? cache.index_entries : cache.entries,
                            .rounding = rounding_});
  });
}

/// Scores the index keys and chooses the entries of every row (§5).
void Transformer::ChooseEntries(const Layer& layer, const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  const IndexerWeights& w = layer.attention.indexer;
  const std::int64_t heads = config_.index_heads, dim = config_.index_dim;
  ops.linear(*device_, {w.query, a_.query_low.Of(config_.q_lora), rows.count, a_.index_query, rounding_});
  ops.prepare_query(*device_, {.q = a_.index_query,
                               .rows = rows.count,
                               .heads = heads,
                               .dim = dim,
                               .rotation = RotationOf(layer, rows, 0),
                               .index_quantize = arithmetic_ != Arithmetic::kExact,
                               .rounding = rounding_});
  ops.linear(*device_, {w.weights, {.x = a_.x.x, .d = config_.hidden_size}, rows.count, a_.index_weights, rounding_});
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim) * static_cast<double>(heads)));
  ops.scale_by(*device_, {a_.index_weights, rows.count * heads, factor, rounding_});
  // Together, each segment has as much of the scores' memory as the longest needs.
  std::int64_t most = 0;
  for (std::int64_t s = 0; s < rows.segment_count; ++s) most = std::max(most, (rows.segments[s].first_position + rows.segments[s].rows) / layer.plan.ratio);
  const bool together = AreShort(*device_, rows) && rows.segment_count * most <= a_.index_score_rows * a_.index_score_stride;
  ForSegments(*device_, rows, together, [&](std::int64_t s) noexcept {
    const SegmentRows& segment = rows.segments[s];
    backend::CacheView cache = segment.sequence->Layer(layer.cache_layer);
    cache.first_position = segment.first_position;
    cache.rows = segment.rows;
    ops.choose_rows(*device_, {.cache = cache,
                               .query = a_.index_query + segment.first_row * heads * dim,
                               .weights = a_.index_weights + segment.first_row * heads,
                               .heads = heads,
                               .ratio = layer.plan.ratio,
                               .top_k = config_.index_top_k,
                               .layout = cache_layout_.layers[static_cast<std::size_t>(layer.cache_layer)].index_row,
                               .score = a_.index_score + (together ? s * most : 0),
                               .score_stride = together ? most : a_.index_score_stride,
                               .score_rows = together ? 1 : a_.index_score_rows,
                               .chosen = a_.chosen_rows + segment.first_row * config_.index_top_k,
                               .rounding = rounding_});
  });
}

void Transformer::AttendSegments(const Layer& layer, const Rows& rows) noexcept {
  const std::int64_t width = config_.heads * config_.head_dim;
  const backend::KvRowLayout& layout = cache_layout_.layers[static_cast<std::size_t>(layer.cache_layer)].row;
  ForSegments(*device_, rows, AreShort(*device_, rows), [&](std::int64_t s) noexcept {
    const SegmentRows& segment = rows.segments[s];
    backend::CacheView cache = segment.sequence->Layer(layer.cache_layer);
    cache.first_position = segment.first_position;
    cache.rows = segment.rows;
    device_->ops().attend(*device_, {.cache = cache,
                                     .step_rows = a_.kv_rows + segment.first_row * layout.RowBytes(),
                                     .layout = layout,
                                     .window = config_.window,
                                     .ratio = layer.plan.ratio,
                                     .chosen = layer.plan.attention == AttentionKind::kCsa ? a_.chosen_rows + segment.first_row * config_.index_top_k : nullptr,
                                     .top_k = config_.index_top_k,
                                     .query = a_.query + segment.first_row * width,
                                     .heads = config_.heads,
                                     .sink = layer.attention.sink.data(),
                                     .block = rows.blocks,
                                     .rotation = RotationOf(layer, rows, segment.first_row),
                                     .out = a_.attended.x + segment.first_row * width,
                                     .rounding = rounding_});
  });
}

/// y = wo_b concat_g(wo_a_g o_g) (§3.6); wo_a multiplies plain numbers but in fast arithmetic.
void Transformer::ProjectOutput(const Layer& layer, const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  const std::int64_t groups = config_.output_groups, low = groups * config_.output_lora;
  const backend::Numbers attended = Quantized(a_.attended, rows.count * groups, config_.heads * config_.head_dim / groups);
  ops.grouped_linear(*device_, {layer.attention.output_down, attended, rows.count, groups, a_.output_low.x, rounding_});
  const backend::Numbers z = Quantized(a_.output_low, rows.count, low);
  ops.linear(*device_, {layer.attention.output_up, z, rows.count, a_.y, rounding_});
}

}  // namespace baleen::model

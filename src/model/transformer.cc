#include "model/transformer.h"

#include <algorithm>

#include "diagnostics/check.h"

namespace baleen::model {

void Transformer::Forward(const Step& step) noexcept {
  BeginRows(step);
  Embed(a_.rows, a_.streams);
  for (const Layer& layer : weights_.layers) {
    RunBlock(layer, a_.rows, a_.streams);
    KeepFeatures(layer);
    if (step.observer.see != nullptr) step.observer.see(step.observer.context, layer.cache_layer, a_.streams, a_.rows.count);
  }
  ComputeLogits(weights_.head, a_.streams, step.rows_wanted, a_.logits);
  for (const Segment& segment : step.segments) segment.sequence->Advance(segment.rows);
}

void Transformer::RunBlock(const Layer& layer, const Rows& rows, float* streams) noexcept {
  const backend::ExpandStreams expand{config_.streams, a_.y, a_.mix, streams};
  const auto collapse = [&](const Site& site, const Vector& norm, const backend::ExpandStreams& first) {
    device_->ops().collapse(*device_, {&site.weights, first, streams, rows.count, norm.data(), a_.mix_raw, a_.mix, a_.x, rounding_});
  };

  collapse(layer.before_attention, layer.attention_norm, {});
  Attend(layer, rows);

  collapse(layer.before_experts, layer.expert_norm, expand);
  RunExperts(layer, rows, expand);
}

void Transformer::Embed(const Rows& rows, float* streams) noexcept {
  device_->ops().embed(*device_, {weights_.embedding, rows.TokenSpan(), config_.streams, streams, config_.streams * config_.hidden_size});
}

void Transformer::ComputeLogits(const Head& head, const float* streams, std::span<const std::int32_t> chosen, float* logits) noexcept {
  const auto rows = static_cast<std::int64_t>(chosen.size());
  CHECK(rows <= std::max(limits_.logit_rows, limits_.segments * limits_.draft_tokens));
  if (rows == 0) return;
  const backend::Ops& ops = device_->ops();
  ops.collapse_head(*device_, {&head.site.weights, streams, chosen, head.norm.data(), a_.head_raw, a_.head_y, rounding_});
  ops.linear(*device_, {.weight = weights_.lm_head, .x = {.x = a_.head_y, .d = config_.hidden_size}, .rows = rows, .y = logits});
}

void Transformer::BeginRows(const Step& step) noexcept {
  Rows& rows = a_.rows;
  CHECK(static_cast<std::int64_t>(step.tokens.size()) <= limits_.rows);
  CHECK(static_cast<std::int64_t>(step.segments.size()) <= limits_.segments);
  rows.Clear();
  std::copy(step.tokens.begin(), step.tokens.end(), rows.tokens);
  for (const Segment& segment : step.segments) {
    const std::int64_t first = segment.sequence->length();
    CHECK(first + segment.rows <= std::min(segment.sequence->reserved(), limits_.context));
    rows.segments[rows.segment_count++] = {segment.sequence, first, segment.rows, rows.count};
    for (std::int64_t i = 0; i < segment.rows; ++i) rows.positions[rows.count++] = first + i;
  }
  CHECK(rows.count == static_cast<std::int64_t>(step.tokens.size()));
  MakeRotations(rows);
}

void Transformer::MakeRotations(const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  ops.make_rotation(*device_, {plain_frequencies_, rows.PositionSpan(), rows.plain_cosine, rows.plain_sine});
  ops.make_rotation(*device_, {compressed_frequencies_, rows.PositionSpan(), rows.compressed_cosine, rows.compressed_sine});
}

backend::Rotation Transformer::RotationOf(const Layer& layer, const Rows& rows, std::int64_t first_row) const noexcept {
  const std::int64_t offset = first_row * (config_.rope_dim / 2);
  if (layer.plan.ratio == 0) return {rows.plain_cosine + offset, rows.plain_sine + offset, config_.rope_dim};
  return {rows.compressed_cosine + offset, rows.compressed_sine + offset, config_.rope_dim};
}

backend::Numbers Transformer::Quantized(const backend::QuantizedBuffer& buffer, std::int64_t rows, std::int64_t d) noexcept {
  if (buffer.codes != nullptr || buffer.bytes != nullptr) device_->ops().quantize(*device_, {buffer, rows, d});
  return buffer.Of(d);
}

std::span<const float> Transformer::Logits(std::int64_t i) const noexcept {
  return {a_.logits + i * config_.vocab_size, static_cast<std::size_t>(config_.vocab_size)};
}

}  // namespace baleen::model

#include <algorithm>
#include <cstring>

#include "diagnostics/check.h"
#include "model/transformer.h"

namespace baleen::model {

std::int64_t Transformer::Draft(const Step& step) noexcept {
  CHECK(has_mtp() && limits_.with_mtp);
  const std::int64_t count = BeginDraftRows(step);
  if (count > 0) {
    const MtpModule& module = weights_.mtp.front();
    ProjectDraftInput(a_.draft_rows);
    RunBlock(module.block, a_.draft_rows, a_.draft_streams);
    for (std::int64_t r = 0; r < count; ++r) a_.draft_chosen[r] = static_cast<std::int32_t>(r);
    ComputeLogits(module.head, a_.draft_streams, {a_.draft_chosen, static_cast<std::size_t>(count)});
  }
  KeepCarry();
  return count;
}

/// A draft row stands one position before its token: its streams are those of the row before, or the ones carried from the last step.
std::int64_t Transformer::BeginDraftRows(const Step& step) noexcept {
  Rows& rows = a_.draft_rows;
  const std::int64_t floats = config_.streams * config_.hidden_size;
  rows.count = 0;
  rows.segment_count = 0;
  for (std::int64_t s = 0; s < a_.rows.segment_count; ++s) {
    const SegmentRows& segment = a_.rows.segments[s];
    const std::int64_t skipped = segment.first_position == 0 ? 1 : 0;  // no position stands before the first token
    if (segment.rows <= skipped) continue;
    rows.segments[rows.segment_count++] = {segment.sequence, segment.first_position - 1 + skipped, segment.rows - skipped, rows.count};
    for (std::int64_t i = skipped; i < segment.rows; ++i, ++rows.count) {
      const float* source = i > 0 ? a_.streams + (segment.first_row + i - 1) * floats : segment.sequence->Carry();
      std::memcpy(a_.draft_streams + rows.count * floats, source, static_cast<std::size_t>(4 * floats));
      rows.tokens[rows.count] = step.tokens[static_cast<std::size_t>(segment.first_row + i)];
      rows.positions[rows.count] = segment.first_position - 1 + i;
    }
  }
  MakeRotations(rows);
  return rows.count;
}

/// Y = h_proj norm(X) per stream + e_proj norm(embedding of the next token) (§7.1).
void Transformer::ProjectDraftInput(const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  const MtpModule& module = weights_.mtp.front();
  const std::int64_t n = config_.streams, d = config_.hidden_size;
  const auto eps = static_cast<float>(config_.norm_eps);
  ops.embed(*device_, {weights_.embedding, rows.TokenSpan(), 1, a_.x.x, d});
  ops.norm(*device_, {a_.x.x, rows.count, d, d, module.token_norm.data(), eps, a_.x.x, rounding_});
  ops.linear(*device_, {module.token_projection, Quantized(a_.x, rows.count, d), rows.count, a_.y, rounding_});
  ops.norm(*device_, {a_.draft_streams, rows.count * n, d, d, module.stream_norm.data(), eps, a_.draft_input.x, rounding_});
  ops.linear(*device_, {module.stream_projection, Quantized(a_.draft_input, rows.count * n, d), rows.count * n, a_.draft_streams, rounding_});
  ops.add_rows(*device_, {a_.draft_streams, a_.y, rows.count, n, d, rounding_});
}

void Transformer::KeepCarry() noexcept {
  const std::int64_t floats = config_.streams * config_.hidden_size;
  for (std::int64_t s = 0; s < a_.rows.segment_count; ++s) {
    const SegmentRows& segment = a_.rows.segments[s];
    std::memcpy(segment.sequence->Carry(), a_.streams + (segment.first_row + segment.rows - 1) * floats, static_cast<std::size_t>(4 * floats));
  }
}

}  // namespace baleen::model

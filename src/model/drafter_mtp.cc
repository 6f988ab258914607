// The MTP module (§7.1): one more block that reads the backbone's streams of a position and the token behind it.

#include <cstring>

#include "diagnostics/check.h"
#include "model/transformer.h"

namespace baleen::model {

std::int64_t Transformer::DraftLogits(std::span<const std::int32_t> next_tokens) noexcept {
  CHECK(drafter() == checkpoint::DrafterKind::kMtp && static_cast<std::int64_t>(next_tokens.size()) == a_.rows.segment_count);
  Rows& rows = a_.draft_rows;
  rows.Clear();
  for (std::int64_t s = 0; s < a_.rows.segment_count; ++s) {
    const SegmentRows& segment = a_.rows.segments[s];
    const std::int32_t next = next_tokens[static_cast<std::size_t>(s)];
    AddPairs(segment, KeptRows(segment) - (next < 0 ? 1 : 0), next);
  }
  for (std::int64_t r = 0; r < rows.count; ++r) a_.draft_chosen[r] = static_cast<std::int32_t>(r);
  CHECK(rows.count <= limits_.logit_rows);
  RunMtp();
  ComputeLogits(weights_.mtp.front().head, a_.draft_streams, {a_.draft_chosen, static_cast<std::size_t>(rows.count)}, a_.logits);
  return rows.count;
}

void Transformer::ProposeMtp(std::span<Proposal> proposals) noexcept {
  Rows& rows = a_.draft_rows;
  rows.Clear();
  std::int64_t drafting = 0;
  for (std::size_t p = 0; p < proposals.size(); ++p) {
    const Proposal& proposal = proposals[p];
    const SegmentRows& segment = a_.rows.segments[proposal.segment];
    const std::int64_t kept = KeptRows(segment);
    AddPairs(segment, kept, proposal.next_token);
    if (proposal.wanted == 0 || kept == 0) continue;
    a_.draft.owner[drafting] = static_cast<std::int32_t>(p);
    a_.draft_chosen[drafting++] = static_cast<std::int32_t>(rows.count - 1);
  }
  RunMtp();
  for (std::int64_t used = 0; drafting > 0; drafting = ContinueDrafts(proposals, drafting)) {
    ComputeLogits(weights_.mtp.front().head, a_.draft_streams, {a_.draft_chosen, static_cast<std::size_t>(drafting)}, a_.draft.logits + used * config_.vocab_size);
    for (std::int64_t i = 0; i < drafting; ++i) {
      const std::int32_t owner = a_.draft.owner[i];
      DraftToken(proposals[static_cast<std::size_t>(owner)], owner, static_cast<std::int32_t>(used++));
    }
  }
}

/// Feeds the module its own output streams with the token just drafted, for the proposals that want more; returns how many. These rows
/// stand behind the sequence's end: their cache rows are written again once real streams are there.
std::int64_t Transformer::ContinueDrafts(std::span<Proposal> proposals, std::int64_t drafting) noexcept {
  Rows& rows = a_.draft_rows;
  const std::int64_t floats = config_.streams * config_.hidden_size;
  rows.Clear();
  for (std::int64_t i = 0; i < drafting; ++i) {
    const Proposal& proposal = proposals[static_cast<std::size_t>(a_.draft.owner[i])];
    if (proposal.proposed == proposal.wanted) continue;
    const std::int64_t r = rows.count++;
    std::memmove(a_.draft_streams + r * floats, a_.draft_streams + a_.draft_chosen[i] * floats, static_cast<std::size_t>(4 * floats));
    rows.tokens[r] = proposal.tokens[static_cast<std::size_t>(proposal.proposed - 1)];
    rows.positions[r] = proposal.sequence->length() + proposal.proposed - 1;
    rows.segments[rows.segment_count++] = {proposal.sequence, rows.positions[r], 1, r};
    a_.draft.owner[r] = a_.draft.owner[i];
    a_.draft_chosen[r] = static_cast<std::int32_t>(r);
  }
  RunMtp();
  return rows.count;
}

/// Pairs the streams of the segment's first `count` rows with the tokens behind them, the last row's with `next_token` where it is kept.
void Transformer::AddPairs(const SegmentRows& segment, std::int64_t count, std::int32_t next_token) noexcept {
  if (count <= 0) return;
  Rows& rows = a_.draft_rows;
  const std::int64_t floats = config_.streams * config_.hidden_size, kept = KeptRows(segment);
  rows.segments[rows.segment_count++] = {segment.sequence, segment.first_position, count, rows.count};
  std::memcpy(a_.draft_streams + rows.count * floats, a_.streams + segment.first_row * floats, static_cast<std::size_t>(4 * count * floats));
  for (std::int64_t i = 0; i < count; ++i, ++rows.count) {
    rows.tokens[rows.count] = i + 1 < kept ? a_.rows.tokens[segment.first_row + i + 1] : next_token;
    rows.positions[rows.count] = segment.first_position + i;
  }
}

void Transformer::RunMtp() noexcept {
  if (a_.draft_rows.count == 0) return;
  MakeRotations(a_.draft_rows);
  ProjectDraftInput(a_.draft_rows);
  RunBlock(weights_.mtp.front().block, a_.draft_rows, a_.draft_streams);
}

/// Y = h_proj norm(X) per stream + e_proj norm(embedding of the next token) (§7.1).
void Transformer::ProjectDraftInput(const Rows& rows) noexcept {
  const backend::Ops& ops = device_->ops();
  const MtpModule& module = weights_.mtp.front();
  const std::int64_t n = config_.streams, d = config_.hidden_size;
  const auto eps = static_cast<float>(config_.norm_eps);
  ops.embed(*device_, {weights_.embedding, rows.TokenSpan(), 1, a_.x.x, d});
  ops.norm(*device_, {a_.x.x, rows.count, d, d, module.token_norm.data(), eps, a_.x, rounding_});
  ops.linear(*device_, {module.token_projection, a_.x.Of(d), rows.count, a_.y, rounding_});
  ops.norm(*device_, {a_.draft_streams, rows.count * n, d, d, module.stream_norm.data(), eps, a_.draft_input, rounding_});
  ops.linear(*device_, {module.stream_projection, a_.draft_input.Of(d), rows.count * n, a_.draft_streams, rounding_});
  ops.add_rows(*device_, {a_.draft_streams, a_.y, rows.count, n, d, rounding_});
}

}  // namespace baleen::model

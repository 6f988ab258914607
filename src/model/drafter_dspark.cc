// The DSpark drafter (§7.2): three blocks that read the backbone's features of the tokens so far and draft a block of tokens at once; a
// Markov head then corrects each place by the token drafted before it, and a confidence head says how far the draft is worth checking.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/transformer.h"

namespace baleen::model {

/// features[r] = concat over the target layers of the mean of their output streams.
void Transformer::KeepFeatures(const Layer& layer) noexcept {
  if (weights_.dspark.empty()) return;
  const auto& targets = config_.dspark_target_layers;
  const auto found = std::find(targets.begin(), targets.end(), layer.cache_layer);
  if (found == targets.end()) return;
  const std::int64_t d = config_.hidden_size;
  device_->ops().mean_streams(*device_, {a_.streams, a_.rows.count, config_.streams, d, a_.features.x + (found - targets.begin()) * d,
                                         static_cast<std::int64_t>(targets.size()) * d, rounding_});
}

void Transformer::ProposeDspark(std::span<Proposal> proposals) noexcept {
  StoreFeatureRows(proposals);
  const std::int64_t drafting = RunDraftBlocks(proposals);
  if (drafting == 0) return;
  ComputeBlockLogits(proposals, drafting);
  std::fill_n(a_.draft.reached, proposals.size(), 1.0f);
  for (std::int64_t going = drafting; going > 0;) going = DraftPlace(proposals, going);
}

/// Each stage's KV rows of the kept tokens come from the features, not from the stage before.
void Transformer::StoreFeatureRows(std::span<const Proposal> proposals) noexcept {
  const backend::Ops& ops = device_->ops();
  const DsparkDrafter& drafter = weights_.dspark.front();
  const std::int64_t rows = a_.rows.count, d = config_.hidden_size;
  if (rows == 0) return;
  ops.linear(*device_, {drafter.feature_projection, Quantized(a_.features, rows, drafter.feature_projection.k), rows, a_.y, rounding_});
  ops.norm(*device_, {a_.y, rows, d, d, drafter.feature_norm.data(), static_cast<float>(config_.norm_eps), a_.x, rounding_});
  for (const Layer& stage : drafter.stages) {
    const backend::KvRowLayout& layout = cache_layout_.layers[static_cast<std::size_t>(stage.cache_layer)].row;
    StoreRows(stage, a_.rows);
    for (const Proposal& proposal : proposals) {
      const SegmentRows& segment = a_.rows.segments[proposal.segment];
      backend::CacheView cache = segment.sequence->Layer(stage.cache_layer);
      cache.first_position = segment.first_position;
      cache.rows = KeptRows(segment);
      ops.keep_rows(*device_, {cache, a_.kv_rows + segment.first_row * layout.RowBytes(), layout});
    }
  }
}

/// Runs a block of rows for every proposal that wants tokens: the next token, then noise. Returns how many blocks.
std::int64_t Transformer::RunDraftBlocks(std::span<const Proposal> proposals) noexcept {
  Rows& rows = a_.draft_rows;
  rows.Clear();
  rows.blocks = true;
  for (std::size_t p = 0; p < proposals.size(); ++p) {
    const Proposal& proposal = proposals[p];
    if (proposal.wanted == 0) continue;
    const std::int64_t first = proposal.sequence->length();
    a_.draft.owner[rows.segment_count] = static_cast<std::int32_t>(p);
    rows.segments[rows.segment_count++] = {proposal.sequence, first, config_.dspark_block, rows.count};
    for (std::int64_t i = 0; i < config_.dspark_block; ++i, ++rows.count) {
      rows.tokens[rows.count] = i == 0 ? proposal.next_token : static_cast<std::int32_t>(config_.dspark_noise_token);
      rows.positions[rows.count] = first + i;
    }
  }
  if (rows.count == 0) return 0;
  MakeRotations(rows);
  Embed(rows, a_.draft_streams);
  for (const Layer& stage : weights_.dspark.front().stages) RunBlock(stage, rows, a_.draft_streams);
  return rows.segment_count;
}

/// The head on the wanted rows of every block, place by place; a_.head_y keeps the hyper head's output before its norm.
void Transformer::ComputeBlockLogits(std::span<const Proposal> proposals, std::int64_t drafting) noexcept {
  const backend::Ops& ops = device_->ops();
  const Head& head = weights_.dspark.front().head;
  const std::int64_t d = config_.hidden_size;
  std::int32_t rows = 0;
  for (std::int64_t place = 0; place < limits_.draft_tokens; ++place) {
    for (std::int64_t i = 0; i < drafting; ++i) {
      const std::int32_t owner = a_.draft.owner[i];
      if (proposals[static_cast<std::size_t>(owner)].wanted <= place) continue;
      a_.draft_chosen[rows] = static_cast<std::int32_t>(i * config_.dspark_block + place);
      a_.draft.logit_row[owner * limits_.draft_tokens + place] = rows++;
    }
  }
  ops.collapse_head(*device_, {&head.site.weights, a_.draft_streams, {a_.draft_chosen, static_cast<std::size_t>(rows)}, nullptr, a_.head_raw, a_.head_y, rounding_});
  ops.norm(*device_, {a_.head_y, rows, d, d, head.norm.data(), static_cast<float>(config_.norm_eps), {.x = a_.draft.head_y}, rounding_});
  ops.linear(*device_, {.weight = weights_.lm_head, .x = {.x = a_.draft.head_y, .d = d}, .rows = rows, .y = a_.draft.logits});
}

/// Drafts the next token of the first `going` owners; returns how many of them go on. The running product of the confidences is the
/// probability that the draft is accepted whole up to a place: under the limit, the place is not worth a row of the next step.
std::int64_t Transformer::DraftPlace(std::span<Proposal> proposals, std::int64_t going) noexcept {
  const backend::Ops& ops = device_->ops();
  DraftBuffers& draft = a_.draft;
  const std::int64_t vocab = config_.vocab_size, most = limits_.draft_tokens;
  for (std::int64_t i = 0; i < going; ++i) {
    const Proposal& proposal = proposals[static_cast<std::size_t>(draft.owner[i])];
    draft.previous[i] = proposal.proposed == 0 ? proposal.next_token : proposal.tokens[static_cast<std::size_t>(proposal.proposed - 1)];
  }
  ComputeConfidence(proposals, going);
  ops.linear(*device_, {.weight = weights_.dspark.front().markov_output, .x = {.x = draft.markov, .d = config_.dspark_markov_rank}, .rows = going, .y = draft.correction});
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < going; ++i) {
    const std::int32_t owner = draft.owner[i];
    Proposal& proposal = proposals[static_cast<std::size_t>(owner)];
    const std::int64_t place = proposal.proposed;
    draft.reached[owner] *= draft.confidence[i];
    if (place > 0 && !(draft.reached[owner] >= limits_.least_confidence)) continue;
    const std::int32_t row = draft.logit_row[owner * most + place];
    ops.add_rows(*device_, {draft.logits + row * vocab, draft.correction + i * vocab, 1, 1, vocab});
    if (!proposal.confidence.empty()) proposal.confidence[static_cast<std::size_t>(place)] = draft.confidence[i];
    DraftToken(proposal, owner, row);
    if (proposal.proposed < proposal.wanted) draft.owner[kept++] = owner;
  }
  return kept;
}

/// confidence[i] = σ(proj · concat(hyper head's output, Markov embedding of the token before)) of the first `going` owners, fp32.
void Transformer::ComputeConfidence(std::span<const Proposal> proposals, std::int64_t going) noexcept {
  const backend::Ops& ops = device_->ops();
  const DsparkDrafter& drafter = weights_.dspark.front();
  DraftBuffers& draft = a_.draft;
  const std::int64_t d = config_.hidden_size, rank = config_.dspark_markov_rank, width = d + rank;
  ops.embed(*device_, {drafter.markov_embedding, {draft.previous, static_cast<std::size_t>(going)}, 1, draft.markov, rank});
  for (std::int64_t i = 0; i < going; ++i) {
    const std::int32_t owner = draft.owner[i], row = draft.logit_row[owner * limits_.draft_tokens + proposals[static_cast<std::size_t>(owner)].proposed];
    std::memcpy(draft.confidence_input + i * width, a_.head_y + row * d, static_cast<std::size_t>(4 * d));
    std::memcpy(draft.confidence_input + i * width + d, draft.markov + i * rank, static_cast<std::size_t>(4 * rank));
  }
  ops.linear(*device_, {.weight = drafter.confidence, .x = {.x = draft.confidence_input, .d = width}, .rows = going, .y = draft.confidence});
  for (std::int64_t i = 0; i < going; ++i) draft.confidence[i] = 1.0f / (1.0f + std::exp(-draft.confidence[i]));
}

}  // namespace baleen::model

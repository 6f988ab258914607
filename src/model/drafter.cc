#include <algorithm>

#include "diagnostics/check.h"
#include "model/transformer.h"

namespace baleen::model {

void Transformer::Propose(std::span<Proposal> proposals) noexcept {
  CHECK(has_drafter());
  CHECK(static_cast<std::int64_t>(proposals.size()) <= limits_.segments);
  for (Proposal& proposal : proposals) {
    CHECK(proposal.wanted <= limits_.draft_tokens && static_cast<std::int64_t>(proposal.tokens.size()) >= proposal.wanted);
    CHECK(proposal.sequence == a_.rows.segments[proposal.segment].sequence);
    CHECK(proposal.next_token >= 0 && proposal.next_token < config_.vocab_size);
    proposal.proposed = 0;
  }
  std::fill_n(a_.draft.logit_row, limits_.segments * limits_.draft_tokens, -1);
  if (drafter() == checkpoint::DrafterKind::kMtp) {
    ProposeMtp(proposals);
  } else {
    ProposeDspark(proposals);
  }
}

std::span<const float> Transformer::DraftedLogits(std::int64_t proposal, std::int64_t place) const noexcept {
  const std::int32_t row = a_.draft.logit_row[proposal * limits_.draft_tokens + place];
  CHECK(row >= 0);
  return {a_.draft.logits + row * config_.vocab_size, static_cast<std::size_t>(config_.vocab_size)};
}

/// The rows of a step's segment that its sequence still holds: the engine may have rolled it back.
std::int64_t Transformer::KeptRows(const SegmentRows& segment) const noexcept {
  const std::int64_t kept = segment.sequence->length() - segment.first_position;
  CHECK(kept >= 0 && kept <= segment.rows);
  return kept;
}

/// The likeliest token of a row of draft logits, the lowest id of equals.
void Transformer::DraftToken(Proposal& proposal, std::int64_t index, std::int32_t logit_row) noexcept {
  const float* logits = a_.draft.logits + logit_row * config_.vocab_size;
  a_.draft.logit_row[index * limits_.draft_tokens + proposal.proposed] = logit_row;
  proposal.tokens[static_cast<std::size_t>(proposal.proposed++)] = static_cast<std::int32_t>(std::max_element(logits, logits + config_.vocab_size) - logits);
}

}  // namespace baleen::model

#include "constraint/free_text.h"

#include <algorithm>
#include <deque>

#include "text/special_tokens.h"

namespace baleen::constraint {

FreeText::FreeText(const std::vector<std::string>& token_bytes, std::span<const std::int32_t> end_ids)
    : token_bytes_(token_bytes), end_ids_(end_ids.begin(), end_ids.end()) {
  nodes_.emplace_back();
  for (const std::string_view token : {text::kBeginOfSequence, text::kEndOfSequence, text::kThinkingStart, text::kThinkingEnd, text::kDsml}) {
    nodes_[Insert(token)].forbidden = true;
  }
  block_ = Insert(text::kToolBlockStart);
  Link();
  masks_.resize(nodes_.size());
}

FreeText::State FreeText::Insert(std::string_view text) {
  State state = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (nodes_[state].next[byte] == 0) {
      nodes_[state].next[byte] = nodes_.size();
      nodes_.emplace_back();
    }
    state = nodes_[state].next[byte];
  }
  return state;
}

// The links of Aho and Corasick; then the block's start is cut out: what is forbidden elsewhere is its inside, and it cannot be left.
void FreeText::Link() {
  std::deque<State> waiting;
  for (State child : nodes_[0].next) {
    if (child != 0) waiting.push_back(child);
  }
  while (!waiting.empty()) {
    const State state = waiting.front();
    waiting.pop_front();
    nodes_[state].forbidden |= nodes_[nodes_[state].shorter].forbidden;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const State through = nodes_[nodes_[state].shorter].next[byte];
      State& next = nodes_[state].next[byte];
      if (next == 0) {
        next = through;
        continue;
      }
      nodes_[next].shorter = through;
      waiting.push_back(next);
    }
  }
  State state = 0;
  const std::size_t tag = text::kToolBlockStart.find(text::kDsml) + text::kDsml.size();
  for (std::size_t i = 0; i < text::kToolBlockStart.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text::kToolBlockStart[i]);
    const State next = nodes_[state].next[byte];
    if (nodes_[state].in_tag) {
      nodes_[state].next.fill(kDead);
      nodes_[state].next[byte] = next;
    }
    state = next;
    if (i + 1 < tag) continue;
    nodes_[state].forbidden = false;
    nodes_[state].in_tag = true;
  }
  nodes_[block_].next.fill(kDead);
  for (Node& node : nodes_) {
    for (State& next : node.next) {
      if (next != kDead && nodes_[next].forbidden) next = kDead;
    }
  }
}

FreeText::State FreeText::Advance(State state, std::string_view text) const noexcept {
  for (const char c : text) {
    if (state == kDead) return kDead;
    state = nodes_[state].next[static_cast<unsigned char>(c)];
  }
  return state;
}

void FreeText::Allowed(State state, std::span<std::uint32_t> allowed) const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::uint32_t>& mask = masks_[state];
  if (mask.empty()) {
    mask.resize(allowed.size());
    for (std::size_t id = 0; id < token_bytes_.size(); ++id) {
      const std::string& bytes = token_bytes_[id];
      if (!bytes.empty() && Advance(state, bytes) != kDead) mask[id / 32] |= 1U << (id % 32);
    }
    for (const std::int32_t id : end_ids_) {
      const std::uint32_t bit = 1U << (static_cast<std::uint32_t>(id) % 32);
      std::uint32_t& word = mask[static_cast<std::size_t>(id) / 32];
      word = MayEnd(state) ? word | bit : word & ~bit;
    }
  }
  std::ranges::copy(mask, allowed.begin());
}

}  // namespace baleen::constraint

#include "text/added_tokens.h"

namespace baleen::text {

namespace {

std::uint64_t Step(std::uint64_t node, char byte) noexcept { return node << 8 | static_cast<std::uint8_t>(byte); }

}  // namespace

void AddedTokenFinder::Add(std::string_view content, std::int32_t id) {
  first_bytes_[static_cast<std::uint8_t>(content[0])] = true;
  std::uint64_t node = 0;
  for (const char byte : content) {
    if (const std::uint64_t* next = steps_.Find(Step(node, byte))) {
      node = *next;
      continue;
    }
    steps_.Set(Step(node, byte), token_at_node_.size());
    node = token_at_node_.size();
    token_at_node_.push_back(-1);
  }
  token_at_node_[node] = id;
}

AddedTokenFinder::Match AddedTokenFinder::MatchAt(std::string_view text) const noexcept {
  Match longest;
  std::uint64_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint64_t* next = steps_.Find(Step(node, text[i]));
    if (next == nullptr) break;
    node = *next;
    if (token_at_node_[node] >= 0) longest = {token_at_node_[node], i + 1};
  }
  return longest;
}

void AddedTokenFinder::Find(std::string_view text, const std::function<void(std::string_view)>& plain,
                            const std::function<void(std::int32_t)>& token) const {
  std::size_t between = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Match match = first_bytes_[static_cast<std::uint8_t>(text[at])] ? MatchAt(text.substr(at)) : Match();
    if (match.id < 0) {
      ++at;
      continue;
    }
    if (at > between) plain(text.substr(between, at - between));
    token(match.id);
    between = at += match.bytes;
  }
  if (between < text.size()) plain(text.substr(between));
}

}  // namespace baleen::text

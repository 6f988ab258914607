#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/bpe.h"

namespace baleen::text {

/// Finds added tokens in a text before anything else is done with it: the leftmost match, the longest among those that begin there.
class AddedTokenFinder {
 public:
  /// content: not empty.
  void Add(std::string_view content, std::int32_t id);

  /// Calls plain() for every run of text without a match and token() for every match, in order. Empty runs are left out.
  void Find(std::string_view text, const std::function<void(std::string_view)>& plain, const std::function<void(std::int32_t)>& token) const;

 private:
  struct Match {
    std::int32_t id = -1;
    std::size_t bytes = 0;
  };
  Match MatchAt(std::string_view text) const noexcept;

  // A trie: nodes are numbered from 0 (the root), node << 8 | byte -> next node, and the token that ends at each node or -1.
  KeyTable steps_;
  std::vector<std::int32_t> token_at_node_ = {-1};
  bool first_bytes_[256] = {};
};

}  // namespace baleen::text

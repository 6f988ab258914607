#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baleen::text {

/// A stretch of a prompt: the encoding's own markup, in which added tokens are meant, plain text from outside, in which nothing is, or ids
/// that were sampled, which stand as they are.
struct PromptPiece {
  std::string text;
  bool plain = false;
  std::vector<std::int32_t> ids;  // not empty: there is no text
};

/// A prompt while it is written: neighbouring stretches of one kind are one piece, none is empty.
class PromptPieces {
 public:
  PromptPieces& Markup(std::string_view text) { return Append(text, false); }
  PromptPieces& Plain(std::string_view text) { return Append(text, true); }

  PromptPieces& Sampled(const std::vector<std::int32_t>& ids) {
    if (!ids.empty()) pieces_.push_back({.text = {}, .plain = false, .ids = ids});
    return *this;
  }

  const std::vector<PromptPiece>& pieces() const noexcept { return pieces_; }

 private:
  PromptPieces& Append(std::string_view text, bool plain) {
    if (text.empty()) return *this;
    const bool joins = !pieces_.empty() && pieces_.back().plain == plain && pieces_.back().ids.empty();
    if (!joins) pieces_.push_back({.text = {}, .plain = plain, .ids = {}});
    pieces_.back().text += text;
    return *this;
  }

  std::vector<PromptPiece> pieces_;
};

}  // namespace baleen::text

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace baleen::text {

/// A stretch of a prompt: the encoding's own markup, in which added tokens are meant, or plain text from outside, in which nothing is.
struct PromptPiece {
  std::string text;
  bool plain = false;
};

/// A prompt while it is written: neighbouring stretches of one kind are one piece, none is empty.
class PromptPieces {
 public:
  PromptPieces& Markup(std::string_view text) { return Append(text, false); }
  PromptPieces& Plain(std::string_view text) { return Append(text, true); }

  const std::vector<PromptPiece>& pieces() const noexcept { return pieces_; }

 private:
  PromptPieces& Append(std::string_view text, bool plain) {
    if (text.empty()) return *this;
    if (pieces_.empty() || pieces_.back().plain != plain) pieces_.push_back({.text = {}, .plain = plain});
    pieces_.back().text += text;
    return *this;
  }

  std::vector<PromptPiece> pieces_;
};

}  // namespace baleen::text

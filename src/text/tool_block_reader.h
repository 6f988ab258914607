#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/reply_event.h"

namespace baleen::text {

/// The tools of a request by name, with the names of the parameters that each one's schema describes.
using ToolNames = std::unordered_map<std::string, std::vector<std::string>>;

/// Reads a tool block (§11.5) while it is written: calls are told of as soon as their first parameter begins, arguments as they come.
///
/// A call that the model wraps into one parameter "arguments" or "input", which its tool does not have, is told of when it has ended: the
/// object inside is its arguments then. Between tags any white space may stand. The block breaks where something else stands than the form
/// has there. The text from there on is given back; of a call that nobody was told of yet all its text is, and of a block with no call
/// before that the whole block. What comes does not depend on how the text is cut into pieces, and no event ends inside a code point.
class ToolBlockReader {
 public:
  /// opening: the block's first text, "<｜DSML｜tool_calls" with or without the blank line in front.
  ToolBlockReader(std::shared_ptr<const ToolNames> tools, std::string_view opening) : tools_(std::move(tools)), buffer_(opening), at_(opening.size()) {}

  /// Once the block has ended or is broken: the text behind it; it must not be fed any more.
  std::optional<std::string> Feed(std::string_view piece, std::vector<ReplyEvent>& events);
  /// No more text comes: what is given back of an unfinished block. A call that was told of stays as far as it was written.
  std::string Finish();

 private:
  enum class State { kOpening, kBetweenCalls, kCallTag, kParameterTag, kValue, kBehindValue, kBehindParameters, kBehindCall, kClosed, kBroken };
  enum class Move { kOn, kWait };
  // The only parameter so far of a call that may be wrapped.
  struct Held {
    std::string name, value;
  };
  struct Found {
    std::size_t at = std::string_view::npos;
    std::size_t which = 0;
  };

  std::string_view Rest() const noexcept { return std::string_view(buffer_).substr(at_); }
  Move Break() noexcept;
  Move Step(std::vector<ReplyEvent>& events);
  Move ReadBracket(State next);
  Move ReadBetweenCalls();
  Move ReadCallTag(std::vector<ReplyEvent>& events);
  Move ReadParameterTag(std::vector<ReplyEvent>& events);
  Move ReadValue(std::vector<ReplyEvent>& events);
  Move ReadBehindParameters(std::vector<ReplyEvent>& events);
  std::optional<std::size_t> Expect(std::span<const std::string_view> tags);
  Found Search(std::span<const std::string_view> tags);
  void Announce(std::vector<ReplyEvent>& events);
  void BeginParameter(const std::string& name, std::vector<ReplyEvent>& events);
  void TellParameter(std::string_view name, std::vector<ReplyEvent>& events) const;
  void Release(std::vector<ReplyEvent>& events);
  void AddValue(std::string_view text, std::vector<ReplyEvent>& events);
  void EndCall(std::vector<ReplyEvent>& events);

  std::shared_ptr<const ToolNames> tools_;
  State state_ = State::kOpening;
  std::string buffer_;       // begins with what would be given back
  std::size_t at_ = 0;       // read up to here
  std::size_t scanned_ = 0;  // no tag that is searched begins in front of here
  std::size_t begin_ = 0;    // where the call begins that nobody was told of
  bool announced_ = false;   // the call, or between calls the last one, was told of

  std::string name_;
  std::unordered_set<std::string> parameters_;
  bool is_string_ = false;
  std::optional<Held> held_;
};

}  // namespace baleen::text

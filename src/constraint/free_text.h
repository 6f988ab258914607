#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace baleen::constraint {

/// The content of a reply before its tool block (§11.5): any text without special tokens, up to and with "\n\n<｜DSML｜tool_calls". Where the
/// tag of DSML has begun, only that block can follow. May be used from any thread.
class FreeText {
 public:
  /// token_bytes: as for OpenAutomatonMaker; must outlive it. end_ids: allowed wherever no tag has begun.
  FreeText(const std::vector<std::string>& token_bytes, std::span<const std::int32_t> end_ids);

  using State = std::size_t;
  static constexpr State kStart = 0, kDead = static_cast<State>(-1);
  /// kDead if the text may not go on so, or if it goes on behind the block's start.
  State Advance(State state, std::string_view text) const noexcept;
  /// The block's start has just been written.
  bool IsBlock(State state) const noexcept { return state == block_; }
  bool MayEnd(State state) const noexcept { return !nodes_[state].in_tag; }
  /// As engine::Constraint::Allowed.
  void Allowed(State state, std::span<std::uint32_t> allowed) const;

 private:
  struct Node {
    std::array<State, 256> next{};
    State shorter = 0;  // the longest beginning of a searched text that ends the text of this one
    bool forbidden = false, in_tag = false;
  };
  State Insert(std::string_view text);
  void Link();

  const std::vector<std::string>& token_bytes_;
  std::vector<std::int32_t> end_ids_;
  std::vector<Node> nodes_;
  State block_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::vector<std::uint32_t>> masks_;  // by state, made when first asked for
};

}  // namespace baleen::constraint

#pragma once

#include <cstdint>
#include <span>

namespace baleen::engine {

/// What the tokens of one request may be, as its text grows: a grammar's state. The engine knows nothing of the text.
class Constraint {
 public:
  virtual ~Constraint() = default;

  /// Sets the bits of the tokens that may come next (bit id mod 32 of word id / 32) and clears the others; false: every token may, and
  /// `allowed` is left as it is. allowed: [ceil(vocab / 32)].
  virtual bool Allowed(std::span<std::uint32_t> allowed) = 0;

  /// The token was chosen. false: it is not one of the allowed.
  virtual bool Accept(std::int32_t token) = 0;
};

}  // namespace baleen::engine

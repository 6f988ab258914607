#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::checkpoint {

/// Reads JSON from left to right without building a tree, so that a header of a million tensors costs what its tensors cost.
/// Strict: valid UTF-8, no trailing commas, no control characters inside strings. Errors give the byte offset.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : text_(text) {}

  /// The next character that is not white space, or '\0' at the end; does not consume it.
  char Peek() noexcept;
  /// Consumes `wanted` if it comes next.
  bool Take(char wanted) noexcept;
  Status Expect(char wanted);
  Result<std::string> String();
  /// A number without sign, fraction or exponent that fits 64 bits.
  Result<std::uint64_t> Unsigned();
  /// Any value, at most `depth` arrays and objects deep.
  Status Skip(int depth);
  /// Only white space may follow.
  Status End();

  /// "expected X at byte N, found Y".
  diagnostics::Error Fault(std::string_view expected) const;

 private:
  Status Escape(std::string& out);
  Result<std::uint32_t> FourHexDigits();
  Status SkipWord();

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool IsUtf8(std::string_view text) noexcept;

}  // namespace baleen::checkpoint

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "diagnostics/result.h"
#include "text/tokenizer_file.h"

namespace baleen::text {

/// Strings ↔ ids. A token has a name (as tokenizer.json writes it) and bytes (what it stands for in a text).
class Vocabulary {
 public:
  /// The entries of model.vocab and of added_tokens. Errors: an id given to two names, a name to two ids, ids so far apart that most of
  /// the range is empty, no entry at all.
  static Result<Vocabulary> Make(const std::vector<NamedId>& entries, const std::vector<AddedToken>& added);

  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::optional<std::int32_t> Find(std::string_view name) const;
  bool Contains(std::int32_t id) const noexcept;
  /// The bytes of a token; empty for an id that names none.
  std::string_view Bytes(std::int32_t id) const noexcept;
  /// One more than the largest id.
  std::size_t Size() const noexcept { return tokens_.size(); }

 private:
  Vocabulary() = default;
  Status Add(const NamedId& entry, bool literal);

  struct Token {
    std::string name, bytes;  // an empty name: no token has this id
  };
  std::vector<Token> tokens_;
  std::unordered_map<std::string_view, std::int32_t> ids_;  // by names that live in tokens_
};

/// The byte alphabet of GPT-2: every byte as a printable character. Printable ones of Latin-1 stand for themselves, the others for
/// U+0100 and on.
std::string WriteByteAlphabet(std::string_view bytes);

/// The bytes that a name in the byte alphabet stands for, or nothing if a character is not of the alphabet.
std::optional<std::string> ReadByteAlphabet(std::string_view name);

}  // namespace baleen::text

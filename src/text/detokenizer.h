#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace baleen::text {

/// Turns ids into text as they come and never splits a code point: bytes that could still become one wait for the next id. Bytes that
/// cannot are U+FFFD, so that all pieces together are ReplaceInvalidUtf8 of the whole.
class Detokenizer {
 public:
  /// The tokenizer must live as long as this.
  explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// The text that is complete with this id; may be empty.
  std::string Push(std::int32_t id);
  /// What waits, as U+FFFD; the detokenizer is as new after it.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  std::string waiting_;  // the beginning of a code point, at most 3 bytes
};

}  // namespace baleen::text

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"
#include "text/pretokenizer.h"

namespace baleen::text {

/// A string and its id, as tokenizer.json pairs them.
struct NamedId {
  std::string name;
  std::int32_t id = 0;
};

/// One of added_tokens: recognised in the raw text.
struct AddedToken {
  NamedId token;
  bool normalized = false;  // those that are not are looked for first
};

/// What a merge joins, in the byte alphabet.
struct MergePair {
  std::string left, right;
};

/// tokenizer.json, read and checked for what this program can follow; ids and names are not yet compared with each other.
struct TokenizerFile {
  std::vector<NamedId> vocabulary;
  std::vector<MergePair> merges;  // in order of rank
  std::vector<AddedToken> added;
  std::vector<SplitPattern> splits;
};

/// Reads the text of a tokenizer.json. Errors: not JSON, a missing or wrong field, a model, normalizer, pre-tokenizer or decoder other
/// than the byte-level BPE of §11.1 (named in the message).
Result<TokenizerFile> ReadTokenizerFile(std::string_view json);

/// The strings of the tokens that begin and end a sequence; the official ones where tokenizer_config.json does not name them.
struct SequenceTokens {
  std::string begin, end;
};

/// Reads the text of a tokenizer_config.json; an empty text stands for a missing file.
Result<SequenceTokens> ReadTokenizerConfig(std::string_view json);

}  // namespace baleen::text

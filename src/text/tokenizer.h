#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/prompt_piece.h"
#include "text/vocabulary.h"

namespace baleen::text {

/// Byte-level BPE as tokenizer.json describes it (§11.1). Immutable after it was made: safe to use from several threads.
class Tokenizer {
 public:
  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(Tokenizer&&) = default;

  /// The ids of a text. Every added token is recognised in it, special or not; no begin token is added. Bytes that are not UTF-8 are
  /// encoded as bytes.
  std::vector<std::int32_t> Encode(std::string_view text) const;
  /// The same, but a text that looks like an added token stays text: for what a user wrote.
  std::vector<std::int32_t> EncodePlain(std::string_view text) const;
  /// Added tokens are recognised inside pieces of markup only; between two of them the text is encoded as one, whatever pieces it came in.
  /// So this is Encode of the whole wherever plain text and the edges of pieces hold no added token. Sampled ids are copied, and the text on
  /// either side of them is encoded apart.
  std::vector<std::int32_t> EncodePieces(std::span<const PromptPiece> pieces) const;

  /// The bytes of the ids one after another; not UTF-8 if a code point is cut. Ids that name no token give nothing: see CheckIds.
  std::string Decode(std::span<const std::int32_t> ids) const;
  std::string_view TokenBytes(std::int32_t id) const noexcept { return vocabulary_.Bytes(id); }
  /// An error that names the first id without a token.
  Status CheckIds(std::span<const std::int32_t> ids) const;

  /// The id of a token by its name in tokenizer.json.
  std::optional<std::int32_t> Find(std::string_view token) const { return vocabulary_.Find(token); }
  std::int32_t begin_id() const noexcept { return begin_id_; }
  std::int32_t end_id() const noexcept { return end_id_; }
  /// One more than the largest id; not every id below it need name a token.
  std::size_t VocabularySize() const noexcept { return vocabulary_.Size(); }

 private:
  friend Result<Tokenizer> ParseTokenizer(std::string_view tokenizer_json, std::string_view tokenizer_config_json);
  explicit Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  Status SetBytes();
  Status SetMerges(const std::vector<MergePair>& merges);
  void AppendPlain(std::string_view text, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;
  BytePairEncoder encoder_;
  AddedTokenFinder raw_added_, normalized_added_;  // the second looks only at what the first leaves
  std::vector<SplitPattern> splits_;
  std::int32_t begin_id_ = 0, end_id_ = 0;
};

/// Makes the tokenizer from the texts of tokenizer.json and tokenizer_config.json (empty: not there).
/// Errors: see ReadTokenizerFile and Vocabulary::Make; also a merge of or into an unknown token, a byte without a token, and a missing
/// special token: without the turn, thinking and tool tokens no prompt could be encoded.
Result<Tokenizer> ParseTokenizer(std::string_view tokenizer_json, std::string_view tokenizer_config_json);

}  // namespace baleen::text

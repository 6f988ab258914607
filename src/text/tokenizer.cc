#include "text/tokenizer.h"

#include <algorithm>

#include "text/special_tokens.h"

namespace baleen::text {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

Status CheckSpecialTokens(const std::vector<AddedToken>& added, const SequenceTokens& sequence) {
  for (const std::string_view name : {std::string_view(sequence.begin), std::string_view(sequence.end), kBeginOfSequence, kEndOfSequence, kUser, kAssistant,
                                      kThinkingStart, kThinkingEnd, kDsml}) {
    const bool found = std::any_of(added.begin(), added.end(), [&](const AddedToken& entry) { return entry.token.name == name; });
    if (!found) {
      return InvalidInput("tokenizer.json: added_tokens: expected the special token \"" + Quoted(name) +
                          "\", found none; use the tokenizer.json that was published with the model");
    }
  }
  return {};
}

}  // namespace

Status Tokenizer::SetBytes() {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = WriteByteAlphabet(std::string(1, static_cast<char>(byte)));
    const std::optional<std::int32_t> id = vocabulary_.Find(name);
    if (!id) {
      return InvalidInput("tokenizer.json: model.vocab: expected a token for each of the 256 bytes, found none for byte " + std::to_string(byte) + " (\"" +
                          name + "\"); the file is damaged");
    }
    encoder_.SetByte(static_cast<std::uint8_t>(byte), *id);
  }
  return {};
}

Status Tokenizer::SetMerges(const std::vector<MergePair>& merges) {
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const MergePair& merge = merges[rank];
    joined.assign(merge.left).append(merge.right);
    std::int32_t ids[3];
    int place = 0;
    for (const std::string* name : {&merge.left, &merge.right, &std::as_const(joined)}) {
      const std::optional<std::int32_t> id = vocabulary_.Find(*name);
      if (!id) {
        return InvalidInput("tokenizer.json: model.merges[" + std::to_string(rank) + "]: expected tokens of model.vocab, found \"" + Quoted(*name) +
                            "\", which is none; the file is damaged");
      }
      ids[place++] = *id;
    }
    encoder_.AddMerge(ids[0], ids[1], static_cast<std::uint32_t>(rank), ids[2]);
  }
  return {};
}

Result<Tokenizer> ParseTokenizer(std::string_view tokenizer_json, std::string_view tokenizer_config_json) {
  TRY_ASSIGN(const TokenizerFile file, ReadTokenizerFile(tokenizer_json));
  TRY_ASSIGN(const SequenceTokens sequence, ReadTokenizerConfig(tokenizer_config_json));
  TRY(CheckSpecialTokens(file.added, sequence));
  TRY_ASSIGN(Vocabulary vocabulary, Vocabulary::Make(file.vocabulary, file.added));
  Tokenizer tokenizer(std::move(vocabulary));
  TRY(tokenizer.SetBytes());
  TRY(tokenizer.SetMerges(file.merges));
  for (const AddedToken& entry : file.added) {
    (entry.normalized ? tokenizer.normalized_added_ : tokenizer.raw_added_).Add(entry.token.name, entry.token.id);
  }
  tokenizer.splits_ = file.splits;
  tokenizer.begin_id_ = *tokenizer.Find(sequence.begin);
  tokenizer.end_id_ = *tokenizer.Find(sequence.end);
  return tokenizer;
}

void Tokenizer::AppendPlain(std::string_view text, std::vector<std::int32_t>& ids) const {
  SplitIntoPieces(text, splits_, [&](std::string_view piece) { encoder_.Encode(piece, ids); });
}

std::vector<std::int32_t> Tokenizer::EncodePlain(std::string_view text) const {
  std::vector<std::int32_t> ids;
  AppendPlain(text, ids);
  return ids;
}

std::vector<std::int32_t> Tokenizer::Encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  const auto token = [&](std::int32_t id) { ids.push_back(id); };
  const auto plain = [&](std::string_view run) { AppendPlain(run, ids); };
  raw_added_.Find(text, [&](std::string_view run) { normalized_added_.Find(run, plain, token); }, token);
  return ids;
}

std::vector<std::int32_t> Tokenizer::EncodePieces(std::span<const PromptPiece> pieces) const {
  std::vector<std::int32_t> ids;
  std::string run;
  const auto plain = [&](std::string_view text) { run += text; };
  const auto end_run = [&] {
    AppendPlain(run, ids);
    run.clear();
  };
  const auto token = [&](std::int32_t id) {
    end_run();
    ids.push_back(id);
  };
  for (const PromptPiece& piece : pieces) {
    if (!piece.ids.empty()) {
      end_run();
      ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
    } else if (piece.plain) {
      run += piece.text;
    } else {
      raw_added_.Find(piece.text, [&](std::string_view rest) { normalized_added_.Find(rest, plain, token); }, token);
    }
  }
  AppendPlain(run, ids);
  return ids;
}

std::string Tokenizer::Decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (const std::int32_t id : ids) text += vocabulary_.Bytes(id);
  return text;
}

Status Tokenizer::CheckIds(std::span<const std::int32_t> ids) const {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (vocabulary_.Contains(ids[i])) continue;
    return InvalidInput("token " + std::to_string(i) + ": expected an id of the vocabulary (0 to " + std::to_string(VocabularySize() - 1) + "), found " +
                        std::to_string(ids[i]) + "; use ids of this model's tokenizer");
  }
  return {};
}

}  // namespace baleen::text

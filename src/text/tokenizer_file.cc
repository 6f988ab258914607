#include "text/tokenizer_file.h"

#include <optional>

#include "text/json_python.h"
#include "text/special_tokens.h"

namespace baleen::text {

namespace {

constexpr std::size_t kMostAddedTokenBytes = 1024;

using diagnostics::InvalidInput;
using diagnostics::Quoted;
using diagnostics::Unsupported;

diagnostics::Error Wrong(std::string_view where, std::string_view expected, const JsonValue* found) {
  std::string what = found == nullptr ? "nothing" : std::string(found->Kind());
  if (found != nullptr && found->AsString() != nullptr) what = "\"" + Quoted(*found->AsString()) + "\"";
  return InvalidInput("tokenizer.json: " + std::string(where) + ": expected " + std::string(expected) + ", found " + what +
                      "; the file must be the tokenizer of a DeepSeek-V4 model");
}

diagnostics::Error NotSupported(std::string_view where, std::string_view expected, const JsonValue& found) {
  return Unsupported("tokenizer.json: " + std::string(where) + ": expected " + std::string(expected) + ", found " + Quoted(WriteJson(found), 200) +
                     "; only the byte-level BPE of DeepSeek-V4 is supported");
}

// True if a member is absent, null, false, 0, "" or empty: a switch that is off.
bool IsOff(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  return value == nullptr || !value->IsTruthy();
}

bool HasType(const JsonValue& value, std::string_view type) {
  const JsonValue* found = value.Find("type");
  return found != nullptr && found->AsString() != nullptr && *found->AsString() == type;
}

Result<std::int32_t> ReadId(const JsonValue* value, const std::string& where) {
  const std::optional<std::int64_t> id = value == nullptr ? std::nullopt : value->AsInt64();
  if (id && *id >= 0 && *id <= INT32_MAX) return static_cast<std::int32_t>(*id);
  std::string found = value == nullptr ? "nothing" : Quoted(WriteJson(*value));
  return InvalidInput("tokenizer.json: " + where + ": expected an id from 0 to 2147483647, found " + found + "; the file is damaged");
}

Status ReadVocabulary(const JsonValue& model, TokenizerFile& file) {
  const JsonValue* vocabulary = model.Find("vocab");
  if (vocabulary == nullptr || vocabulary->AsObject() == nullptr) return Wrong("model.vocab", "an object of names and ids", vocabulary);
  file.vocabulary.reserve(vocabulary->AsObject()->size());
  for (const JsonMember& entry : *vocabulary->AsObject()) {
    TRY_ASSIGN(const std::int32_t id, ReadId(&entry.value, "model.vocab[\"" + Quoted(entry.key) + "\"]"));
    file.vocabulary.push_back({entry.key, id});
  }
  return {};
}

Status ReadMerges(const JsonValue& model, TokenizerFile& file) {
  const JsonValue* merges = model.Find("merges");
  if (merges == nullptr || merges->AsArray() == nullptr) return Wrong("model.merges", "an array", merges);
  file.merges.reserve(merges->AsArray()->size());
  for (const JsonValue& merge : *merges->AsArray()) {
    const std::string where = "model.merges[" + std::to_string(file.merges.size()) + "]";
    if (const std::string* text = merge.AsString()) {
      const std::size_t space = text->find(' ');
      if (space == std::string::npos || space == 0 || space + 1 == text->size() || text->find(' ', space + 1) != std::string::npos) {
        return Wrong(where, "two tokens with one space between", &merge);
      }
      file.merges.push_back({text->substr(0, space), text->substr(space + 1)});
      continue;
    }
    const JsonArray* pair = merge.AsArray();
    if (pair == nullptr || pair->size() != 2 || (*pair)[0].AsString() == nullptr || (*pair)[1].AsString() == nullptr) {
      return Wrong(where, "\"left right\" or [\"left\", \"right\"]", &merge);
    }
    file.merges.push_back({*(*pair)[0].AsString(), *(*pair)[1].AsString()});
  }
  return {};
}

Status ReadModel(const JsonValue& document, TokenizerFile& file) {
  const JsonValue* model = document.Find("model");
  if (model == nullptr || model->AsObject() == nullptr) return Wrong("model", "an object", model);
  if (const JsonValue* type = model->Find("type"); type != nullptr && !HasType(*model, "BPE")) return NotSupported("model.type", "\"BPE\"", *type);
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"}) {
    if (!IsOff(*model, key)) return NotSupported("model." + std::string(key), "null or false", *model->Find(key));
  }
  TRY(ReadVocabulary(*model, file));
  return ReadMerges(*model, file);
}

Status ReadAddedToken(const JsonValue& entry, const std::string& where, TokenizerFile& file) {
  const JsonValue* content = entry.Find("content");
  if (content == nullptr || content->AsString() == nullptr || content->AsString()->empty() || content->AsString()->size() > kMostAddedTokenBytes) {
    return Wrong(where + ".content", "a string of 1 to " + std::to_string(kMostAddedTokenBytes) + " bytes", content);
  }
  for (const char* key : {"single_word", "lstrip", "rstrip"}) {
    if (!IsOff(entry, key)) return NotSupported(where + "." + key, "false", *entry.Find(key));
  }
  TRY_ASSIGN(const std::int32_t id, ReadId(entry.Find("id"), where + ".id"));
  file.added.push_back({{*content->AsString(), id}, !IsOff(entry, "normalized")});
  return {};
}

Status ReadAddedTokens(const JsonValue& document, TokenizerFile& file) {
  const JsonValue* added = document.Find("added_tokens");
  if (added == nullptr || added->IsNull()) return {};
  if (added->AsArray() == nullptr) return Wrong("added_tokens", "an array", added);
  for (const JsonValue& entry : *added->AsArray()) {
    TRY(ReadAddedToken(entry, "added_tokens[" + std::to_string(file.added.size()) + "]", file));
  }
  return {};
}

Status ReadNormalizer(const JsonValue& document) {
  const JsonValue* normalizer = document.Find("normalizer");
  if (normalizer == nullptr || normalizer->IsNull()) return {};
  if (HasType(*normalizer, "Sequence") && IsOff(*normalizer, "normalizers")) return {};
  return NotSupported("normalizer", "null or an empty Sequence", *normalizer);
}

// Both would change the ids of a text. Padding to the longest of a batch does not change a single one.
Status ReadLengthRules(const JsonValue& document) {
  if (!IsOff(document, "truncation")) return NotSupported("truncation", "null", *document.Find("truncation"));
  if (IsOff(document, "padding")) return {};
  const JsonValue& padding = *document.Find("padding");
  const JsonValue* strategy = padding.Find("strategy");
  const bool longest = strategy != nullptr && strategy->AsString() != nullptr && *strategy->AsString() == "BatchLongest" && IsOff(padding, "pad_to_multiple_of");
  if (!longest) return NotSupported("padding", "null, or the strategy BatchLongest", padding);
  return {};
}

Status ReadSplit(const JsonValue& stage, const std::string& where, TokenizerFile& file) {
  const JsonValue* behavior = stage.Find("behavior");
  if (behavior == nullptr || behavior->AsString() == nullptr || *behavior->AsString() != "Isolated" || !IsOff(stage, "invert")) {
    return NotSupported(where, "a Split with behavior Isolated, not inverted", stage);
  }
  const JsonValue* pattern = stage.Find("pattern");
  const JsonValue* regex = pattern == nullptr ? nullptr : pattern->Find("Regex");
  const SplitPattern* known = regex == nullptr || regex->AsString() == nullptr ? nullptr : FindSplitPattern(*regex->AsString());
  if (known == nullptr) return NotSupported(where + ".pattern", "one of the patterns of DeepSeek-V4", pattern == nullptr ? JsonValue() : *pattern);
  file.splits.push_back(*known);
  return {};
}

Status ReadPreTokenizer(const JsonValue& document, TokenizerFile& file) {
  constexpr std::size_t kMostStages = 16;
  const JsonValue* root = document.Find("pre_tokenizer");
  if (root == nullptr || root->AsObject() == nullptr) return Wrong("pre_tokenizer", "a Sequence of Split and ByteLevel", root);
  const JsonValue* stages = root->Find("pretokenizers");
  if (!HasType(*root, "Sequence") || stages == nullptr || stages->AsArray() == nullptr) {
    return NotSupported("pre_tokenizer", "a Sequence of Split stages and a ByteLevel", *root);
  }
  const std::size_t count = stages->AsArray()->size();
  if (count == 0 || count > kMostStages) return NotSupported("pre_tokenizer", "1 to " + std::to_string(kMostStages) + " stages", *root);
  for (std::size_t i = 0; i < count; ++i) {
    const JsonValue& stage = (*stages->AsArray())[i];
    const std::string where = "pre_tokenizer.pretokenizers[" + std::to_string(i) + "]";
    if (i + 1 < count) {
      if (!HasType(stage, "Split")) return NotSupported(where, "a Split", stage);
      TRY(ReadSplit(stage, where, file));
      continue;
    }
    // Both switches are on where they are not written.
    const JsonValue *prefix = stage.Find("add_prefix_space"), *regex = stage.Find("use_regex");
    if (!HasType(stage, "ByteLevel") || prefix == nullptr || prefix->IsTruthy() || regex == nullptr || regex->IsTruthy()) {
      return NotSupported(where, "a ByteLevel without add_prefix_space and use_regex at the end", stage);
    }
  }
  return {};
}

Status ReadSequenceToken(const JsonValue& document, const char* key, std::string& token) {
  const JsonValue* value = document.Find(key);
  if (value == nullptr || value->IsNull()) return {};
  const JsonValue* content = value->AsObject() != nullptr ? value->Find("content") : value;
  if (content == nullptr || content->AsString() == nullptr || content->AsString()->empty()) {
    return InvalidInput("tokenizer_config.json: " + std::string(key) + ": expected a token's text, or an object with its content, found " +
                        Quoted(WriteJson(*value)) + "; write the token's text there, or remove the key");
  }
  token = *content->AsString();
  return {};
}

}  // namespace

Result<TokenizerFile> ReadTokenizerFile(std::string_view json) {
  Result<JsonValue> document = ParseJson(json, RepeatedKeys::kRefused);
  if (!document) return InvalidInput("tokenizer.json: " + document.error().message + "; the file is damaged or cut short: fetch it again");
  if (document->AsObject() == nullptr) return Wrong("the file", "an object", &*document);
  TokenizerFile file;
  TRY(ReadLengthRules(*document));
  TRY(ReadNormalizer(*document));
  TRY(ReadPreTokenizer(*document, file));
  if (const JsonValue* decoder = document->Find("decoder"); decoder != nullptr && !decoder->IsNull() && !HasType(*decoder, "ByteLevel")) {
    return NotSupported("decoder", "a ByteLevel", *decoder);
  }
  TRY(ReadModel(*document, file));
  TRY(ReadAddedTokens(*document, file));
  return file;
}

Result<SequenceTokens> ReadTokenizerConfig(std::string_view json) {
  SequenceTokens tokens{std::string(kBeginOfSequence), std::string(kEndOfSequence)};
  if (json.empty()) return tokens;
  Result<JsonValue> document = ParseJson(json);
  if (!document) return InvalidInput("tokenizer_config.json: " + document.error().message + "; the file is damaged or cut short: fetch it again");
  if (document->AsObject() == nullptr) {
    return InvalidInput("tokenizer_config.json: expected an object, found " + std::string(document->Kind()) + "; fetch the file again");
  }
  TRY(ReadSequenceToken(*document, "bos_token", tokens.begin));
  TRY(ReadSequenceToken(*document, "eos_token", tokens.end));
  return tokens;
}

}  // namespace baleen::text

#include "text/vocabulary.h"

#include <algorithm>
#include <array>

#include "text/utf8.h"

namespace baleen::text {

namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;

struct ByteAlphabet {
  std::array<char32_t, 256> character;
  std::array<int, 512> byte;  // -1: not of the alphabet

  ByteAlphabet() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (int i = 0; i < 256; ++i) {
      const bool printable = (i >= 0x21 && i <= 0x7E) || (i >= 0xA1 && i <= 0xAC) || i >= 0xAE;
      character[static_cast<std::size_t>(i)] = printable ? static_cast<char32_t>(i) : next++;
      byte[character[static_cast<std::size_t>(i)]] = i;
    }
  }
};

const ByteAlphabet& Alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

// Room for the holes of an odd but honest file; a single id of a billion must not cost a table of a billion tokens.
std::size_t LargestTable(std::size_t entries) { return std::max<std::size_t>(8 * entries, std::size_t{1} << 20); }

}  // namespace

std::string WriteByteAlphabet(std::string_view bytes) {
  std::string name;
  for (const char c : bytes) AppendUtf8(name, Alphabet().character[static_cast<std::uint8_t>(c)]);
  return name;
}

std::optional<std::string> ReadByteAlphabet(std::string_view name) {
  std::string bytes;
  while (!name.empty()) {
    const Utf8Step step = ReadUtf8(name);
    if (!step.valid || step.code_point >= Alphabet().byte.size() || Alphabet().byte[step.code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(Alphabet().byte[step.code_point]);
    name.remove_prefix(step.bytes);
  }
  return bytes;
}

Status Vocabulary::Add(const NamedId& entry, bool literal) {
  if (entry.name.empty()) return InvalidInput("tokenizer.json: expected a name for the id " + std::to_string(entry.id) + ", found \"\"; the file is damaged");
  Token& token = tokens_[static_cast<std::size_t>(entry.id)];
  const std::optional<std::int32_t> known = Find(entry.name);
  if (known && *known != entry.id) {
    return InvalidInput("tokenizer.json: the token \"" + Quoted(entry.name) + "\": expected one id, found " + std::to_string(*known) + " and " +
                        std::to_string(entry.id) + "; the file is damaged");
  }
  if (!token.name.empty() && token.name != entry.name) {
    return InvalidInput("tokenizer.json: the id " + std::to_string(entry.id) + ": expected one token, found \"" + Quoted(token.name) + "\" and \"" +
                        Quoted(entry.name) + "\"; the file is damaged");
  }
  // A name that is not written in the byte alphabet stands for itself, as an added token always does.
  std::optional<std::string> bytes = literal ? std::nullopt : ReadByteAlphabet(entry.name);
  token.bytes = bytes ? *std::move(bytes) : entry.name;
  if (!known) {
    token.name = entry.name;
    ids_.emplace(token.name, entry.id);
  }
  return {};
}

Result<Vocabulary> Vocabulary::Make(const std::vector<NamedId>& entries, const std::vector<AddedToken>& added) {
  std::int32_t largest = -1;
  for (const NamedId& entry : entries) largest = std::max(largest, entry.id);
  for (const AddedToken& entry : added) largest = std::max(largest, entry.token.id);
  const std::size_t count = entries.size() + added.size();
  if (largest < 0) return InvalidInput("tokenizer.json: model.vocab: expected tokens, found none; the file is damaged");
  if (static_cast<std::size_t>(largest) >= LargestTable(count)) {
    return InvalidInput("tokenizer.json: expected ids without large gaps, found the id " + std::to_string(largest) + " in a vocabulary of " +
                        std::to_string(count) + " entries; the file is damaged");
  }
  Vocabulary vocabulary;
  vocabulary.tokens_.resize(static_cast<std::size_t>(largest) + 1);
  vocabulary.ids_.reserve(count);
  for (const NamedId& entry : entries) TRY(vocabulary.Add(entry, /*literal=*/false));
  for (const AddedToken& entry : added) TRY(vocabulary.Add(entry.token, /*literal=*/true));
  return vocabulary;
}

std::optional<std::int32_t> Vocabulary::Find(std::string_view name) const {
  const auto found = ids_.find(name);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

bool Vocabulary::Contains(std::int32_t id) const noexcept {
  return id >= 0 && static_cast<std::size_t>(id) < tokens_.size() && !tokens_[static_cast<std::size_t>(id)].name.empty();
}

std::string_view Vocabulary::Bytes(std::int32_t id) const noexcept {
  if (!Contains(id)) return {};
  return tokens_[static_cast<std::size_t>(id)].bytes;
}

}  // namespace baleen::text

#include "apps/twin_tokenizer.h"

#include <map>
#include <vector>

#include <nlohmann/json.hpp>

namespace baleen::apps {
namespace {

using nlohmann::ordered_json;

struct Special {
  const char* text;
  std::int64_t official_id;
  bool special;
};

constexpr std::int64_t kOfficialVocabulary = 129280, kBytes = 256;

constexpr Special kSpecials[] = {
    {"<｜begin▁of▁sentence｜>", 0, true}, {"<｜end▁of▁sentence｜>", 1, true}, {"<｜▁pad▁｜>", 2, true},
    {"<｜fim▁hole｜>", 128800, false}, {"<｜fim▁begin｜>", 128801, false}, {"<｜fim▁end｜>", 128802, false},
    {"<｜User｜>", 128803, false}, {"<｜Assistant｜>", 128804, false}, {"<|EOT|>", 128805, false},
    {"<think>", 128821, false}, {"</think>", 128822, false}, {"｜DSML｜", 128825, false},
    {"<｜latest_reminder｜>", 128828, false}, {"<｜action｜>", 128829, false}, {"<｜query｜>", 128830, false},
    {"<｜authority｜>", 128831, false}, {"<｜domain｜>", 128832, false}, {"<｜title｜>", 128836, false},
    {"<｜read_url｜>", 128845, false}, {"<｜place▁holder▁no▁799｜>", 128799, true},
};

std::string Utf8(std::uint32_t point) {
  if (point < 0x80) return std::string(1, static_cast<char>(point));
  return {static_cast<char>(0xC0 | (point >> 6)), static_cast<char>(0x80 | (point & 0x3F))};
}

/// The printable character that stands for a byte in byte-level vocabularies: itself where printable, else from U+0100 on, in order.
std::vector<std::string> ByteAlphabet() {
  std::vector<std::string> alphabet;
  std::uint32_t next = 256;
  for (std::uint32_t byte = 0; byte < kBytes; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    alphabet.push_back(Utf8(printable ? byte : next++));
  }
  return alphabet;
}

ordered_json Split(const char* pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

ordered_json ByteLevel(bool prefix, bool trim, bool regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", trim}, {"use_regex", regex}};
}

ordered_json PreTokenizer() {  // §11.1
  ordered_json stages = ordered_json::array();
  stages.push_back(Split(R"(\p{N}{1,3})"));
  stages.push_back(Split("[一-龥\u3040-ゟ゠-ヿ]+"));
  stages.push_back(Split("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
                         "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"));
  stages.push_back(ByteLevel(false, true, false));
  return {{"type", "Sequence"}, {"pretokenizers", stages}};
}

}  // namespace

Result<std::string> TwinTokenizer(std::int64_t vocab_size) {
  constexpr auto kCount = static_cast<std::int64_t>(std::size(kSpecials));
  if (vocab_size < kCount + kBytes) {
    return diagnostics::InvalidInput("a byte-level tokenizer needs " + std::to_string(kCount + kBytes) + " ids, the vocabulary has " +
        std::to_string(vocab_size));
  }
  const bool official = vocab_size >= kOfficialVocabulary;
  ordered_json added = ordered_json::array();
  std::map<std::int64_t, std::string> tokens;
  for (std::int64_t i = 0; i < kCount; ++i) {
    const Special& token = kSpecials[i];
    const std::int64_t id = official ? token.official_id : i;
    if (!official || id < 3) tokens.emplace(id, token.text);
    added.push_back({{"id", id}, {"content", token.text}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                     {"normalized", !token.special}, {"special", token.special}});
  }
  std::int64_t id = official ? 3 : kCount;
  for (const std::string& character : ByteAlphabet()) tokens.emplace(id++, character);
  ordered_json vocabulary = ordered_json::object();
  for (const auto& [number, text] : tokens) vocabulary[text] = number;
  const ordered_json file = {
      {"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added},
      {"normalizer", {{"type", "Sequence"}, {"normalizers", ordered_json::array()}}}, {"pre_tokenizer", PreTokenizer()},
      {"post_processor", ByteLevel(true, false, true)}, {"decoder", ByteLevel(true, true, true)},
      {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false}, {"byte_fallback", false}, {"vocab", vocabulary}, {"merges", ordered_json::array()}}},
  };
  return file.dump(1) + "\n";
}

std::string TwinTokenizerConfig() {
  const ordered_json file = {
      {"add_bos_token", false}, {"add_eos_token", false}, {"bos_token", kSpecials[0].text}, {"eos_token", kSpecials[1].text},
      {"pad_token", kSpecials[2].text}, {"clean_up_tokenization_spaces", false}, {"tokenizer_class", "PreTrainedTokenizerFast"}};
  return file.dump(2) + "\n";
}

}  // namespace baleen::apps

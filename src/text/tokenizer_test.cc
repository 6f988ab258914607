#include "text/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "text/utf8.h"

namespace baleen::text {
namespace {

std::string ReadGolden(const std::string& name) {
  std::ifstream file(std::string(BALEEN_SOURCE_DIR) + "/tests/golden/text/" + name, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const std::string& SmallJson() {
  static const std::string json = ReadGolden("tokenizer.json");
  return json;
}

const Tokenizer& Small() {
  static const Tokenizer tokenizer = *ParseTokenizer(SmallJson(), ReadGolden("tokenizer_config.json"));
  return tokenizer;
}

// The small tokenizer's file with the first `from` replaced; the message of what comes of it, or "" if it is read.
std::string MessageWith(const std::string& from, const std::string& to) {
  std::string json = SmallJson();
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  json.replace(at, from.size(), to);
  const Result<Tokenizer> tokenizer = ParseTokenizer(json, "");
  return tokenizer ? "" : tokenizer.error().message;
}

TEST(Tokenizer, RecognisesAddedTokensUnlessPlain) {
  const std::vector<std::int32_t> ids = Small().Encode("<｜User｜>Hi<｜Assistant｜></think>");
  ASSERT_GE(ids.size(), 4U);
  EXPECT_EQ(ids.front(), *Small().Find("<｜User｜>"));
  EXPECT_EQ(ids.back(), *Small().Find("</think>"));
  for (const std::int32_t id : Small().EncodePlain("<｜User｜>")) EXPECT_NE(id, *Small().Find("<｜User｜>"));
  EXPECT_EQ(Small().Decode(Small().EncodePlain("<｜User｜>")), "<｜User｜>");
  EXPECT_TRUE(Small().Encode("").empty());
}

RC_GTEST_PROP(Tokenizer, GivesBackAnyBytes, (const std::string& text)) {
  RC_ASSERT(Small().Decode(Small().Encode(text)) == text);
  RC_ASSERT(Small().Decode(Small().EncodePlain(text)) == text);
}

RC_GTEST_PROP(Detokenizer, StreamsWhatTheWholeGives, (const std::vector<std::uint16_t>& numbers)) {
  std::vector<std::int32_t> ids;
  for (const std::uint16_t number : numbers) ids.push_back(number % static_cast<int>(Small().VocabularySize()));
  Detokenizer stream(Small());
  std::string streamed;
  for (const std::int32_t id : ids) {
    const std::string piece = stream.Push(id);
    RC_ASSERT(FindInvalidUtf8(piece) == std::string::npos);
    streamed += piece;
  }
  RC_ASSERT(streamed + stream.Finish() == ReplaceInvalidUtf8(Small().Decode(ids)));
}

TEST(Detokenizer, HoldsBackTheBeginningOfACodePoint) {
  std::string text = "😀";
  Detokenizer stream(Small());
  std::vector<std::string> pieces;
  for (const char byte : text) {
    const std::vector<std::int32_t> ids = Small().EncodePlain(std::string(1, byte));
    ASSERT_EQ(ids.size(), 1U);
    pieces.push_back(stream.Push(ids[0]));
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"", "", "", "😀"}));
}

// A quadratic merge of a million bytes would take minutes; the bound leaves room for sanitizers and a busy machine.
TEST(Tokenizer, EncodesAMillionBytesWithoutASpace) {
  for (const std::string& unit : {std::string("a"), std::string("abcdefgh"), std::string(" "), std::string("é"), std::string("<"), std::string("\n ")}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(Small().Decode(Small().Encode(text)), text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << unit;
  }
}

TEST(Tokenizer, ChecksIds) {
  EXPECT_TRUE(Small().CheckIds(std::vector<std::int32_t>{0, 5, 2047}));
  for (const std::int32_t id : {-1, 2048, 2147483647}) {
    const Status status = Small().CheckIds(std::vector<std::int32_t>{0, id});
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find("found " + std::to_string(id)), std::string::npos) << status.error().message;
  }
}

TEST(TokenizerFile, RefusesWhatItCannotFollow) {
  const std::vector<std::pair<std::string, std::string>> changes = {
      {R"("type": "BPE")", R"("type": "WordPiece")"},
      {R"("normalizers": [])", R"("normalizers": [{"type": "NFC"}])"},
      {R"(\\p{N}{1,3})", R"(\\p{N}{1,4})"},
      {R"("behavior": "Isolated")", R"("behavior": "Removed")"},
      {R"("use_regex": false)", R"("use_regex": true)"},
      {R"("add_prefix_space": false)", R"("add_prefix_space": true)"},
      {R"("byte_fallback": false)", R"("byte_fallback": true)"},
      {R"("dropout": null)", R"("dropout": 0.1)"},
      {R"("lstrip": false)", R"("lstrip": true)"},
      {R"("decoder": {)", R"("decoder": {"type": "Fuse", "x": {}, "y": 0}, "rest": {)"},
      {R"("!": 20)", R"("!": 21)"},
      {R"("!": 20)", R"("!": 1000000000)"},
      {R"("!": 20)", R"("!": -1)"},
      {R"("!": 20)", R"("!": 1e9)"},
      {R"("!": 20)", R"("!": "20")"},
      {R"("!": 20)", R"("": 20)"},
      {R"("!": 20)", R"("!!": 20)"},
      {R"("!": 20)", R"("\"": 20)"},
      {"\"Ġ a\"", "\"Ġ aqzx\""},
      {"\"Ġ a\"", "\"Ġa\""},
      {"\"Ġ a\"", "\"Ġ a b\""},
      {"\"Ġ a\"", "[\"Ġ\"]"},
      {"\"Ġ a\"", "7"},
      {"\"content\": \"<｜User｜>\"", "\"content\": \"<|User|>\""},
      {"\"content\": \"<｜end▁of▁sentence｜>\"", "\"content\": \"</s>\""},
      {"\"content\": \"<think>\"", "\"content\": \"\""},
      {"\"added_tokens\": [", "\"added_tokens\": [], \"ignored\": ["},
      {"\"vocab\": {", "\"vocab\": [], \"ignored\": {"},
      {"\"model\": {", "\"model\": 7, \"ignored\": {"},
  };
  for (const auto& [from, to] : changes) {
    const std::string message = MessageWith(from, to);
    EXPECT_NE(message, "") << from << " -> " << to;
    EXPECT_NE(message.find("expected"), std::string::npos) << message;
    EXPECT_LT(message.size(), 1200U) << message;
  }
  EXPECT_NE(MessageWith(R"(\\p{N}{1,3})", R"(\\p{N}{1,4})").find("{1,4}"), std::string::npos);
}

TEST(TokenizerFile, ReadsOtherSpellings) {
  EXPECT_EQ(MessageWith("\"Ġ a\"", "[\"Ġ\", \"a\"]"), "");
  EXPECT_EQ(MessageWith(R"(\\p{N}{1,3})", R"(\\p{N})"), "");
  EXPECT_EQ(MessageWith(R"("type": "BPE",)", ""), "");
}

TEST(TokenizerFile, RefusesEveryTruncation) {
  const std::string& json = SmallJson();
  for (std::size_t size = 0; size < json.size() - 2; size += 1 + size / 16) EXPECT_FALSE(ParseTokenizer(json.substr(0, size), "")) << size;
}

TEST(TokenizerFile, ReadsTheConfig) {
  EXPECT_TRUE(ParseTokenizer(SmallJson(), R"({"bos_token": null})"));
  EXPECT_EQ(ParseTokenizer(SmallJson(), R"({"eos_token": "<|EOT|>"})")->end_id(), *Small().Find("<|EOT|>"));
  for (const char* config : {"[]", "{", R"({"bos_token": 1})", R"({"bos_token": "<s>"})", R"({"eos_token": {"content": ""}})"}) {
    EXPECT_FALSE(ParseTokenizer(SmallJson(), config)) << config;
  }
}

TEST(Vocabulary, KeepsHoles) {
  const Result<Vocabulary> vocabulary = Vocabulary::Make({{"a", 0}, {"c", 2}}, {});
  ASSERT_TRUE(vocabulary);
  EXPECT_EQ(vocabulary->Size(), 3U);
  EXPECT_FALSE(vocabulary->Contains(1));
  EXPECT_FALSE(Vocabulary::Make({}, {}));
}

TEST(ByteAlphabet, IsOneToOne) {
  for (int i = 0; i < 256; ++i) {
    const std::string byte(1, static_cast<char>(i));
    EXPECT_EQ(ReadByteAlphabet(WriteByteAlphabet(byte)), byte);
  }
  EXPECT_EQ(WriteByteAlphabet(" "), "Ġ");
  EXPECT_EQ(ReadByteAlphabet("｜"), std::nullopt);
}

}  // namespace
}  // namespace baleen::text

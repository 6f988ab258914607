// What an answer may be under the forms of a request, token by token, with the compiler that serves it.
#include "completion/grammar.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "completion/fields.h"
#include "completion/openai_request.h"
#include "completion/scripted_engine.h"

namespace baleen::completion {
namespace {

class Forms : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    compiler_ = constraint::Compiler::Create(PlanktonTokenizer(), 2048, std::vector<std::int32_t>{PlanktonTokenizer().end_id()})->release();
  }
  static void TearDownTestSuite() {
    delete compiler_;
  }
  void SetUp() override {
    const Result<constraint::Grammar> any = compiler_->JsonObject();
    if (!any && any.error().kind == diagnostics::ErrorKind::kUnsupported) GTEST_SKIP() << any.error().message;
    model_.tokenizer = &PlanktonTokenizer();
    model_.compiler = compiler_;
    model_.vocab_size = 2048;
    model_.end_ids = {PlanktonTokenizer().end_id()};
  }

  Checked<std::optional<constraint::Grammar>> Choose(const std::string& members) {
    const auto request = ReadOpenAiChat(*ParseBody(R"({"messages": [{"role": "user", "content": "a"}], )" + members + "}"), 2048);
    EXPECT_TRUE(request) << members << ": " << request.error().message;
    return ChooseGrammar(model_, *request);
  }

  // May the answer be this text and then end?
  bool Writes(const std::string& members, const std::string& text, AnswerForm form = AnswerForm::kReply) {
    const auto grammar = Choose(members);
    EXPECT_TRUE(grammar && *grammar) << members;
    if (!grammar || !*grammar) return false;
    const std::unique_ptr<engine::Constraint> constraint = StartGrammar(model_, **grammar, form);
    std::vector<std::uint32_t> mask(2048 / 32);
    std::vector<std::int32_t> ids = PlanktonTokenizer().Encode(text);
    ids.push_back(PlanktonTokenizer().end_id());
    for (const std::int32_t id : ids) {
      const bool bound = constraint->Allowed(mask);
      if (bound && (mask[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) == 0) return false;
      if (!constraint->Accept(id)) return false;
    }
    return true;
  }

  static constraint::Compiler* compiler_;
  ServedModel model_;
};

constraint::Compiler* Forms::compiler_ = nullptr;

const std::string kTools = R"("tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}])";

std::string Call(const std::string& name) { return "<｜DSML｜invoke name=\"" + name + "\">\n\n</｜DSML｜invoke>\n"; }
std::string Block(const std::string& calls) { return "\n\n<｜DSML｜tool_calls>\n" + calls + "</｜DSML｜tool_calls>"; }

TEST_F(Forms, FollowRegexAndGrammar) {
  const std::string regex = R"x("response_format": {"type": "regex", "pattern": "[0-9]{3}-(yes|no)"})x";
  EXPECT_TRUE(Writes(regex, "123-no"));
  EXPECT_FALSE(Writes(regex, "12-no"));
  EXPECT_FALSE(Writes(regex, "123-no."));
  const std::string grammar = R"("response_format": {"type": "grammar", "grammar": "root ::= \"a\" root | \"b\""})";
  EXPECT_TRUE(Writes(grammar, "aab"));
  EXPECT_FALSE(Writes(grammar, "aa"));
  EXPECT_TRUE(Writes(grammar, "any thought</think>ab", AnswerForm::kThinking));
  EXPECT_FALSE(Writes(grammar, "any thought</think>no", AnswerForm::kThinking));
}

TEST_F(Forms, FollowJson) {
  const std::string object = R"("response_format": {"type": "json_object"})";
  EXPECT_TRUE(Writes(object, R"({"a": [1, null]})"));
  EXPECT_FALSE(Writes(object, "[1]"));
  EXPECT_FALSE(Writes(object, "   {}"));
  const std::string schema = R"("response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {"type": "object",
      "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}}})";
  EXPECT_TRUE(Writes(schema, R"({"n": 12})"));
  EXPECT_FALSE(Writes(schema, R"({"n": "12"})"));
}

TEST_F(Forms, ForceCalls) {
  for (const AnswerForm form : {AnswerForm::kReply, AnswerForm::kThinking}) {
    const std::string before = form == AnswerForm::kThinking ? "hm</think>" : "";
    const std::string required = kTools + R"(, "tool_choice": "required")";
    EXPECT_TRUE(Writes(required, before + Block(Call("f") + Call("g")), form));
    EXPECT_FALSE(Writes(required, before + "no", form));
    const std::string named = kTools + R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})";
    EXPECT_TRUE(Writes(named, before + Block(Call("g")), form));
    EXPECT_FALSE(Writes(named, before + Block(Call("f")), form));
    const std::string one = kTools + R"(, "parallel_tool_calls": false)";
    EXPECT_TRUE(Writes(one, before + "well" + Block(Call("f")), form));
    EXPECT_TRUE(Writes(one, before + "no call", form));
    EXPECT_FALSE(Writes(one, before + Block(Call("f") + Call("g")), form));
  }
}

// A response format does not keep the model from calling tools, unless it is one that cannot stand beside them.
TEST_F(Forms, StandBesideTools) {
  const std::string both = kTools + R"(, "response_format": {"type": "json_object"})";
  EXPECT_TRUE(Writes(both, "{}"));
  EXPECT_TRUE(Writes(both, Block(Call("f"))));
  EXPECT_FALSE(Writes(both, "text"));
  const std::string regex = kTools + R"(, "response_format": {"type": "regex", "pattern": "a+"})";
  EXPECT_EQ(Choose(regex).error().param, "response_format");
  EXPECT_TRUE(Writes(regex + R"(, "tool_choice": "none")", "aa"));
  EXPECT_TRUE(Writes(regex + R"(, "tool_choice": "required")", Block(Call("f"))));
}

TEST_F(Forms, RefuseWithTheField) {
  const auto field = [&](const std::string& members) { return Choose(members).error().param; };
  EXPECT_EQ(field(R"("response_format": {"type": "regex", "pattern": "("})"), "response_format.pattern");
  EXPECT_EQ(field(R"("response_format": {"type": "grammar", "grammar": "root ::="})"), "response_format.grammar");
}

}  // namespace
}  // namespace baleen::completion

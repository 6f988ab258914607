// What the constructed model must find, and must not find: any other answer is a defect of the engine.

#include <gtest/gtest.h>

#include "company.h"
#include "reading.h"
#include "saved.h"

namespace baleen::long_context {
namespace {

using model::Arithmetic;

struct Case {
  Arithmetic arithmetic;
  std::int64_t tokens;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.arithmetic == Arithmetic::kExact ? "exact" : "official") + "_" + std::to_string(info.param.tokens);
}

class Retrieval : public testing::TestWithParam<Case> {};

TEST_P(Retrieval, FindsEveryNeedle) {
  Prompt prompt(GetParam().tokens, 1);
  PlantAroundBoundaries(prompt, 512, 2);
  Reader reader({.context = prompt.size() + 512, .arithmetic = GetParam().arithmetic});
  auto sequence = reader.Begin(prompt.size() + 512);
  reader.Feed(sequence, prompt.tokens());
  std::string wrong;
  EXPECT_EQ(reader.CountRight(sequence, prompt.questions(), wrong), static_cast<std::int64_t>(prompt.questions().size())) << wrong;
}

INSTANTIATE_TEST_SUITE_P(Lengths, Retrieval,
                         testing::Values(Case{Arithmetic::kOfficial, 1021}, Case{Arithmetic::kOfficial, 4096}, Case{Arithmetic::kOfficial, 16384},
                                         Case{Arithmetic::kExact, 1021}, Case{Arithmetic::kExact, 4096}),
                         CaseName);

class Answers : public testing::TestWithParam<Arithmetic> {
 protected:
  Reader reader_{{.context = 4096, .arithmetic = GetParam()}};
  kvcache::Sequence sequence_ = reader_.Begin(4096);

  std::int32_t AskOne(std::int32_t ask) { return reader_.Argmax(reader_.Feed(sequence_, {{ask}}, {.wanted = {0}})).front(); }
};

TEST_P(Answers, NothingIsFoundThatIsNotThere) {
  Prompt prompt(2000, 3);
  prompt.Plant(100, {Key(9), Value(1)}, Ask(9), Value(1));
  prompt.Plant(300, {Key(40), Ordinal(2), Value(11)}, AskOrdinal(40, 2), Value(11));
  prompt.Plant(500, {Beacon(3, 4)}, AskColor(3), Beacon(3, 4));
  reader_.Feed(sequence_, prompt.tokens());
  std::vector<Question> questions = prompt.questions();
  for (const std::int64_t k : {1, 8, 17, 13, 63}) questions.push_back({Ask(k), kNone});  // 1, 17, 8 and 13 share a part of the code with key 9
  for (const std::int64_t c : {0, 4, 7}) questions.push_back({AskColor(c), kNone});
  for (const std::int64_t i : {0, 1, 3}) questions.push_back({AskOrdinal(40, i), kNone});
  questions.push_back({AskOrdinal(41, 2), kNone});
  questions.push_back({Near(9), kNone});
  questions.push_back({AskTwice(9), Value(1)});  // value 1 is no key
  std::string wrong;
  EXPECT_EQ(reader_.CountRight(sequence_, questions, wrong), static_cast<std::int64_t>(questions.size())) << wrong;
}

TEST_P(Answers, AValueIsFoundAsAKeyAgain) {
  Prompt prompt(3000, 4);
  for (std::int64_t k = 0; k < 20; ++k) prompt.Plant(2900 - 131 * k, {Key(k), Value(k + 1)}, AskTwice(k), Value(std::min<std::int64_t>(k + 2, 20)));
  reader_.Feed(sequence_, prompt.tokens());
  std::string wrong;
  EXPECT_EQ(reader_.CountRight(sequence_, prompt.questions(), wrong), 20) << wrong;
}

TEST_P(Answers, RepeatsAreToldApartByTheirOrdinal) {
  Prompt prompt(3000, 5);
  for (std::int64_t i = 0; i < kOrdinals; ++i) {
    for (const std::int64_t k : {33, 34, 41}) prompt.Plant(40 + 340 * i + 61 * (k % 5), {Key(k), Ordinal(i), Value(7 * i + k % 7)}, AskOrdinal(k, i), Value(7 * i + k % 7));
  }
  reader_.Feed(sequence_, prompt.tokens());
  std::string wrong;
  EXPECT_EQ(reader_.CountRight(sequence_, prompt.questions(), wrong), 3 * kOrdinals) << wrong;
}

/// A pair becomes visible with the step that closes the window of four its value stands in, not one token earlier or later (§4.5).
TEST_P(Answers, AnEntryIsVisibleFromTheTokenThatClosesItsWindow) {
  for (const std::int64_t start : {256, 511, 513, 1022}) {
    sequence_.Reset();
    Prompt prompt(start, static_cast<std::uint64_t>(start));
    reader_.Feed(sequence_, prompt.tokens());
    const std::int64_t value_position = start + 1, closes = value_position / 4 * 4 + 3;
    reader_.Feed(sequence_, {{Key(5), Value(6)}});
    for (std::int64_t position = start + 2; position < start + 12; ++position) {
      EXPECT_EQ(AskOne(Ask(5)), position >= closes ? Value(6) : kNone) << "pair at " << start << ", asked at " << position;
    }
  }
}

/// The window is the query's own token and the 127 before it (§3.4).
TEST_P(Answers, TheWindowEndsAtItsLastToken) {
  for (const std::int64_t start : {0, 100, 129, 1000}) {
    sequence_.Reset();
    Prompt prompt(start + 126, static_cast<std::uint64_t>(start));
    prompt.Plant(start, {Key(50)}, Near(50), Key(50));
    reader_.Feed(sequence_, prompt.tokens());
    EXPECT_EQ(AskOne(Near(50)), Key(50));  // 126 tokens later
    EXPECT_EQ(AskOne(Near(50)), Key(50));  // 127
    EXPECT_EQ(AskOne(Near(50)), kNone);    // 128
  }
}

/// A beacon is in the window until its own window of 128 is closed, then in an entry: no position loses it.
TEST_P(Answers, ABeaconIsFoundAtEveryDistance) {
  for (const std::int64_t start : {0, 127, 128, 640}) {
    sequence_.Reset();
    Prompt prompt(start, static_cast<std::uint64_t>(start));
    reader_.Feed(sequence_, prompt.tokens());
    reader_.Feed(sequence_, {{Beacon(2, 7)}});
    for (std::int64_t distance = 1; distance < 300; ++distance) ASSERT_EQ(AskOne(AskColor(2)), Beacon(2, 7)) << "beacon at " << start << ", distance " << distance;
  }
}

std::string ArithmeticName(const testing::TestParamInfo<Arithmetic>& info) { return info.param == Arithmetic::kExact ? "exact" : "official"; }

INSTANTIATE_TEST_SUITE_P(Both, Answers, testing::Values(Arithmetic::kOfficial, Arithmetic::kExact), ArithmeticName);

/// Tokens with needles and their questions among them.
std::vector<std::int32_t> Mixed(std::int64_t count) {
  Prompt prompt(count, 7);
  PlantAroundBoundaries(prompt, 512, 8);
  std::vector<std::int32_t> tokens = prompt.tokens();
  for (const Question& q : prompt.questions()) {
    tokens.push_back(q.ask);
    tokens.push_back(Filler(q.ask % kFillers));
  }
  return tokens;
}

TEST(Chunks, EverySizeGivesTheSameBits) {
  const std::vector<std::int32_t> tokens = Mixed(4200);
  const auto count = static_cast<std::int64_t>(tokens.size());
  Reader reader({.context = count, .rows = 4096});
  const std::vector<std::int64_t> wanted = Places(count - 90, 90);
  auto whole = reader.Begin(count);
  const std::vector<float> expected = reader.Feed(whole, tokens, {.wanted = wanted});
  for (const std::int64_t chunk : {1, 3, 7, 64, 127, 128, 129, 1000, 2048}) {
    whole.Reset();
    EXPECT_EQ(reader.Feed(whole, tokens, {.chunk = chunk, .wanted = wanted}), expected) << "chunks of " << chunk;
  }
}

TEST(Chunks, OneTokenDecodedIsTheTokenPrefilled) {
  const std::vector<std::int32_t> tokens = Mixed(4200);
  const auto count = static_cast<std::int64_t>(tokens.size());
  Reader reader({.context = count, .rows = 2048});
  const std::vector<std::int64_t> points = {0, 3, 4, 126, 127, 128, 1023, 2047, 2048, 4095, 4096, 4203, count - 1};
  auto sequence = reader.Begin(count);
  const std::vector<float> expected = reader.Feed(sequence, tokens, {.wanted = points});
  sequence.Reset();
  std::vector<float> found;
  for (const std::int64_t point : points) {
    const std::span<const std::int32_t> all(tokens);
    reader.Feed(sequence, all.subspan(static_cast<std::size_t>(sequence.length()), static_cast<std::size_t>(point - sequence.length())), {.chunk = 333});
    const std::vector<float> one = reader.Feed(sequence, all.subspan(static_cast<std::size_t>(point), 1), {.wanted = {0}});
    found.insert(found.end(), one.begin(), one.end());
  }
  EXPECT_EQ(found, expected);
}

/// What the long runs rely on: the two quicker ways of filling leave the state that all operations leave.
TEST(Fillings, LeaveTheSameState) {
  Prompt prompt(6000, 9);
  PlantAroundBoundaries(prompt, 512, 10);
  for (const Arithmetic arithmetic : {Arithmetic::kOfficial, Arithmetic::kExact}) {
    Reader reader({.context = 8192, .arithmetic = arithmetic});
    std::vector<std::int32_t> suffix = Mixed(200);
    for (const Question& q : prompt.questions()) suffix.push_back(q.ask);
    const Feeding all{.wanted = Places(0, static_cast<std::int64_t>(suffix.size()))};
    std::vector<std::vector<float>> logits;
    std::vector<std::vector<std::byte>> blocks, states;
    for (const Filling filling : {Filling::kWhole, Filling::kAskersOnly, Filling::kStates}) {
      auto sequence = reader.Begin(8192);
      reader.Feed(sequence, prompt.tokens(), {.filling = filling});
      const Saved saved(sequence);
      blocks.push_back(saved.blocks);
      states.push_back(saved.state);
      logits.push_back(reader.Feed(sequence, suffix, all));
    }
    for (std::size_t quicker = 1; quicker < 3; ++quicker) {
      EXPECT_TRUE(blocks[0] == blocks[quicker]) << (quicker == 1 ? "askers only" : "states");
      EXPECT_TRUE(states[0] == states[quicker]) << (quicker == 1 ? "askers only" : "states");
      EXPECT_TRUE(logits[0] == logits[quicker]) << (quicker == 1 ? "askers only" : "states");
    }
  }
}

TEST(Company, LongAndShortRequestsDoNotSeeEachOther) { ExpectCompanyDoesNotMatter(6000, 12); }

}  // namespace
}  // namespace baleen::long_context

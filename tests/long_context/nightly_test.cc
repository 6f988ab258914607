// A hundred thousand to two million tokens: tools/nightly.sh. Lines that begin with "| " are its summary.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "company.h"
#include "reading.h"
#include "saved.h"

namespace baleen::long_context {
namespace {

/// 2M tokens, or BALEEN_NIGHTLY_TOKENS of them to try the tests themselves.
std::int64_t TwoMillion() {
  const char* text = std::getenv("BALEEN_NIGHTLY_TOKENS");
  return text == nullptr ? 2097152 : std::clamp<std::int64_t>(std::atoll(text) / 4096 * 4096, 65536, 2097152);
}
std::int64_t Million() { return TwoMillion() / 2; }

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

std::span<const std::int32_t> Piece(const std::vector<std::int32_t>& tokens, std::int64_t begin, std::int64_t end) {
  return std::span(tokens).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

void ExpectAllRight(Reader& reader, kvcache::Sequence& sequence, const std::vector<Question>& questions, const char* what) {
  std::string wrong;
  const auto count = static_cast<std::int64_t>(questions.size());
  const std::int64_t right = reader.CountRight(sequence, questions, wrong);
  EXPECT_EQ(right, count) << wrong;
  std::printf("| %s: %lld of %lld needles found\n", what, static_cast<long long>(right), static_cast<long long>(count));
}

TEST(Nightly, NeedlesIn128KWithAllOperations) {
  Prompt prompt(131072 - 512, 21);
  PlantAroundBoundaries(prompt, 512, 22);
  Reader reader({.context = 131072});
  auto sequence = reader.Begin(131072);
  const auto start = Clock::now();
  reader.Feed(sequence, prompt.tokens());
  std::printf("| 128K, all operations: %.0f tokens/s\n", static_cast<double>(prompt.size()) / Seconds(start));
  ExpectAllRight(reader, sequence, prompt.questions(), "128K, all operations");
}

TEST(Nightly, FillingsLeaveTheSameBytesAt32K) {
  Prompt prompt(32768 - 512 + 5, 23);
  PlantAroundBoundaries(prompt, 512, 24);
  Reader reader({.context = 32768});
  std::vector<std::vector<std::byte>> blocks, states;
  for (const Filling filling : {Filling::kWhole, Filling::kAskersOnly, Filling::kStates}) {
    auto sequence = reader.Begin(32768);
    reader.Feed(sequence, prompt.tokens(), {.filling = filling});
    const Saved saved(sequence);
    blocks.push_back(saved.blocks);
    states.push_back(saved.state);
    ExpectAllRight(reader, sequence, prompt.questions(), "32K");
  }
  EXPECT_TRUE(blocks[0] == blocks[1] && blocks[0] == blocks[2]);
  EXPECT_TRUE(states[0] == states[1] && states[0] == states[2]);
}

/// One row of the table of decode times.
struct Timing {
  std::int64_t length;
  double milliseconds;
};

/// Decodes 24 of the prompt's own tokens and takes the median time.
Timing TimeDecode(Reader& reader, kvcache::Sequence& sequence, const std::vector<std::int32_t>& tokens) {
  const std::int64_t length = sequence.length();
  std::vector<double> times;
  for (std::int64_t i = 0; i < 24; ++i) {
    const auto start = Clock::now();
    reader.Feed(sequence, Piece(tokens, length + i, length + i + 1), {.wanted = {0}});
    times.push_back(1e3 * Seconds(start));
  }
  std::nth_element(times.begin(), times.begin() + 12, times.end());
  return {length, times[12]};
}

/// Floating-point operations of one token that grow with the context: index keys of two CSA layers, entries of the HCA layer (§10.3).
double GrowingFlops(std::int64_t length) { return 2 * 2.0 * 4 * 128 * static_cast<double>(length / 4) + 4.0 * 2 * 512 * static_cast<double>(length / 128); }

void PrintTimings(const std::vector<Timing>& timings) {
  for (const Timing& t : timings) {
    std::printf("| decode at %8lld tokens: %8.3f ms, %7.1f MFLOP that grow with the context\n", static_cast<long long>(t.length), t.milliseconds, GrowingFlops(t.length) / 1e6);
  }
  const Timing &first = timings.front(), &last = timings.back();
  const double slope = (last.milliseconds - first.milliseconds) / static_cast<double>(last.length - first.length);
  std::printf("| slope: %.3f ns a token of context, %.1f GFLOP/s\n", 1e6 * slope,
              (GrowingFlops(last.length) - GrowingFlops(first.length)) / (last.milliseconds - first.milliseconds) / 1e6);
}

/// Saves at edge − 1, edge and edge + 1 on the way; then every restored sequence must continue with the bits of the one never stopped.
void ExpectRestoresContinue(Reader& reader, kvcache::Sequence& sequence, const std::vector<std::int32_t>& tokens, std::int64_t edge) {
  std::vector<Saved> saved;
  for (std::int64_t length = edge - 1; length <= edge + 1; ++length) {
    reader.Feed(sequence, Piece(tokens, sequence.length(), length), {.filling = Filling::kAskersOnly});
    saved.emplace_back(sequence);
  }
  const std::int64_t end = edge + 1001;
  const auto continuation = [&](kvcache::Sequence& s) {
    return reader.Feed(s, Piece(tokens, s.length(), end), {.filling = Filling::kAskersOnly, .wanted = Places(end - 1000 - s.length(), 1000)});
  };
  const std::vector<float> expected = continuation(sequence);
  auto restored = reader.Begin(sequence.capacity());
  for (const Saved& one : saved) {
    restored.Reset();
    one.Restore(restored);
    EXPECT_TRUE(continuation(restored) == expected) << "restored at " << one.length;
  }
  std::printf("| saved and restored at %lld - 1, + 0, + 1, then 1000 tokens: compared\n", static_cast<long long>(edge));
}

TEST(Nightly, TwoMillionTokens) {
  Prompt prompt(TwoMillion() - 512, 25);
  PlantAroundBoundaries(prompt, 512, 26);
  Reader reader({.context = TwoMillion()});
  auto sequence = reader.Begin(TwoMillion());
  EXPECT_EQ(sequence.bytes(), reader.model().cache_layout().Bytes(TwoMillion()));
  std::printf("| 2M: %.1f bytes a token, %.3f GiB\n", static_cast<double>(sequence.bytes()) / static_cast<double>(TwoMillion()), static_cast<double>(sequence.bytes()) / 1073741824.0);
  const std::vector<std::int32_t>& tokens = prompt.tokens();
  const auto fill_to = [&](std::int64_t length) { reader.Feed(sequence, Piece(tokens, sequence.length(), length), {.filling = Filling::kAskersOnly}); };
  std::vector<Timing> timings;
  const auto start = Clock::now();
  for (const std::int64_t length : {TwoMillion() / 512, TwoMillion() / 32}) {
    fill_to(length);
    timings.push_back(TimeDecode(reader, sequence, tokens));
  }
  fill_to(Million() - 2);
  ExpectRestoresContinue(reader, sequence, tokens, Million());
  timings.push_back(TimeDecode(reader, sequence, tokens));
  fill_to(TwoMillion() - 2048 - 2);
  ExpectRestoresContinue(reader, sequence, tokens, TwoMillion() - 2048);
  timings.push_back(TimeDecode(reader, sequence, tokens));
  fill_to(prompt.size());
  std::printf("| 2M: %.0f tokens/s, askers only\n", static_cast<double>(prompt.size()) / Seconds(start));
  ExpectAllRight(reader, sequence, prompt.questions(), "2M");
  // To the very last position.
  while (sequence.length() < TwoMillion() - 1) reader.Feed(sequence, Piece(tokens, 0, std::min<std::int64_t>(512, TwoMillion() - 1 - sequence.length())));
  ExpectAllRight(reader, sequence, {prompt.questions().front()}, "2M, the last position");
  PrintTimings(timings);
}

/// A million tokens in turns that end with a question; the answers' logits must be those of the prompt fed at once.
TEST(Nightly, AMillionTokensInAHundredTurns) {
  constexpr std::int64_t kTurns = 100;
  const std::int64_t turn_tokens = Million() / kTurns;
  Prompt prompt(Million(), 27);
  PlantAroundBoundaries(prompt, 512, 28);
  std::vector<std::int32_t> tokens = prompt.tokens();
  std::vector<std::int64_t> asked;
  std::vector<std::int32_t> right;
  for (std::int64_t turn = 0; turn < kTurns; ++turn) {
    // The question that stands last before the turn's end and was planted well before it.
    std::int64_t at = (turn + 1) * turn_tokens - 1;
    while (!prompt.IsFree(at)) --at;
    const Question* chosen = nullptr;
    for (const Question& q : prompt.questions()) {
      if (q.position + 8 < at && (chosen == nullptr || (q.position * 7919) % 1009 > (chosen->position * 7919) % 1009)) chosen = &q;
    }
    ASSERT_NE(chosen, nullptr);
    tokens[static_cast<std::size_t>(at)] = chosen->ask;
    asked.push_back(at);
    right.push_back(chosen->answer);
  }
  Reader reader({.context = Million()});
  auto sequence = reader.Begin(Million());
  const std::vector<float> at_once = reader.Feed(sequence, tokens, {.filling = Filling::kAskersOnly, .wanted = asked});
  EXPECT_EQ(reader.Argmax(at_once), right);
  sequence.Reset();
  std::vector<float> in_turns;
  for (std::size_t turn = 0; turn < asked.size(); ++turn) {
    const std::int64_t chunk = 100 + 7 * static_cast<std::int64_t>(turn % 50);
    reader.Feed(sequence, Piece(tokens, sequence.length(), asked[turn]), {.chunk = chunk, .filling = Filling::kAskersOnly});
    const std::vector<float> answer = reader.Feed(sequence, Piece(tokens, asked[turn], asked[turn] + 1), {.wanted = {0}});
    in_turns.insert(in_turns.end(), answer.begin(), answer.end());
  }
  EXPECT_TRUE(in_turns == at_once);
  std::printf("| 1M in 100 turns, questions decoded alone: logits compared with the prompt at once\n");
}

/// Engineering only: positions beyond 1M are untrained with any factor.
TEST(Nightly, TwoMillionTokensWithYarnFactor16) {
  Prompt prompt(TwoMillion() - 512, 29);
  PlantAroundBoundaries(prompt, 512, 30);
  Reader reader({.context = TwoMillion(), .yarn_factor = 16});
  auto sequence = reader.Begin(TwoMillion());
  const Reader other({.context = TwoMillion(), .rows = 1, .yarn_factor = 32});
  EXPECT_EQ(sequence.bytes(), kvcache::Sequence(other.Begin(TwoMillion())).bytes());
  reader.Feed(sequence, Piece(prompt.tokens(), 0, prompt.size() - 100), {.filling = Filling::kStates});
  const std::vector<float> logits = reader.Feed(sequence, Piece(prompt.tokens(), prompt.size() - 100, prompt.size()), {.wanted = Places(0, 100)});
  EXPECT_TRUE(std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }));
  ExpectAllRight(reader, sequence, prompt.questions(), "2M, YaRN factor 16");
}

TEST(Nightly, TwoSessionsOfAMillionAndFiftyShortOnes) { ExpectCompanyDoesNotMatter(Million() - 1024, 50); }

}  // namespace
}  // namespace baleen::long_context

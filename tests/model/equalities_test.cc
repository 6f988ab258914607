// The promise of the product: the same bits whatever the chunking, the thread count and the company, per instruction set.

#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <numeric>

#include "checkpoint/writer.h"
#include "golden.h"

namespace baleen::golden {
namespace {

using model::Arithmetic;

struct Case {
  std::string name;
  hardware::Isa isa;
  Arithmetic arithmetic;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name + "_" + std::string(hardware::IsaName(info.param.isa)) + (info.param.arithmetic == Arithmetic::kFast ? "_fast" : info.param.arithmetic == Arithmetic::kExact ? "_exact" : "_official");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const hardware::Isa isa : Isas()) {
    for (const char* name : {"flash", "pro", "base-fp8", "odd", "long", "positions", "short", "hf-names", "dspark", "official-csa"}) {
      for (const Arithmetic arithmetic : {Arithmetic::kExact, Arithmetic::kOfficial, Arithmetic::kFast}) cases.push_back({name, isa, arithmetic});
    }
  }
  return cases;
}

/// The case's whole prompt; on the reference, which is slow, as much of it as passes every window and the top-k.
std::vector<std::int32_t> Prompt(const std::string& name, hardware::Isa isa) {
  std::vector<std::int32_t> tokens = ReadTokens(CaseFolder(name) / "tokens.json");
  if (isa == hardware::Isa::kReference && tokens.size() > 300) tokens.resize(300);
  return tokens;
}

class Equalities : public testing::TestWithParam<Case> {
 protected:
  Runner Load(int threads, std::int64_t rows) {
    const Case& c = GetParam();
    return Runner(CaseFolder(c.name), c.isa, threads, c.arithmetic, static_cast<std::int64_t>(Prompt(c.name, c.isa).size()), rows);
  }
};

void ExpectSameBits(const Outcome& a, const Outcome& b, const std::string& what) {
  EXPECT_EQ(a.logits, b.logits) << what;
  EXPECT_EQ(a.mtp_logits, b.mtp_logits) << what;
  EXPECT_EQ(a.stream_mean_abs, b.stream_mean_abs) << what;
}

TEST_P(Equalities, ChunksAndDecodeGiveTheBitsOfTheWhole) {
  const auto tokens = Prompt(GetParam().name, GetParam().isa);
  const auto count = static_cast<std::int64_t>(tokens.size());
  Runner runner = Load(2, count);
  const Outcome whole = runner.Feed(tokens, {});
  for (const std::int64_t chunk : {1, 3, 7, 27}) ExpectSameBits(whole, runner.Feed(tokens, {chunk}), "chunks of " + std::to_string(chunk));
  ExpectSameBits(whole, runner.Feed(tokens, {0, count / 2}), "second half one by one");
  ExpectSameBits(whole, runner.Feed(tokens, {7, count / 2}), "chunks, then one by one");
}

TEST_P(Equalities, ThreadsDoNotMatter) {
  const auto tokens = Prompt(GetParam().name, GetParam().isa);
  Runner one = Load(1, 64), two = Load(2, 64), three = Load(3, 64);
  const Outcome alone = one.Feed(tokens, {50, 100});
  ExpectSameBits(alone, two.Feed(tokens, {50, 100}), "two threads");
  ExpectSameBits(alone, three.Feed(tokens, {50, 100}), "three threads");
}

/// Feeds two sequences side by side, one in prefill while the other decodes, and returns their logits.
std::array<std::vector<float>, 2> FeedTogether(model::Transformer& model, const std::array<std::vector<std::int32_t>, 2>& prompts) {
  std::array<std::vector<float>, 2> logits;
  auto first = *kvcache::Sequence::Create(model.cache_layout(), static_cast<std::int64_t>(prompts[0].size()));
  auto second = *kvcache::Sequence::Create(model.cache_layout(), static_cast<std::int64_t>(prompts[1].size()));
  std::array<kvcache::Sequence*, 2> sequences = {&first, &second};
  const std::array<std::int64_t, 2> chunk = {1, 13};
  while (first.length() < first.capacity() || second.length() < second.capacity()) {
    std::vector<std::int32_t> tokens;
    std::vector<model::Segment> segments;
    std::vector<std::size_t> owner;
    for (std::size_t s = 0; s < 2; ++s) {
      const std::int64_t rows = std::min(chunk[s], sequences[s]->capacity() - sequences[s]->length());
      if (rows == 0) continue;
      segments.push_back({sequences[s], rows});
      const auto begin = prompts[s].begin() + sequences[s]->length();
      tokens.insert(tokens.end(), begin, begin + rows);
      owner.insert(owner.end(), static_cast<std::size_t>(rows), s);
    }
    std::vector<std::int32_t> wanted(tokens.size());
    std::iota(wanted.begin(), wanted.end(), 0);
    const model::Step step{tokens, segments, wanted, {}};
    model.Forward(step);
    for (std::size_t r = 0; r < tokens.size(); ++r) {
      const auto row = model.Logits(static_cast<std::int64_t>(r));
      logits[owner[r]].insert(logits[owner[r]].end(), row.begin(), row.end());
    }
    if (model.drafter() != checkpoint::DrafterKind::kMtp) continue;
    std::vector<std::int32_t> next;
    for (const model::Segment& segment : segments) {
      const auto at = static_cast<std::size_t>(segment.sequence->length());
      const auto& prompt = prompts[segment.sequence == &first ? 0 : 1];
      next.push_back(at < prompt.size() ? prompt[at] : -1);
    }
    model.DraftLogits(next);
  }
  return logits;
}

TEST_P(Equalities, CompanyDoesNotMatter) {
  const auto tokens = Prompt(GetParam().name, GetParam().isa);
  std::vector<std::int32_t> reversed(tokens.rbegin(), tokens.rend());
  Runner runner = Load(2, 64);
  const auto together = FeedTogether(runner.model(), {tokens, reversed});
  EXPECT_EQ(together[0], runner.Feed(tokens, {1}).logits);
  EXPECT_EQ(together[1], runner.Feed(reversed, {13}).logits);
}

/// The tensors of hf-names under their official names: the same stored numbers, another way to write them down.
TEST(Names, TransformersNamesGiveTheBitsOfOfficialNames) {
  const auto folder = std::filesystem::temp_directory_path() / ("baleen-names-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(CaseFolder("hf-names") / "config.json", folder / "config.json");
  {
    const auto source = checkpoint::Checkpoint::Open(CaseFolder("hf-names"));
    ASSERT_TRUE(source);
    std::vector<checkpoint::NamedTensor> tensors;
    for (const std::string& name : source->Names()) tensors.push_back({name, *source->Find(name)});
    ASSERT_TRUE(checkpoint::WriteSafetensors(folder / "model.safetensors", tensors));
  }
  const auto tokens = Prompt("hf-names", hardware::BestIsa());
  for (const hardware::Isa isa : Isas()) {
    for (const Arithmetic arithmetic : {Arithmetic::kExact, Arithmetic::kOfficial, Arithmetic::kFast}) {
      Runner official(folder, isa, 2, arithmetic, 64, 64), transformers(CaseFolder("hf-names"), isa, 2, arithmetic, 64, 64);
      ExpectSameBits(official.Feed(tokens, {5}), transformers.Feed(tokens, {5}), "names");
    }
  }
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(All, Equalities, testing::ValuesIn(AllCases()), CaseName);

}  // namespace
}  // namespace baleen::golden

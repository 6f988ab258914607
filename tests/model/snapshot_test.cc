// Restored = recomputed, bit for bit: a sequence put back from its saved form, everything else being NaN, goes on as if it had never
// stopped; so does one that gives up rows again.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "golden.h"
#include "kvcache/pool.h"
#include "kvcache/prefix_cache.h"
#include "kvcache/snapshot.h"

namespace baleen::golden {
namespace {

using model::Arithmetic;

struct Case {
  std::string name;
  Arithmetic arithmetic;
};

std::filesystem::path FolderOf(const std::string& name) {
  return name == "plankton" ? std::filesystem::path(BALEEN_SOURCE_DIR) / "models/plankton" : CaseFolder(name);
}

std::vector<std::int32_t> PromptOf(const std::string& name, std::int64_t vocab) {
  std::vector<std::int32_t> tokens;
  if (name != "plankton") tokens = ReadTokens(CaseFolder(name) / "tokens.json");
  for (std::int64_t i = static_cast<std::int64_t>(tokens.size()); i < 270; ++i) tokens.push_back(static_cast<std::int32_t>((i * 7919 + 13) % vocab));
  tokens.resize(270);
  return tokens;
}

/// Logits of the tokens, and of the MTP module for all but the last, from the sequence's length on.
Outcome Continue(model::Transformer& model, kvcache::Sequence& sequence, std::span<const std::int32_t> tokens) {
  Outcome run;
  while (!tokens.empty()) {
    const auto piece = tokens.first(std::min<std::size_t>(tokens.size(), 48));
    tokens = tokens.subspan(piece.size());
    std::vector<std::int32_t> wanted(piece.size());
    std::iota(wanted.begin(), wanted.end(), 0);
    const model::Segment segment{&sequence, static_cast<std::int64_t>(piece.size())};
    EXPECT_TRUE(sequence.Reserve(sequence.length() + segment.rows));
    model.Forward({piece, {&segment, 1}, wanted, {}});
    for (std::int64_t r = 0; r < segment.rows; ++r) run.logits.insert(run.logits.end(), model.Logits(r).begin(), model.Logits(r).end());
    if (model.drafter() != checkpoint::DrafterKind::kMtp) continue;
    const std::int32_t next = tokens.empty() ? 0 : tokens.front();
    const std::int64_t drafted = model.DraftLogits({&next, 1});
    for (std::int64_t r = 0; r < drafted; ++r) run.mtp_logits.insert(run.mtp_logits.end(), model.Logits(r).begin(), model.Logits(r).end());
  }
  return run;
}

void Poison(const kvcache::Pool& pool, const kvcache::Sequence& sequence, kvcache::StateId state, std::size_t shared_blocks) {
  std::memset(pool.State(state), 0xFF, pool.pieces().state_bytes);
  for (std::size_t b = shared_blocks; b < sequence.blocks().size(); ++b) std::memset(pool.Block(sequence.blocks()[b]), 0xFF, pool.pieces().block_bytes);
}

class Snapshots : public testing::TestWithParam<Case> {
 protected:
  Snapshots() : runner_(FolderOf(GetParam().name), hardware::BestIsa(), 2, GetParam().arithmetic, 270, 64, 2), tokens_(PromptOf(GetParam().name, model().config().vocab_size)) {}

  model::Transformer& model() { return runner_.model(); }

  /// The first `length` tokens, with the pair of the last one and the token behind it.
  void Begin(kvcache::Sequence& sequence, std::int64_t length) {
    Continue(model(), sequence, std::span(tokens_).first(static_cast<std::size_t>(length)));
    if (model().drafter() == checkpoint::DrafterKind::kMtp) model().DraftLogits({&tokens_[static_cast<std::size_t>(length)], 1});
  }

  std::span<const std::int32_t> From(std::int64_t length) const { return std::span(tokens_).subspan(static_cast<std::size_t>(length)); }

  Outcome RowsFrom(const Outcome& run, std::int64_t length) {
    const std::int64_t begin = length * model().config().vocab_size;
    Outcome rows{.logits = {run.logits.begin() + begin, run.logits.end()}};
    if (!run.mtp_logits.empty()) rows.mtp_logits = {run.mtp_logits.begin() + begin, run.mtp_logits.end()};
    return rows;
  }

  Runner runner_;
  std::vector<std::int32_t> tokens_;
};

constexpr std::int64_t kLengths[] = {1, 3, 4, 5, 7, 8, 9, 12, 33, 63, 64, 65, 127, 128, 129, 131, 132, 133, 255, 256, 257};

TEST_P(Snapshots, RestoredGoesOnAsIfItHadNeverStopped) {
  const kvcache::Layout& layout = model().cache_layout();
  const std::int64_t vocab = model().config().vocab_size;
  kvcache::Sequence alone = *kvcache::Sequence::Create(layout, 270);
  const Outcome whole = Continue(model(), alone, tokens_);
  for (const std::int64_t length : kLengths) {
    for (const std::int64_t rejected : {std::int64_t{0}, layout.spare_rows}) {
      SCOPED_TRACE(testing::Message() << length << " tokens, then " << rejected << " that are given up");
      const auto pool = *kvcache::Pool::Create(layout, 2 * layout.Blocks(270), 2);
      kvcache::Sequence first = *kvcache::Sequence::Create(*pool, 270), second = *kvcache::Sequence::Create(*pool, 270);
      Begin(first, length);
      std::vector<std::int32_t> wrong(static_cast<std::size_t>(std::min(rejected, 270 - length)));
      for (std::size_t i = 0; i < wrong.size(); ++i) wrong[i] = static_cast<std::int32_t>((tokens_[static_cast<std::size_t>(length) + i] + 1) % vocab);
      Continue(model(), first, wrong);

      std::vector<std::byte> saved(kvcache::SavedBytes(layout, length));
      kvcache::Save(first, length, saved);
      const std::int64_t full = length / pool->block_tokens();
      second.Adopt(first.blocks().first(static_cast<std::size_t>(full)));
      ASSERT_TRUE(second.Reserve(length));
      Poison(*pool, second, 1, static_cast<std::size_t>(full));
      kvcache::Load(second, length, saved);
      EXPECT_EQ(second.length(), length);
      const Outcome restored = Continue(model(), second, From(length));
      second.Reset();  // of full blocks there is one user again

      first.Rollback(length);
      const Outcome rolled_back = Continue(model(), first, From(length));
      const Outcome expected = RowsFrom(whole, length);
      EXPECT_EQ(restored.logits, expected.logits);
      EXPECT_EQ(restored.mtp_logits, expected.mtp_logits);
      EXPECT_EQ(rolled_back.logits, expected.logits);
      EXPECT_EQ(rolled_back.mtp_logits, expected.mtp_logits);
    }
  }
}

TEST_P(Snapshots, PiecesHoldTheSameBytes) {
  const kvcache::Layout& layout = model().cache_layout();
  kvcache::Sequence sequence = *kvcache::Sequence::Create(layout, 270);
  Begin(sequence, 131);
  const std::uint64_t bytes = kvcache::SavedBytes(layout, 131), piece_bytes = 1000;
  std::vector<std::byte> whole(bytes), scattered((bytes + piece_bytes - 1) / piece_bytes * piece_bytes);
  std::vector<std::byte*> pieces;
  for (std::uint64_t at = 0; at < scattered.size(); at += piece_bytes) pieces.push_back(scattered.data() + at);
  kvcache::Save(sequence, 131, whole);
  kvcache::Save(sequence, 131, kvcache::PieceList{pieces, piece_bytes});
  EXPECT_TRUE(std::equal(whole.begin(), whole.end(), scattered.begin()));
}

/// Everything through the cache: in memory, and on disk by another process's cache.
TEST_P(Snapshots, CachedGoesOnAsIfItHadNeverStopped) {
  const kvcache::Layout& layout = model().cache_layout();
  const auto folder = std::filesystem::temp_directory_path() / ("baleen-cached-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  kvcache::Sequence alone = *kvcache::Sequence::Create(layout, 270);
  const Outcome whole = Continue(model(), alone, tokens_);
  const kvcache::PrefixCacheOptions options{.directory = folder, .fingerprint = {7, 7}};
  const auto expect_continued = [&](kvcache::PrefixCache& cache, kvcache::Pool& pool, std::int64_t most, std::int64_t length) {
    kvcache::Lease lease = cache.Find("tenant", tokens_, most);
    while (lease && cache.Fetch(lease) == kvcache::PrefixCache::Progress::kReading) {}
    ASSERT_EQ(lease.length(), length);
    kvcache::Sequence restored = *kvcache::Sequence::Create(pool, 270);
    ASSERT_TRUE(restored.Reserve(270));  // its blocks to come hold garbage then
    Poison(pool, restored, 1, 0);
    restored.Reset();
    ASSERT_TRUE(cache.Restore(lease, restored));
    const Outcome continued = Continue(model(), restored, From(length)), expected = RowsFrom(whole, length);
    EXPECT_EQ(continued.logits, expected.logits) << length;
    EXPECT_EQ(continued.mtp_logits, expected.mtp_logits) << length;
  };
  {
    const auto pool = *kvcache::Pool::Create(layout, 400 + 2 * layout.Blocks(270), 2);
    const auto cache = *kvcache::PrefixCache::Create(*pool, options);
    kvcache::Sequence first = *kvcache::Sequence::Create(*pool, 270);
    kvcache::Lease parent;
    for (const std::int64_t length : {66, 128, 259}) {
      Continue(model(), first, std::span(tokens_).subspan(static_cast<std::size_t>(first.length()), static_cast<std::size_t>(length - first.length())));
      if (model().drafter() == checkpoint::DrafterKind::kMtp) model().DraftLogits({&tokens_[static_cast<std::size_t>(length)], 1});
      parent = cache->Insert(parent, "tenant", tokens_, first, length);
      ASSERT_TRUE(parent);
    }
    for (const auto& [most, length] : {std::pair{127, 66}, {258, 128}, {269, 259}}) expect_continued(*cache, *pool, most, length);
    cache->Flush();
  }
  {
    const auto pool = *kvcache::Pool::Create(layout, 400 + 2 * layout.Blocks(270), 2);
    const auto cache = *kvcache::PrefixCache::Create(*pool, options);
    const kvcache::Sequence zero = *kvcache::Sequence::Create(*pool, 270);
    for (const auto& [most, length] : {std::pair{269, 259}, {127, 66}, {258, 128}}) expect_continued(*cache, *pool, most, length);
  }
  std::filesystem::remove_all(folder);
}

std::string CaseName(const testing::TestParamInfo<Case>& of) {
  std::string name = of.param.name + (of.param.arithmetic == Arithmetic::kExact ? "_exact" : "_official");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const char* name : {"flash", "pro", "odd", "positions", "short", "dspark", "official-csa", "plankton"}) {
    for (const Arithmetic arithmetic : {Arithmetic::kExact, Arithmetic::kOfficial}) cases.push_back({name, arithmetic});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, Snapshots, testing::ValuesIn(AllCases()), CaseName);

}  // namespace
}  // namespace baleen::golden

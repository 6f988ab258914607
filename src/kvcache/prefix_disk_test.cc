#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <unistd.h>

#include <fstream>

#include "kvcache/prefix_cache.h"
#include "kvcache/prefix_record.h"
#include "kvcache/prefix_testing.h"

namespace baleen::kvcache {
namespace {

namespace fs = std::filesystem;

class PrefixDisk : public testing::Test {
 protected:
  PrefixDisk() : folder_(fs::temp_directory_path() / ("baleen-prefix-" + std::to_string(getpid()))) { fs::remove_all(folder_); }
  ~PrefixDisk() override { fs::remove_all(folder_); }

  PrefixCacheOptions Options() const { return {.directory = folder_, .fingerprint = {1, 2}}; }

  /// Snapshots of a conversation at these lengths, each the parent of the next, in a cache of their own.
  void WriteChain(std::initializer_list<std::int64_t> lengths, const std::vector<std::int32_t>& tokens) {
    PrefixWorld world(200);
    const auto cache = world.Cache(Options());
    Lease parent;
    for (const std::int64_t length : lengths) {
      const auto prefix = std::span(tokens).first(static_cast<std::size_t>(length));
      parent = cache->Insert(parent, "a", tokens, world.Filled(prefix), length);
      ASSERT_TRUE(parent);
    }
    cache->Flush();
  }

  std::vector<fs::path> Records() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().extension() == ".rec") files.push_back(entry.path());
    }
    return files;
  }

  fs::path folder_;
};

TEST_F(PrefixDisk, ANewCacheReadsOneRecordACall) {
  const auto tokens = Tokens(700);
  WriteChain({100, 300, 512, 700}, tokens);
  PrefixWorld world(200);
  const auto cache = world.Cache(Options());
  {
    Lease lease = cache->Find("a", tokens, 699);
    EXPECT_EQ(lease.length(), 512);
    EXPECT_FALSE(lease.ready());
    EXPECT_EQ(FetchAll(*cache, lease), 4);  // its own, the two before it, and putting it in place
    ASSERT_TRUE(lease.ready());
    EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, lease)), PrefixWorld::Contents(world.Filled(std::span(tokens).first(512))));
    EXPECT_EQ(cache->snapshots(), 1);  // of those before it only the blocks were put in place

    Lease deeper = cache->Find("a", tokens, 700);
    EXPECT_EQ(FetchAll(*cache, deeper), 1);  // what it needs is there
    EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, deeper)), PrefixWorld::Contents(world.Filled(tokens)));
    Lease inner = cache->Find("a", tokens, 400);
    EXPECT_EQ(inner.length(), 300);
    EXPECT_EQ(FetchAll(*cache, inner), 1);
    EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, inner)), PrefixWorld::Contents(world.Filled(std::span(tokens).first(300))));
    EXPECT_TRUE(cache->Find("a", tokens, 512).ready());
  }
  EXPECT_FALSE(cache->Find("b", tokens, 700));
  auto other = tokens;
  ++other[5];
  EXPECT_FALSE(cache->Find("a", other, 700));
  cache->Clear();
  EXPECT_EQ(world.pool().used_blocks(), 0);
}

TEST_F(PrefixDisk, GoesOnFromWhatWasRead) {
  const auto tokens = Tokens(900);
  WriteChain({300, 512}, tokens);
  {
    PrefixWorld world(200);
    const auto cache = world.Cache(Options());
    Lease parent = cache->Find("a", tokens, 600);
    FetchAll(*cache, parent);
    ASSERT_TRUE(cache->Insert(parent, "a", tokens, world.Filled(std::span(tokens).first(900)), 900));
    cache->Flush();
    EXPECT_EQ(Records().size(), 3u);
  }
  PrefixWorld world(200);
  const auto cache = world.Cache(Options());
  Lease lease = cache->Find("a", tokens, 900);
  EXPECT_EQ(FetchAll(*cache, lease), 4);
  ASSERT_TRUE(lease.ready());
  EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, lease)), PrefixWorld::Contents(world.Filled(tokens)));
}

TEST_F(PrefixDisk, AnotherModelIsAMiss) {
  const auto tokens = Tokens(300);
  WriteChain({300}, tokens);
  PrefixWorld world(50);
  auto options = Options();
  options.fingerprint = {1, 3};
  EXPECT_FALSE(world.Cache(options)->Find("a", tokens, 300));
  EXPECT_TRUE(world.Cache(Options())->Find("a", tokens, 300));
}

TEST_F(PrefixDisk, AMissingRecordLosesWhatNeedsItAndFindGoesOn) {
  const auto tokens = Tokens(700);
  WriteChain({300, 512, 700}, tokens);
  for (std::size_t gone = 0; gone < 3; ++gone) {
    PrefixWorld world(200);
    auto records = Records();
    if (gone == 1) {  // damage instead
      std::fstream(records[0], std::ios::in | std::ios::out | std::ios::binary).seekp(200).put('x').put('y').put('z');
    } else {
      fs::remove(records[0]);
    }
    const auto cache = world.Cache(Options());
    std::int64_t tries = 0;
    for (std::int64_t most = 700;; ++tries) {
      ASSERT_LT(tries, 10);
      Lease lease = cache->Find("a", tokens, most);
      if (!lease) break;
      FetchAll(*cache, lease);
      if (!lease) continue;  // lost: found no more
      const auto expected = std::span(tokens).first(static_cast<std::size_t>(lease.length()));
      EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, lease)), PrefixWorld::Contents(world.Filled(expected)));
      break;
    }
    if (Records().empty()) break;
  }
}

TEST_F(PrefixDisk, LostWithoutRoomAndReadableLater) {
  const auto tokens = Tokens(700);
  WriteChain({300, 700}, tokens);
  PrefixWorld world(15);
  const auto cache = world.Cache(Options());
  {
    const Sequence others = world.Filled(Tokens(1620, 9));
    Lease lease = cache->Find("a", tokens, 700);
    FetchAll(*cache, lease);
    EXPECT_FALSE(lease);
    cache->Clear();
    EXPECT_EQ(world.pool().used_blocks(), static_cast<std::int64_t>(others.blocks().size()));
  }
  Lease lease = cache->Find("a", tokens, 700);
  FetchAll(*cache, lease);
  EXPECT_TRUE(lease.ready());
}

TEST_F(PrefixDisk, ForeignContentUnderOurKeyIsAMiss) {
  const auto tokens = Tokens(300);
  WriteChain({200, 300}, tokens);
  const auto store = [&] {  // the cache's own store, its fingerprint taken from the folder
    const auto record = Records().front();
    return *Store::Open(folder_, *Hash128::FromHex(record.parent_path().parent_path().filename().string()), 1 << 30);
  }();
  std::vector<std::pair<Hash128, std::vector<std::byte>>> contents;
  for (const auto& file : Records()) {
    const Hash128 key = *Hash128::FromHex(file.stem().string());
    contents.emplace_back(key, *store->Read(key));
  }
  ASSERT_EQ(contents.size(), 2u);
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    for (std::size_t i = 0; i < 2; ++i) {  // whole records with a sound checksum, but of another prefix, cut, longer, or with other numbers
      auto bytes = contents[round % 3 == 0 ? 1 - i : i].second;
      if (round % 3 == 1) bytes.resize(random() % bytes.size());
      if (round % 3 == 2) bytes[random() % 48] ^= static_cast<std::byte>(1 + random() % 255);
      if (round == 5) bytes.push_back(std::byte{0});
      store->Write(contents[i].first, bytes);
    }
    store->Flush();
    PrefixWorld world(50);
    const auto cache = world.Cache(Options());
    for (std::int64_t most = 300, tries = 0; tries < 3; ++tries) {
      Lease lease = cache->Find("a", tokens, most);
      if (!lease) break;
      FetchAll(*cache, lease);
      if (!lease) continue;
      const auto expected = std::span(tokens).first(static_cast<std::size_t>(lease.length()));
      EXPECT_EQ(PrefixWorld::Contents(world.Restored(*cache, lease)), PrefixWorld::Contents(world.Filled(expected)));
    }
    cache->Clear();
    EXPECT_EQ(world.pool().used_blocks(), 0);
  }
}

TEST(PrefixRecord, IsReadBackAndCutsAreRefused) {
  const PrefixRecord record{.length = 9, .tenant = "somebody", .ancestors = {3, 7}, .tokens = {70, 80}};
  auto content = WriteRecordHead(record, 3);
  content.resize(content.size() + 3, std::byte{5});
  const auto read = ReadRecord(content);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->length, 9);
  EXPECT_EQ(read->tenant, "somebody");
  EXPECT_EQ(read->ancestors, record.ancestors);
  EXPECT_EQ(read->tokens, record.tokens);
  EXPECT_EQ(read->payload.size(), 3u);
  for (std::size_t size = 0; size + 3 < content.size(); ++size) EXPECT_FALSE(ReadRecord(std::span(content).first(size))) << size;
  for (const auto& ancestors : {std::vector<std::int64_t>{7, 3}, {0}, {-1}, {9}, {3, 3}}) {
    EXPECT_FALSE(ReadRecord(WriteRecordHead({.length = 9, .ancestors = ancestors, .tokens = std::vector<std::int32_t>(20)}, 0)));
  }
}

RC_GTEST_PROP(PrefixRecord, AnyBytesAreReadOrRefused, (const std::vector<std::uint8_t>& noise)) {
  auto content = WriteRecordHead({.length = 5, .tenant = "t", .ancestors = {2}, .tokens = {1, 2, 3}}, 0);
  for (std::size_t i = 0; i < std::min(noise.size(), content.size()); ++i) content[i] ^= static_cast<std::byte>(noise[i]);
  const auto record = ReadRecord(content);
  if (!record) return;  // RC_ASSERT would evaluate both sides of ||
  RC_ASSERT(static_cast<std::int64_t>(record->tokens.size()) == record->length - record->parent_length());
}

}  // namespace
}  // namespace baleen::kvcache

#include "kvcache/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <thread>

#include "kvcache/store_testing.h"

namespace baleen::kvcache {
namespace {

StoreOptions WithoutRing() {
  StoreOptions options;
  options.calls.ring = false;
  return options;
}

TEST_F(StoreTest, GivesBackWhatWasWrittenAlsoAfterARestart) {
  for (const bool ring : {true, false}) {
    const std::vector<std::size_t> sizes = {0, 1, 4095, 70'000, 5'000'000};
    const std::uint64_t first = ring ? 0 : 100;
    {
      const auto store = Opened(ring ? StoreOptions() : WithoutRing());
      for (std::size_t i = 0; i < sizes.size(); ++i) store->Write(Key(first + i), Content(i, sizes[i]));
      for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(store->Read(Key(first + i)), Content(i, sizes[i]));  // queued or written
    }
    const auto store = Opened();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_TRUE(store->Contains(Key(first + i)));
      EXPECT_EQ(store->Read(Key(first + i)), Content(i, sizes[i]));
    }
    EXPECT_FALSE(store->Contains(Key(99)));
    EXPECT_EQ(store->Read(Key(99)), std::nullopt);
    EXPECT_TRUE(store->enabled());
  }
}

TEST_F(StoreTest, ALaterRecordOfTheSameKeyTakesThePlace) {
  const auto store = Opened();
  store->Write(Key(1), Content(1, 100));
  store->Flush();
  store->Write(Key(1), Content(2, 200));
  EXPECT_EQ(store->Read(Key(1)), Content(2, 200));
  store->Flush();
  EXPECT_EQ(store->Read(Key(1)), Content(2, 200));
  EXPECT_EQ(store->counts().records, 1u);
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(StoreTest, FlushLeavesTheRecordsUnderTheirNamesForTheUserAlone) {
  const auto store = Opened();
  store->Write(Key(1), Content(1, 100));
  store->Flush();
  EXPECT_EQ(Files(), std::vector{File(Key(1))});
  EXPECT_EQ(Bytes(File(Key(1))).size(), 164u);
  EXPECT_EQ(store->counts().written, 1u);
  EXPECT_EQ(store->counts().queued_bytes, 0u);
  struct stat info {};
  ASSERT_EQ(stat(File(Key(1)).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  ASSERT_EQ(stat(File(Key(1)).parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
}

TEST_F(StoreTest, EveryPrefixAndEveryExtensionIsAMissAndIsRemoved) {
  Opened()->Write(Key(1), Content(1, 300));
  const std::string whole = Bytes(File(Key(1)));
  ASSERT_EQ(whole.size(), 364u);
  const auto store = Opened();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Put(File(Key(1)), whole.substr(0, size));
    ASSERT_EQ(store->Read(Key(1)), std::nullopt) << size;
    ASSERT_FALSE(std::filesystem::exists(File(Key(1)))) << size;
    ASSERT_FALSE(store->Contains(Key(1)));
  }
  Put(File(Key(1)), whole + '\0');
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  Put(File(Key(1)), whole);
  EXPECT_EQ(store->Read(Key(1)), Content(1, 300));
  EXPECT_TRUE(store->enabled());
}

TEST_F(StoreTest, EveryFlippedBitIsAMiss) {
  Opened()->Write(Key(1), Content(1, 100));
  const std::string whole = Bytes(File(Key(1)));
  const auto store = Opened();
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    Put(File(Key(1)), flipped);
    ASSERT_EQ(store->Read(Key(1)), std::nullopt) << bit;
  }
}

TEST_F(StoreTest, ARecordOfAnotherModelOrKeyIsNeverRead) {
  Opened()->Write(Key(1), Content(1, 100));
  const Hash128 other = {7, 8};
  const auto store = Opened({}, kBudget, other);
  EXPECT_FALSE(store->Contains(Key(1)));
  EXPECT_EQ(store->counts().records, 1u);
  std::filesystem::create_directories(File(Key(1), other).parent_path());
  std::filesystem::copy_file(File(Key(1)), File(Key(1), other));
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  std::filesystem::create_directories(File(Key(2)).parent_path());
  std::filesystem::copy_file(File(Key(1)), File(Key(2)));
  const auto own = Opened();
  EXPECT_EQ(own->Read(Key(2)), std::nullopt);
  EXPECT_EQ(own->Read(Key(1)), Content(1, 100));
}

TEST_F(StoreTest, NoLinkIsFollowedAndNoPipeIsWaitedFor) {
  Opened()->Write(Key(1), Content(1, 100));
  const std::filesystem::path outside = folder_ / "outside";
  std::filesystem::rename(File(Key(1)), outside);
  std::filesystem::create_symlink(outside, File(Key(1)));
  const auto store = Opened();
  EXPECT_EQ(store->counts().records, 0u);
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  ASSERT_EQ(mkfifo(File(Key(1)).c_str(), 0600), 0);
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  const std::filesystem::path elsewhere = folder_ / "elsewhere";
  std::filesystem::create_directory(elsewhere);
  std::filesystem::rename(outside, elsewhere / File(Key(1)).filename());
  std::filesystem::remove(File(Key(1)).parent_path());
  std::filesystem::create_symlink(elsewhere, File(Key(1)).parent_path());
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  EXPECT_TRUE(std::filesystem::exists(elsewhere / File(Key(1)).filename()));
  EXPECT_TRUE(store->enabled());
}

TEST_F(StoreTest, TheRecordUsedLongestAgoMakesRoomAlsoAfterARestart) {
  constexpr std::uint64_t kRoomForFour = 4 * 8192;
  {
    const auto store = Opened({}, kRoomForFour);
    for (std::uint64_t i = 0; i < 4; ++i) {
      store->Write(Key(i), Content(i, 5000));
      store->Flush();
    }
    store->Touch(Key(0));
    EXPECT_TRUE(store->Read(Key(1)).has_value());  // counts as used
  }
  const auto store = Opened({}, kRoomForFour);
  EXPECT_EQ(store->counts().disk_bytes, kRoomForFour);
  store->Write(Key(4), Content(4, 5000));
  store->Flush();
  EXPECT_FALSE(store->Contains(Key(2)));
  store->Write(Key(5), Content(5, 5000));
  store->Flush();
  EXPECT_FALSE(store->Contains(Key(3)));
  for (const std::uint64_t kept : {0, 1, 4, 5}) EXPECT_EQ(store->Read(Key(kept)), Content(kept, 5000));
  EXPECT_EQ(store->counts().evicted, 2u);
  EXPECT_EQ(Files().size(), 4u);
}

TEST_F(StoreTest, RecordsOfOtherModelsCountAndGoFirstWhenOldest) {
  constexpr std::uint64_t kRoomForThree = 3 * 8192;
  const Hash128 other = {7, 8};
  for (const std::uint64_t i : {0, 1}) {
    Opened({}, kRoomForThree)->Write(Key(i), Content(i, 5000));
  }
  const auto store = Opened({}, kRoomForThree, other);
  for (const std::uint64_t i : {10, 11}) {
    store->Write(Key(i), Content(i, 5000));
    store->Flush();
  }
  EXPECT_FALSE(std::filesystem::exists(File(Key(0))));
  EXPECT_TRUE(std::filesystem::exists(File(Key(1))));
  EXPECT_EQ(store->counts().disk_bytes, kRoomForThree);
}

TEST_F(StoreTest, ATimeInTheFutureKeepsTheOrderOfUse) {
  constexpr std::uint64_t kRoomForTwo = 2 * 8192;
  Opened()->Write(Key(0), Content(0, 5000));
  std::filesystem::last_write_time(File(Key(0)), std::filesystem::file_time_type::clock::now() + std::chrono::hours(24 * 365));
  { Opened({}, kRoomForTwo)->Write(Key(1), Content(1, 5000)); }
  Opened({}, kRoomForTwo)->Write(Key(2), Content(2, 5000));
  EXPECT_FALSE(std::filesystem::exists(File(Key(0))));
  EXPECT_TRUE(std::filesystem::exists(File(Key(1))));
}

TEST_F(StoreTest, ARecordLargerThanTheBudgetIsDropped) {
  for (const std::uint64_t budget : {std::uint64_t{0}, std::uint64_t{8191}}) {
    const auto store = Opened({}, budget);
    store->Write(Key(1), Content(1, 5000));
    store->Flush();
    EXPECT_EQ(store->counts().dropped, 1u);
    EXPECT_TRUE(Files().empty());
    EXPECT_TRUE(store->enabled());
  }
}

TEST_F(StoreTest, ManyRecordsAtOnceStayWithinTheBudget) {
  const auto store = Opened({}, 100'000);
  for (std::uint64_t i = 0; i < 40; ++i) store->Write(Key(i), Content(i, 20'000));
  store->Flush();
  EXPECT_EQ(store->counts().written, 40u);
  EXPECT_EQ(Files().size(), 4u);
  for (std::uint64_t i = 36; i < 40; ++i) EXPECT_TRUE(store->Contains(Key(i)));
}

TEST_F(StoreTest, AFullQueueDropsTheNewestRecord) {
  std::mutex gate;
  StoreOptions options = WithoutRing();
  options.queue_bytes = 3000;
  options.calls.sync = [&, sync = options.calls.sync](int file) {
    const std::lock_guard pass(gate);
    return sync(file);
  };
  std::unique_lock closed(gate, std::defer_lock);
  const auto store = Opened(std::move(options));
  closed.lock();
  for (std::uint64_t i = 0; i < 5; ++i) store->Write(Key(i), Content(i, 1000));
  EXPECT_EQ(store->counts().dropped, 2u);
  EXPECT_EQ(store->counts().queued_bytes, 3000u);
  closed.unlock();
  store->Flush();
  EXPECT_EQ(store->counts().written, 3u);
  EXPECT_TRUE(store->Contains(Key(2)));
  EXPECT_FALSE(store->Contains(Key(3)));
  store->Write(Key(6), Content(6, 10'000));  // larger than the queue, alone in it
  store->Flush();
  EXPECT_TRUE(store->Contains(Key(6)));
}

TEST_F(StoreTest, FindsWhatAnotherStoreWroteAndMissesWhatItRemoved) {
  const auto a = Opened(), b = Opened();
  EXPECT_FALSE(b->Contains(Key(1)));
  a->Write(Key(1), Content(1, 1000));
  a->Flush();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_TRUE(b->Contains(Key(1)));
  EXPECT_EQ(b->Read(Key(1)), Content(1, 1000));
  std::filesystem::remove(File(Key(1)));
  EXPECT_EQ(a->Read(Key(1)), std::nullopt);
  EXPECT_FALSE(a->Contains(Key(1)));
  b->Touch(Key(1));
  b->Flush();
  EXPECT_TRUE(b->enabled());
}

TEST_F(StoreTest, RemovesPartialFilesOfTheDeadAndNothingElse) {
  Opened()->Write(Key(1), Content(1, 100));
  const std::filesystem::path bucket = File(Key(1)).parent_path();
  const std::filesystem::path dead = bucket / (Key(1).Hex() + ".999999-1.partial"), alive = bucket / (Key(1).Hex() + ".999999-2.partial");
  for (const auto& path : {dead, alive, bucket / "notes.txt", folder_ / "notes.txt"}) Put(path, "something");
  const Descriptor held(open(alive.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(held.number(), LOCK_EX), 0);
  const auto store = Opened();
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(alive));
  EXPECT_TRUE(std::filesystem::exists(bucket / "notes.txt"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "notes.txt"));
  EXPECT_EQ(store->counts().records, 1u);
}

TEST_F(StoreTest, MakesTheFolderAndRefusesWhatIsNone) {
  EXPECT_TRUE(Store::Open(folder_ / "a" / "b", kModel, kBudget).has_value());
  EXPECT_TRUE(Store::Open(folder_ / "c" / "", kModel, kBudget).has_value());
  Put(folder_ / "file", "x");
  for (const auto& path : {folder_ / "file", folder_ / "file" / "under", std::filesystem::path(), std::filesystem::path("/proc/none/cache")}) {
    const auto store = Store::Open(path, kModel, kBudget);
    ASSERT_FALSE(store.has_value()) << path;
    EXPECT_FALSE(store.error().message.empty());
  }
}

TEST_F(StoreTest, ManyThreadsAndTwoStoresShareAFolder) {
  StoreOptions options;
  options.queue_bytes = 1 << 20;
  const std::unique_ptr<Store> stores[2] = {Opened(options, 300'000), Opened(WithoutRing(), 300'000)};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Store& store = *stores[t % 2];
      for (std::uint64_t i = 0; i < 200; ++i) {
        const std::uint64_t number = (i * 7 + static_cast<std::uint64_t>(t)) % 60;
        store.Write(Key(number), Content(number, 3000 + number));
        store.Touch(Key(number / 2));
        const std::uint64_t other = (number * 13 + i) % 60;
        const auto found = store.Read(Key(other));
        EXPECT_TRUE(!found || *found == Content(other, 3000 + other));
        store.Contains(Key(i));
        if (i % 50 == 0) store.Flush();
        store.counts();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& store : stores) {
    store->Flush();
    EXPECT_TRUE(store->enabled());
    EXPECT_GT(store->counts().written, 0u);
  }
}

}  // namespace
}  // namespace baleen::kvcache

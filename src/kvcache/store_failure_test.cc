// What a store does when calls of the system fail, and when its process is killed.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <random>
#include <thread>

#include "kvcache/store.h"
#include "kvcache/store_testing.h"

namespace baleen::kvcache {
namespace {

/// Counts the calls that change the disk and lets those from the n-th on fail: a disk that is full stays full.
struct Faults {
  int fails_from = 1 << 30;
  int code = 0;
  std::atomic<int> calls = 0;

  bool Fails() { return ++calls >= fails_from; }

  DiskCalls Wrapped(bool ring) {
    DiskCalls all = DiskCalls::Real();
    all.ring = ring;
    all.write = [this, real = all.write](int file, std::span<const std::byte> bytes, std::uint64_t offset) {
      if (!Fails()) return real(file, bytes.first((bytes.size() + 1) / 2), offset);                // always short
      if (bytes.size() > 1) static_cast<void>(real(file, bytes.first(bytes.size() / 2), offset));  // torn
      return static_cast<ssize_t>(-code);
    };
    all.sync = [this, real = all.sync](int file) { return Fails() ? -code : real(file); };
    all.make_folder = [this, real = all.make_folder](int folder, const char* name) { return Fails() ? -code : real(folder, name); };
    all.rename = [this, real = all.rename](int folder, const char* from, const char* to) { return Fails() ? -code : real(folder, from, to); };
    all.remove = [this, real = all.remove](int folder, const char* name) { return Fails() ? -code : real(folder, name); };
    all.set_time = [this, real = all.set_time](int folder, const char* name, std::int64_t time) { return Fails() ? -code : real(folder, name, time); };
    all.open = [this, real = all.open](int folder, const char* name, int flags) {
      return (flags & O_CREAT) != 0 && Fails() ? -code : real(folder, name, flags);
    };
    all.ring_result = [this](int result) { return Fails() ? -code : result > 1 ? result / 2 : result; };
    return all;
  }
};

class StoreFailureTest : public StoreTest {
 protected:
  /// An old record, a new one in its place, one of a new key, room made for them, a touch. Returns the calls that were made.
  int TryWith(int fails_from, int code, bool ring) {
    std::filesystem::remove_all(folder_);
    {
      StoreOptions unsynced;
      unsynced.calls.ring = false;
      unsynced.calls.sync = [](int) { return 0; };
      const auto before = Opened(std::move(unsynced), 3 * 8192);
      for (const std::uint64_t i : {1, 2, 3}) {
        before->Write(Key(i), Content(i, 5000));
        before->Flush();
      }
    }
    Faults faults;
    faults.code = code;
    StoreOptions options;
    options.calls = faults.Wrapped(ring);
    auto store = Opened(std::move(options), 3 * 8192);
    EXPECT_NE(store, nullptr);
    if (store == nullptr) return 0;
    if (ring != store->has_ring()) return 0;
    const int opened = faults.calls;
    faults.fails_from = fails_from + opened;
    store->Touch(Key(3));
    store->Write(Key(3), Content(30, 6000));
    store->Write(Key(4), Content(4, 5000));
    store->Flush();
    const bool failed = faults.calls >= faults.fails_from;
    EXPECT_EQ(store->enabled(), !failed);
    if (failed) {
      EXPECT_EQ(store->Read(Key(3)), std::nullopt);
      EXPECT_FALSE(store->Contains(Key(3)));
      store->Write(Key(5), Content(5, 10));
      store->Flush();
    }
    const int calls = faults.calls - opened;
    store.reset();
    CheckRecords(failed);
    return calls;
  }

  /// Each record is the old one, the new one or none.
  void CheckRecords(bool failed) {
    const auto after = Opened({}, 3 * 8192);
    const auto third = after->Read(Key(3));
    if (failed) {
      EXPECT_TRUE(!third || *third == Content(3, 5000) || *third == Content(30, 6000));
    } else {
      EXPECT_EQ(third, Content(30, 6000));
      EXPECT_EQ(after->Read(Key(4)), Content(4, 5000));
    }
    for (const std::uint64_t i : {1, 2, 4}) {
      const auto record = after->Read(Key(i));
      EXPECT_TRUE(!record || *record == Content(i, 5000));
    }
    EXPECT_FALSE(after->Contains(Key(5)));
    for (const auto& path : Files()) EXPECT_EQ(path.extension(), ".rec") << path;
  }
};

TEST_F(StoreFailureTest, WhicheverCallFailsOldOrNewOrNothingIsThereAndTheStoreIsOff) {
  constexpr int kCodes[] = {ENOSPC, EIO, EROFS, EDQUOT};
  for (const bool ring : {false, true}) {
    const int calls = TryWith(1 << 20, EIO, ring);
    if (calls == 0) continue;  // no ring on this machine
    ASSERT_GT(calls, 10);
    for (int n = 1; n <= calls; ++n) {
      SCOPED_TRACE(testing::Message() << "call " << n << " of " << calls << (ring ? ", ring" : ""));
      TryWith(n, kCodes[n % 4], ring);
      if (HasFailure()) return;
    }
  }
}

TEST_F(StoreFailureTest, AWriteThatLiesIsFoundByTheChecksum) {
  StoreOptions options;
  options.calls.ring = false;
  options.calls.write = [real = options.calls.write](int file, std::span<const std::byte> bytes, std::uint64_t offset) {
    return offset == 0 ? real(file, bytes, offset) : real(file, bytes.first(bytes.size() - 1), offset) + 1;
  };
  Opened(std::move(options))->Write(Key(1), Content(1, 1000));
  const auto store = Opened();
  EXPECT_TRUE(store->Contains(Key(1)));
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  EXPECT_TRUE(store->enabled());
}

TEST_F(StoreFailureTest, AReadThatFailsTurnsTheStoreOffAndRemovesNothing) {
  Opened()->Write(Key(1), Content(1, 1000));
  for (const int code : {EIO, EMFILE}) {
    StoreOptions options;
    options.calls.read = [code](int, std::span<std::byte>, std::uint64_t) -> ssize_t { return -code; };
    const auto store = Opened(std::move(options));
    EXPECT_EQ(store->Read(Key(1)), std::nullopt);
    EXPECT_EQ(store->enabled(), code == EMFILE);  // what the process lacks for a while is no fault of the disk
    EXPECT_TRUE(std::filesystem::exists(File(Key(1))));
  }
}

TEST_F(StoreFailureTest, AFolderThatIsRemovedTurnsTheStoreOff) {
  const auto store = Opened();
  store->Write(Key(1), Content(1, 1000));
  store->Flush();
  std::filesystem::remove_all(folder_);
  EXPECT_EQ(store->Read(Key(1)), std::nullopt);
  store->Write(Key(2), Content(2, 1000));
  store->Flush();
  EXPECT_FALSE(store->enabled());
}

TEST_F(StoreFailureTest, AKilledWriterLeavesWholeRecords) {
  std::mt19937 random(1);
  std::size_t found = 0;
  for (int round = 0; round < 30; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto store = Store::Open(folder_, kModel, 2'000'000, {});
      for (std::uint64_t i = 0; store; ++i) {
        (*store)->Write(Key(i % 50), Content(i, 20'000 + i % 50 * 3000));
        if (i % 64 == 0) (*store)->Flush();
      }
      _exit(1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(1'000, 60'000)(random)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    auto store = Opened({}, 2'000'000);
    // The kernel ends the writes of the dead process in its own time and holds their locks until then.
    const auto partial = [](const std::filesystem::path& path) { return path.extension() != ".rec"; };
    for (int tries = 0; tries < 500 && std::ranges::any_of(Files(), partial); ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      store = Opened({}, 2'000'000);
    }
    ASSERT_TRUE(std::ranges::none_of(Files(), partial));
    ASSERT_LE(store->counts().disk_bytes, 2'000'000u);
    for (std::uint64_t i = 0; i < 50; ++i) {
      const bool there = std::filesystem::exists(File(Key(i)));
      const auto record = store->Read(Key(i));
      ASSERT_EQ(record.has_value(), there) << "a record that is not whole";
      if (there) ++found;
    }
  }
  EXPECT_GT(found, 0u);
}

}  // namespace
}  // namespace baleen::kvcache

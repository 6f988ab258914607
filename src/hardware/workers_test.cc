#include "hardware/workers.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <vector>

namespace baleen::hardware {
namespace {

TEST(Workers, RunsEveryPartOnceOnEveryTeamSize) {
  for (const int threads : {1, 2, 3, 5}) {
    Workers workers(threads);
    for (const std::int64_t parts : {0, 1, 2, 7, 1000}) {
      std::vector<int> runs(static_cast<std::size_t>(parts), 0);
      workers.Run(parts, [&](std::int64_t part, int thread) noexcept {
        EXPECT_LT(thread, threads);
        ++runs[static_cast<std::size_t>(part)];
      });
      for (const int count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST(Workers, AJobInsideAPartRunsOnThatPartsThread) {
  for (const int threads : {1, 3}) {
    Workers workers(threads);
    std::vector<int> sums(50, 0);
    for (int job = 0; job < 200; ++job) {
      workers.Run(50, [&](std::int64_t part, int thread) noexcept {
        workers.Run(4, [&](std::int64_t inner, int inner_thread) noexcept {
          EXPECT_EQ(inner_thread, thread);
          sums[static_cast<std::size_t>(part)] += static_cast<int>(inner);
        });
      });
    }
    for (const int sum : sums) EXPECT_EQ(sum, 200 * 6);
  }
}

TEST(Workers, ManyShortJobsLoseNone) {
  Workers workers(3);
  std::atomic<std::int64_t> sum{0};
  for (int job = 0; job < 20000; ++job) workers.Run(4, [&](std::int64_t part, int) noexcept { sum.fetch_add(part, std::memory_order_relaxed); });
  EXPECT_EQ(sum.load(), 20000 * 6);
}

/// The processors that the calling thread may run on.
std::vector<int> MyProcessors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &mask)) processors.push_back(i);
  }
  return processors;
}

/// What each thread of the team found when it ran a part: parts are as many as threads and wait for each other, so that every thread runs one.
std::vector<std::vector<int>> ProcessorsOfThreads(Workers& workers) {
  std::vector<std::vector<int>> found(static_cast<std::size_t>(workers.threads()));
  std::atomic<int> there{0};
  workers.Run(workers.threads(), [&](std::int64_t, int thread) noexcept {
    found[static_cast<std::size_t>(thread)] = MyProcessors();
    ++there;
    while (there < workers.threads()) std::this_thread::yield();
  });
  return found;
}

TEST(Workers, PinsItsThreadsAndTheCallerOnlyWhenAsked) {
  std::thread([] {
    const std::vector<int> before = MyProcessors();
    const int last = before.back();
    Workers workers(3, {{.node = 0, .processors = {before.front()}}, {.node = 0, .processors = {last}}, {.node = 1, .processors = {}}});
    const auto found = ProcessorsOfThreads(workers);
    EXPECT_EQ(found[0], before);
    EXPECT_EQ(found[1], std::vector<int>{last});
    EXPECT_EQ(found[2], before);
    workers.PinCallers();
    EXPECT_EQ(MyProcessors(), before);
    EXPECT_EQ(ProcessorsOfThreads(workers)[0], std::vector<int>{before.front()});
    EXPECT_EQ(MyProcessors(), std::vector<int>{before.front()});
  }).join();
}

TEST(Workers, WithoutPlacementsNobodyIsPinned) {
  std::thread([] {
    const std::vector<int> before = MyProcessors();
    Workers workers(2);
    workers.PinCallers();
    for (const auto& processors : ProcessorsOfThreads(workers)) EXPECT_EQ(processors, before);
  }).join();
}

TEST(Workers, ProcessorsThatAreNotThereAreWarnedOfOnceAndChangeNothing) {
  std::thread([] {
    const std::vector<int> before = MyProcessors();
    ::testing::internal::CaptureStderr();
    for (int team = 0; team < 2; ++team) {
      Workers workers(3, {{.node = 0, .processors = {9999}}, {.node = 0, .processors = {9999}}, {.node = 0, .processors = {1 << 30}}});
      workers.PinCallers();
      std::atomic<std::int64_t> sum{0};
      workers.Run(100, [&](std::int64_t part, int) noexcept { sum.fetch_add(part, std::memory_order_relaxed); });
      EXPECT_EQ(sum.load(), 4950);
      for (const auto& processors : ProcessorsOfThreads(workers)) EXPECT_EQ(processors, before);
    }
    const std::string said = ::testing::internal::GetCapturedStderr();
    const std::string warning = "run unpinned";
    ASSERT_NE(said.find(warning), std::string::npos);
    EXPECT_EQ(said.find(warning, said.find(warning) + 1), std::string::npos);
  }).join();
}

// In a copy of this process that may have no memory for the stacks of so many threads.
TEST(Workers, ThoseThatStartDoTheWorkOfAll) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs more address space than this test leaves";
#endif
  const pid_t child = fork();
  if (child == 0) {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t least = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{24} << 20);
    const rlimit limit{least, least};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(1);
    Workers workers(64);
    std::atomic<std::int64_t> sum{0};
    workers.Run(100, [&](std::int64_t part, int) noexcept { sum.fetch_add(part, std::memory_order_relaxed); });
    _exit(workers.threads() >= 64 ? 2 : sum.load() != 4950 ? 3 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace baleen::hardware

#include "hardware/workers.h"

#include <gtest/gtest.h>
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

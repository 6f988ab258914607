// A step takes no memory: everything was planned and taken before the first token.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "golden.h"

namespace {
std::atomic<std::int64_t> allocations{0};
}

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace baleen::golden {
namespace {

using model::Arithmetic;

class Allocation : public testing::TestWithParam<const char*> {};

TEST_P(Allocation, StepsTakeNoMemory) {
  std::vector<std::int32_t> tokens = ReadTokens(CaseFolder(GetParam()) / "tokens.json");
  tokens.resize(49, tokens.front());
  std::array<std::int32_t, 2> drafted;
  for (const hardware::Isa isa : Isas()) {
    for (const Arithmetic arithmetic : {Arithmetic::kExact, Arithmetic::kOfficial, Arithmetic::kFast}) {
      Runner runner(CaseFolder(GetParam()), isa, 2, arithmetic, 64, 16, 2);
      kvcache::Sequence sequence = *kvcache::Sequence::Create(runner.model().cache_layout(), 64);
      const std::int32_t wanted = 0;
      const std::int64_t before = allocations;
      for (std::size_t begin = 0; begin < 48;) {
        const std::size_t rows = begin < 32 ? 16 : 1;
        const model::Segment segment{&sequence, static_cast<std::int64_t>(rows)};
        const model::Step step{{tokens.data() + begin, rows}, {&segment, 1}, {&wanted, 1}, {}};
        runner.model().Forward(step);
        begin += rows;
        model::Proposal proposal{.sequence = &sequence, .next_token = tokens[begin], .wanted = 2, .tokens = drafted};
        runner.model().Propose({&proposal, 1});
        if (runner.model().drafter() == checkpoint::DrafterKind::kMtp) runner.model().DraftLogits({&tokens[begin], 1});
      }
      EXPECT_EQ(allocations - before, 0) << hardware::IsaName(isa);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Drafters, Allocation, testing::Values("flash", "dspark"));

class Plan : public testing::TestWithParam<std::string> {};

TEST_P(Plan, IsWhatIsTaken) {
  Runner runner(std::filesystem::path(BALEEN_SOURCE_DIR) / GetParam(), hardware::BestIsa(), 2, Arithmetic::kOfficial, 4096, 64, 3);
  const model::MemoryPlan& plan = runner.model().memory_plan();
  const auto sequence = kvcache::Sequence::Create(runner.model().cache_layout(), 4096);
  EXPECT_EQ(sequence->bytes(), plan.per_sequence);
  EXPECT_EQ(runner.device().ReservedBytes(), plan.thread_scratch);
  EXPECT_EQ(runner.model().ActivationBytes(), plan.activations);
}

INSTANTIATE_TEST_SUITE_P(Drafters, Plan, testing::Values("models/plankton", "tests/golden/checkpoints/dspark", "tests/golden/checkpoints/odd"));

}  // namespace
}  // namespace baleen::golden

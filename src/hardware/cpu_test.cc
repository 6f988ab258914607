#include "hardware/cpu.h"

#include <gtest/gtest.h>

namespace baleen::hardware {
namespace {

TEST(Cpu, ChoosesByNameUpToWhatTheMachineHas) {
  EXPECT_EQ(*ChooseIsa(""), BestIsa());
  EXPECT_EQ(*ChooseIsa("reference"), Isa::kReference);
  EXPECT_EQ(*ChooseIsa(IsaName(BestIsa())), BestIsa());
  EXPECT_EQ(ChooseIsa("sse9").error().kind, diagnostics::ErrorKind::kInvalidInput);
  if (BestIsa() != Isa::kAmx) {
    EXPECT_EQ(ChooseIsa("amx").error().kind, diagnostics::ErrorKind::kUnsupported);
  }
}

TEST(Cpu, KnowsTheMachine) {
  EXPECT_GE(AvailableCores(), 1);
  EXPECT_GT(PhysicalMemoryBytes(), std::uint64_t{1} << 28);
}

}  // namespace
}  // namespace baleen::hardware

#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "checkpoint/shards.h"
#include "checkpoint/tensor_list.h"
#include "checkpoint/writer.h"
#include "hardware/file.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using testing::HasSubstr;

fs::path Golden(const std::string& name) { return fs::path(BALEEN_SOURCE_DIR) / "tests/golden/checkpoints" / name; }

class GoldenCheckpoint : public testing::TestWithParam<const char*> {};

TEST_P(GoldenCheckpoint, OpensAndHoldsFiniteNumbers) {
  if (!fs::exists(Golden(GetParam()))) GTEST_SKIP() << "tests/golden/checkpoints is not there";
  const auto opened = Checkpoint::Open(Golden(GetParam()));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE(opened->odd_names().empty());
  const Status values = VerifyValues(*opened);
  EXPECT_TRUE(values) << values.error().message;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenCheckpoint,
                         testing::Values("flash", "pro", "base-fp8", "odd", "long", "positions", "short", "hf-names", "dspark", "official-csa"));

}  // namespace
}  // namespace baleen::checkpoint

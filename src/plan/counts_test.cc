#include "plan/counts.h"

#include <gtest/gtest.h>

#include <numeric>

namespace baleen::plan {
namespace {

using checkpoint::ModelConfig;
using checkpoint::PresetConfig;

constexpr double kGiga = 1e9, kGibi = 1073741824.0, kMebi = 1048576.0;

TEST(CountsTest, ParametersOfTheReleasedModelsEqualTheSpecification) {
  const ParameterCounts flash = CountParameters(*PresetConfig("v4-flash")), pro = CountParameters(*PresetConfig("v4-pro"));
  EXPECT_NEAR(flash.total / kGiga, 284.33, 0.005);
  EXPECT_NEAR(flash.active / kGiga, 13.27, 0.005);
  EXPECT_NEAR(flash.drafter_total / kGiga, 6.61, 0.005);
  EXPECT_NEAR(flash.drafter_active / kGiga, 0.32, 0.005);
  EXPECT_NEAR(pro.total / kGiga, 1573.0, 0.05);
  EXPECT_NEAR(pro.active / kGiga, 48.85, 0.005);
  EXPECT_NEAR(pro.drafter_total / kGiga, 25.84, 0.005);
}

TEST(CountsTest, TrillionPlanIsWhatItsNameSays) {
  const ModelConfig config = *PresetConfig("v4-1.2t-a35b");
  const ParameterCounts counts = CountParameters(config);
  EXPECT_NEAR(counts.total / kGiga, 1200, 5);
  EXPECT_NEAR(counts.active / kGiga, 35, 0.2);
  EXPECT_EQ(config.max_positions, 2097152);
}

TEST(CountsTest, PartsAddUpToTheTotal) {
  for (const std::string& name : checkpoint::PresetNames()) {
    const ParameterCounts counts = CountParameters(*PresetConfig(name));
    const std::uint64_t sum = std::accumulate(counts.by_part.begin(), counts.by_part.end(), std::uint64_t{0},
        [](std::uint64_t s, const auto& e) { return s + e.second; });
    EXPECT_EQ(sum, counts.total) << name;
  }
}

TEST(CountsTest, ProCheckpointHasItsPublishedSize) {
  std::uint64_t bytes = 0;
  for (const auto& entry : OfficialBytes(*PresetConfig("v4-pro"))) bytes += entry.second;
  EXPECT_NEAR(static_cast<double>(bytes) / kGibi, 805.32, 0.02);  // §9.3, where GB is 2^30
}

struct CacheRow {
  const char* preset;
  CacheFormat format;
  double per_token, gib_8k, gib_128k, gib_1m, read_8k, read_128k, read_1m;
};

TEST(CountsTest, CacheEqualsTheTablesOfTheSpecification) {
  const CacheRow rows[] = {
      {"v4-flash", CacheFormat::kBf16, 6880, 0.058, 0.845, 6.724, 27.6, 203.9, 1519.9},
      {"v4-flash", CacheFormat::kFp8, 3850.25, 0.032, 0.473, 3.763, 15.2, 107.1, 793.3},
      {"v4-flash", CacheFormat::kFp8IndexFp4, 3514.25, 0.030, 0.432, 3.435, 12.6, 65.1, 457.3},
      {"v4-pro", CacheFormat::kBf16, 9848, 0.083, 1.210, 9.625, 54.6, 308.6, 2205.6},
      {"v4-pro", CacheFormat::kFp8, 5511.4, 0.046, 0.677, 5.387, 30.3, 162.9, 1152.9},
      {"v4-pro", CacheFormat::kFp8IndexFp4, 5031.4, 0.043, 0.618, 4.918, 26.5, 102.9, 672.9},
  };
  for (const CacheRow& row : rows) {
    const ModelConfig config = *PresetConfig(row.preset);
    EXPECT_NEAR(CacheBytesPerToken(config, row.format), row.per_token, 0.1);
    EXPECT_NEAR(CacheBytes(config, row.format, 8192) / kGibi, row.gib_8k, 6e-4);
    EXPECT_NEAR(CacheBytes(config, row.format, 131072) / kGibi, row.gib_128k, 6e-4);
    EXPECT_NEAR(CacheBytes(config, row.format, 1048576) / kGibi, row.gib_1m, 6e-4);
    EXPECT_NEAR(CacheBytesRead(config, row.format, 8192) / kMebi, row.read_8k, 0.06);
    EXPECT_NEAR(CacheBytesRead(config, row.format, 131072) / kMebi, row.read_128k, 0.06);
    EXPECT_NEAR(CacheBytesRead(config, row.format, 1048576) / kMebi, row.read_1m, 0.06);
  }
  EXPECT_NEAR(CompressorStateBytes(*PresetConfig("v4-flash")) / kMebi, 11.64, 0.005);
  EXPECT_NEAR(CompressorStateBytes(*PresetConfig("v4-pro")) / kMebi, 17.84, 0.005);
}

TEST(CountsTest, FlopsEqualTheTablesOfTheSpecification) {
  const ModelConfig flash = *PresetConfig("v4-flash"), pro = *PresetConfig("v4-pro");
  const Flops parts = FlopsPerToken(flash, 1024);
  EXPECT_NEAR(parts.Linear() / kGiga, 26.5, 0.05);
  EXPECT_NEAR(parts.query / kGiga, 3.25, 0.005);
  EXPECT_NEAR(parts.key_value / kGiga, 0.18, 0.005);
  EXPECT_NEAR(parts.output / kGiga, 5.77, 0.005);
  EXPECT_NEAR(parts.compressor / kGiga, 0.52, 0.005);
  EXPECT_NEAR(parts.indexer / kGiga, 0.45, 0.005);
  EXPECT_NEAR(parts.streams / kGiga, 0.07, 0.005);
  EXPECT_NEAR(parts.router / kGiga, 0.09, 0.005);
  EXPECT_NEAR(parts.experts / kGiga, 15.15, 0.005);
  EXPECT_NEAR(parts.head / kGiga, 1.06, 0.005);
  EXPECT_NEAR(FlopsPerToken(pro, 1024).Linear() / kGiga, 97.7, 0.05);
  const struct { std::int64_t tokens; double flash, pro; } totals[] =
      {{1024, 28.1, 102.0}, {8192, 29.5, 109.3}, {131072, 42.6, 132.2}, {1048576, 140.3, 303.2}};
  for (const auto& row : totals) {
    EXPECT_NEAR(FlopsPerToken(flash, row.tokens).Total() / kGiga, row.flash, 0.06) << row.tokens;
    EXPECT_NEAR(FlopsPerToken(pro, row.tokens).Total() / kGiga, row.pro, 0.06) << row.tokens;
  }
}

}  // namespace
}  // namespace baleen::plan

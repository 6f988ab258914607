#include "checkpoint/twin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "checkpoint/checkpoint.h"
#include "checkpoint/random_weights.h"
#include "checkpoint/temporary_folder.h"
#include "checkpoint/writer.h"
#include "hardware/file.h"
#include "tensor/scalar.h"

namespace baleen::checkpoint {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using testing::HasSubstr;

/// Mean square of a quantised [out, in] linear.
double MeanSquare(const tensor::View& weight, const tensor::View& scale) {
  const std::int64_t columns = weight.shape[1];
  double sum = 0;
  for (std::int64_t i = 0; i < weight.Elements(); ++i) {
    const std::int64_t row = i / columns, column = i % columns;
    float value = 0;
    std::int64_t at = 0;
    if (weight.dtype == DType::kF4) {
      value = tensor::FromE2m1(static_cast<std::uint8_t>(static_cast<std::uint8_t>(weight.bytes[static_cast<std::size_t>(i / 2)]) >> (i % 2 * 4)));
      at = row * scale.shape[1] + column / 32;
    } else {
      value = tensor::FromE4m3(static_cast<std::uint8_t>(weight.bytes[static_cast<std::size_t>(i)]));
      at = row / 128 * scale.shape[1] + column / 128;
    }
    const double real = value * tensor::FromE8m0(static_cast<std::uint8_t>(scale.bytes[static_cast<std::size_t>(at)]));
    sum += real * real;
  }
  return sum / static_cast<double>(weight.Elements());
}

TEST(TwinTest, EveryTinyPresetIsAValidCheckpointWithUnitVarianceProducts) {
  for (const char* preset : {"tiny", "tiny-base", "tiny-dspark"}) {
    TemporaryFolder folder;
    const ModelConfig config = *PresetConfig(preset);
    ASSERT_TRUE(WriteTwin(config, folder.path(), {.seed = 3, .threads = 2}));
    const auto opened = Checkpoint::Open(folder.path());
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE(opened->config() == config) << preset;
    EXPECT_EQ(opened->TotalBytes(), TwinBytes(config)) << preset;
    hardware::Workers team(3);
    const Status values = VerifyValues(*opened, team);
    EXPECT_TRUE(values) << values.error().message;
    const std::string expert = "layers.1.ffn.experts.0.w1.";
    const double variance = 128 * MeanSquare(*opened->Find(expert + "weight"), *opened->Find(expert + "scale"));
    // One FP8 block has one scale: its variance is right only on average over blocks.
    EXPECT_GT(variance, config.experts_fp4 ? 0.85 : 0.45) << preset;
    EXPECT_LT(variance, config.experts_fp4 ? 1.15 : 2.2) << preset;
  }
}

TEST(TwinTest, SeedAndNameDecideTheBytesWhateverTheShardsAndThreads) {
  const ModelConfig config = *CutModel(*PresetConfig("tiny"), 2, 2);
  TemporaryFolder whole, parts, other;
  ASSERT_TRUE(WriteTwin(config, whole.path(), {.seed = 5}));
  ASSERT_TRUE(WriteTwin(config, parts.path(), {.seed = 5, .shard_limit_bytes = 100'000, .threads = 3}));
  ASSERT_TRUE(WriteTwin(config, other.path(), {.seed = 6}));
  EXPECT_TRUE(fs::exists(parts.path() / "model.safetensors.index.json"));
  const auto a = Checkpoint::Open(whole.path()), b = Checkpoint::Open(parts.path()), c = Checkpoint::Open(other.path());
  ASSERT_TRUE(a && b && c);
  bool differs = false;
  for (const std::string& name : a->Names()) {
    const auto x = a->Find(name), y = b->Find(name), z = c->Find(name);
    EXPECT_TRUE(std::ranges::equal(x->bytes, y->bytes)) << name;
    differs = differs || !std::ranges::equal(x->bytes, z->bytes);
  }
  EXPECT_TRUE(differs);
}

TEST(TwinTest, AnyPieceOfATensorIsTheSameAsInTheWhole) {
  const ModelConfig config = *PresetConfig("tiny");
  ForEachTensor(config, 1, [&](const TensorSpec& spec) {
    const RandomTensor content(spec, config, 9);
    std::vector<std::byte> whole(200), pieces(200);
    content.Fill(0, whole);
    for (std::size_t at = 0, size = 1; at < pieces.size(); at += size, size = size % 13 + 1) {
      size = std::min(size, pieces.size() - at);
      content.Fill(at, std::span(pieces).subspan(at, size));
    }
    EXPECT_EQ(whole, pieces) << spec.name;
    return true;
  });
}

TEST(TwinTest, FinishedShardsAreKeptAndOthersMade) {
  const ModelConfig config = *CutModel(*PresetConfig("tiny"), 2, 2);
  TemporaryFolder folder;
  const TwinOptions options{.seed = 5, .shard_limit_bytes = 200'000};
  ASSERT_TRUE(WriteTwin(config, folder.path(), options));
  std::vector<fs::path> shards;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    if (entry.path().extension() == ".safetensors") shards.push_back(entry.path());
  }
  ASSERT_GE(shards.size(), 3u);
  const std::string cut = *hardware::ReadFile(shards[0], 1u << 24);
  fs::resize_file(shards[0], 100);
  fs::remove(folder.path() / "model.safetensors.index.json");
  std::ofstream(folder.path() / "model-00001-of-00009.safetensors.partial-77") << "x";
  const auto before = fs::last_write_time(shards[1]);
  ASSERT_TRUE(WriteTwin(config, folder.path(), options));
  EXPECT_EQ(fs::last_write_time(shards[1]), before);
  EXPECT_EQ(*hardware::ReadFile(shards[0], 1u << 24), cut);
  EXPECT_FALSE(fs::exists(folder.path() / "model-00001-of-00009.safetensors.partial-77"));
  EXPECT_TRUE(Checkpoint::Open(folder.path()));
}

TEST(TwinTest, AnotherModelsFolderIsLeftAlone) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "config.json") << "{}";
  const Status status = WriteTwin(*PresetConfig("tiny"), folder.path(), {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("another model"));
  EXPECT_EQ(*hardware::ReadFile(folder.path() / "config.json", 100), "{}");
}

TEST(TwinTest, AnotherSeedAndForeignFilesAreLeftAlone) {
  const ModelConfig config = *CutModel(*PresetConfig("tiny"), 1, 2);
  TemporaryFolder twin, letters;
  ASSERT_TRUE(WriteTwin(config, twin.path(), {.seed = 5}));
  const std::string before = *hardware::ReadFile(twin.path() / "model.safetensors", 1u << 24);
  const Status other = WriteTwin(config, twin.path(), {.seed = 6});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("one with seed 5"));
  EXPECT_EQ(*hardware::ReadFile(twin.path() / "model.safetensors", 1u << 24), before);
  std::ofstream(letters.path() / "letter.txt") << "dear";
  const Status foreign = WriteTwin(config, letters.path(), {});
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message, HasSubstr("letter.txt"));
  EXPECT_FALSE(fs::exists(letters.path() / "config.json"));
}

TEST(TwinTest, TooSmallADiskIsSaidBeforeAnythingIsWritten) {
  TemporaryFolder folder;
  ModelConfig config = *PresetConfig("v4-pro");
  config.vocab_size = 1 << 24;
  config.hidden_size = 1 << 20;
  const Status status = WriteTwin(config, folder.path() / "out", {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("free bytes"));
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

TEST(TwinTest, CutsKeepWhatDependsOnThem) {
  const ModelConfig flash = *CutModel(*PresetConfig("v4-flash"), 4, 0);
  EXPECT_EQ(flash.compress_ratios, (std::vector<std::int64_t>{0, 0, 4, 128}));
  const ModelConfig two = *CutModel(*PresetConfig("v4-flash-0731"), 2, 8);
  EXPECT_EQ(two.hash_layers, 2);
  EXPECT_EQ(two.dspark_target_layers, (std::vector<std::int64_t>{0, 1}));
  for (const ModelConfig& config : {flash, two}) EXPECT_TRUE(*ParseModelConfig(WriteModelConfig(config)) == config);
  EXPECT_FALSE(CutModel(flash, 5, 0));
  EXPECT_FALSE(CutModel(flash, -1, 0));
  EXPECT_FALSE(CutModel(flash, 0, 5));
  EXPECT_FALSE(CutModel(flash, 0, 257));
}

}  // namespace
}  // namespace baleen::checkpoint

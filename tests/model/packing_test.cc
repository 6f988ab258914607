// Weights packed into memory of the process's own: the same bits, where the plan says, and nothing of them left out.

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "golden.h"
#include "model/packing.h"

namespace baleen::golden {
namespace {

template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

std::filesystem::path Plankton() { return std::filesystem::path(BALEEN_SOURCE_DIR) / "models/plankton"; }

std::vector<float> LogitsOf(const checkpoint::Checkpoint& checkpoint, int threads, model::WeightsPlace place) {
  backend::Device device(hardware::BestIsa(), threads);
  const model::Limits limits{.rows = 8, .context = 32, .logit_rows = 8, .segments = 1};
  auto transformer = Must(model::Transformer::Load(checkpoint, device, model::Arithmetic::kOfficial, limits, place));
  auto sequence = Must(kvcache::Sequence::Create(transformer->cache_layout(), 32));
  const std::vector<std::int32_t> tokens = {0, 9, 300, 77, 5, 1200, 41, 2}, all = {0, 1, 2, 3, 4, 5, 6, 7};
  const model::Segment segment{&sequence, 8};
  transformer->Forward({tokens, {&segment, 1}, all, {}});
  std::vector<float> logits;
  for (std::int64_t i = 0; i < 8; ++i) logits.insert(logits.end(), transformer->Logits(i).begin(), transformer->Logits(i).end());
  return logits;
}

TEST(Packing, ChangesNoBit) {
  const auto checkpoint = Must(checkpoint::Checkpoint::Open(Plankton()));
  const std::vector<float> mapped = LogitsOf(checkpoint, 2, model::WeightsPlace::kMapped);
  for (const int threads : {1, 2, 3, 7}) {
    const std::vector<float> packed = LogitsOf(checkpoint, threads, model::WeightsPlace::kPacked);
    ASSERT_EQ(packed.size(), mapped.size());
    EXPECT_EQ(std::memcmp(packed.data(), mapped.data(), 4 * mapped.size()), 0) << threads << " threads";
  }
}

void ExpectCopied(const backend::Matrix& packed, const backend::Matrix& mapped, const hardware::Region& memory) {
  ASSERT_EQ(packed.n, mapped.n);
  if (mapped.n == 0) return;
  const auto bytes = static_cast<std::size_t>(mapped.n * kernels::RowBytes(mapped.format, mapped.k));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(packed.data) % 64, 0u);
  EXPECT_GE(packed.data, memory.data());
  EXPECT_LE(packed.data + bytes, memory.data() + memory.size());
  EXPECT_EQ(std::memcmp(packed.data, mapped.data, bytes), 0);
  ASSERT_EQ(packed.scales == nullptr, mapped.scales == nullptr);
  if (mapped.scales == nullptr) return;
  const std::int64_t scales = kernels::ScaleBytes(mapped.format, mapped.n, mapped.k);
  EXPECT_EQ(std::memcmp(packed.scales, mapped.scales, static_cast<std::size_t>(scales)), 0);
}

void ExpectCopied(const model::Layer& packed, const model::Layer& mapped, const hardware::Region& memory) {
  const model::AttentionWeights &p = packed.attention, &m = mapped.attention;
  ExpectCopied(p.query_down, m.query_down, memory);
  ExpectCopied(p.query_up, m.query_up, memory);
  ExpectCopied(p.output_down, m.output_down, memory);
  ExpectCopied(p.compressor.gate, m.compressor.gate, memory);
  ExpectCopied(p.indexer.query, m.indexer.query, memory);
  ExpectCopied(p.indexer.compressor.value, m.indexer.compressor.value, memory);
  ExpectCopied(packed.before_experts.weights.fn, mapped.before_experts.weights.fn, memory);
  ExpectCopied(packed.router.gate, mapped.router.gate, memory);
  ASSERT_EQ(packed.experts.size(), mapped.experts.size());
  for (std::size_t e = 0; e < mapped.experts.size(); ++e) {
    ExpectCopied(packed.experts[e].gate, mapped.experts[e].gate, memory);
    ExpectCopied(packed.experts[e].up, mapped.experts[e].up, memory);
    ExpectCopied(packed.experts[e].down, mapped.experts[e].down, memory);
  }
}

TEST(Packing, CopiesEveryMatrixWithItsScales) {
  const auto checkpoint = Must(checkpoint::Checkpoint::Open(Plankton()));
  const auto mapped = Must(model::LoadWeights(checkpoint, true));
  for (const int threads : {1, 3, 5}) {
    backend::Device device(hardware::BestIsa(), threads);
    auto weights = Must(model::LoadWeights(checkpoint, true));
    const std::uint64_t bytes = model::PackedBytes(weights);
    const auto packed = Must(model::PackWeights(weights, checkpoint, device));
    EXPECT_EQ(packed.memory.size(), bytes);
    ExpectCopied(weights.embedding, mapped.embedding, packed.memory);
    ExpectCopied(weights.lm_head, mapped.lm_head, packed.memory);
    for (std::size_t i = 0; i < mapped.layers.size(); ++i) ExpectCopied(weights.layers[i], mapped.layers[i], packed.memory);
    ASSERT_EQ(weights.mtp.size(), 1u);
    ExpectCopied(weights.mtp[0].block, mapped.mtp[0].block, packed.memory);
    ExpectCopied(weights.mtp[0].stream_projection, mapped.mtp[0].stream_projection, packed.memory);
  }
}

TEST(Packing, IsInThePlan) {
  const auto checkpoint = Must(checkpoint::Checkpoint::Open(Plankton()));
  backend::Device device(hardware::BestIsa(), 2);
  const model::Limits limits{.rows = 1, .context = 4, .logit_rows = 1, .segments = 1};
  const auto mapped = Must(model::Transformer::Load(checkpoint, device, model::Arithmetic::kExact, limits));
  const auto packed = Must(model::Transformer::Load(checkpoint, device, model::Arithmetic::kExact, limits, model::WeightsPlace::kPacked));
  EXPECT_EQ(mapped->memory_plan().packed_weights, 0u);
  EXPECT_EQ(packed->memory_plan().mapped_weights, 0u);
  EXPECT_EQ(packed->memory_plan().packed_weights, model::PackedBytes(Must(model::LoadWeights(checkpoint, false))));
  EXPECT_EQ(packed->memory_plan().BeyondWeights(1), mapped->memory_plan().BeyondWeights(1));
  EXPECT_NE(packed->memory_plan().Text(1, 4).find("packed"), std::string::npos);
}

TEST(Packing, MoreThanThereIsIsRefused) {
  const auto region = hardware::Region::Reserve(std::uint64_t{1} << 60, "the copy of the weights", "leave the weights where they are (mapped)");
  ASSERT_FALSE(region.has_value());
  EXPECT_NE(region.error().message.find("leave the weights where they are"), std::string::npos);
  EXPECT_EQ(region.error().ExitCode(), 5);
}

}  // namespace
}  // namespace baleen::golden

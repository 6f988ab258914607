// Appendices A and B of the specification: unit vectors and golden logits that need no checkpoint but this generator.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "checkpoint/model_config.h"
#include "checkpoint/writer.h"
#include "golden.h"
#include "kernels/table.h"
#include "tensor/scalar.h"

namespace baleen::golden {
namespace {

/// u(name, i) of Appendix B: uniform in [-1, 1) from the name's FNV-1a hash and the index.
float U(const std::string& name, std::uint64_t i) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::uint64_t z = hash + (i + 1) * 0x9E3779B97F4A7C15u;
  z ^= z >> 30;
  z *= 0xBF58476D1CE4E5B9u;
  z ^= z >> 27;
  z *= 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<float>(static_cast<double>(z >> 40) / 8388608.0 - 1.0);
}

TEST(AppendixB, GeneratorGivesTheCheckNumbers) {
  for (const auto& [i, value] : {std::pair{0, -0.447912f}, {1, 0.760972f}, {2, 0.869813f}, {3, -0.325749f}}) EXPECT_NEAR(U("test", static_cast<std::uint64_t>(i)), value, 1e-6f);
}

std::vector<float> Numbers(const std::string& name, std::size_t count, float factor) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = factor * U(name, i);
  return values;
}

class AppendixA : public testing::TestWithParam<hardware::Isa> {
 protected:
  const kernels::Table& k = kernels::TableFor(GetParam());
};

TEST_P(AppendixA, RoundTrips) {
  const std::vector<float> x = Numbers("qdq.x", 128, 3.0f);
  std::vector<float> codes(128), scales(1);
  k.quantize({x.data(), 1, 128, codes.data(), scales.data()});
  double sum = 0;
  for (const float code : codes) sum += static_cast<double>(code) * scales[0];
  const std::vector<float> fp8 = {1.375f, 2.0f, -2.75f, -2.0f, 2.0f, 1.0f};
  for (std::size_t i = 0; i < fp8.size(); ++i) EXPECT_EQ(codes[i] * scales[0], fp8[i]);
  EXPECT_EQ(sum, -14.52197265625);

  double fp4_sum = 0;
  const std::vector<float> fp4 = {1.5f, 2.0f, -3.0f, -2.0f, 2.0f, 1.0f};
  for (std::size_t begin = 0; begin < 128; begin += 32) {
    float amax = 0;
    for (std::size_t i = begin; i < begin + 32; ++i) amax = std::max(amax, std::fabs(x[i]));
    const float scale = tensor::FromE8m0(tensor::PowerOfTwoCeiling(amax, tensor::kE2m1Largest, tensor::kE2m1Floor));
    for (std::size_t i = begin; i < begin + 32; ++i) {
      const float value = tensor::FromE2m1(tensor::ToE2m1(x[i] / scale)) * scale;
      if (i < fp4.size()) {
        EXPECT_EQ(value, fp4[i]);
      }
      fp4_sum += value;
    }
  }
  EXPECT_EQ(fp4_sum, -18.5);
}

TEST_P(AppendixA, Sinkhorn) {
  const std::vector<float> raw = Numbers("mix", 24, 2.0f), scale = {1, 1, 1}, base(24, 0.0f);
  std::vector<float> mix(24);
  const float factor = 1.0f;
  k.mix({1, raw.data(), &factor, scale.data(), base.data(), 4, 20, 1e-6f, mix.data()});
  const std::vector<float> expected = {0.775145f, 0.664072f, 0.733381f, 0.524752f, 0.383711f, 0.796827f, 0.686607f, 1.661639f,
                                       0.348164f, 0.221748f, 0.280711f, 0.149376f, 0.152103f, 0.480637f, 0.344755f, 0.022505f,
                                       0.205660f, 0.013097f, 0.334368f, 0.446873f, 0.294072f, 0.284517f, 0.040165f, 0.381245f};
  for (std::size_t i = 0; i < mix.size(); ++i) EXPECT_NEAR(mix[i], expected[i], 1.5e-6f) << i;
}

TEST_P(AppendixA, LinearLayers) {
  const std::vector<float> x = Numbers("lin.x", 256, 3.0f), w = Numbers("lin.w", 128 * 256, 1.0f);
  const auto run = [&](kernels::Format format, const void* data, const std::uint8_t* weight_scales, bool quantized) {
    std::vector<float> codes(256), scales(2), y(128);
    k.quantize({x.data(), 1, 256, codes.data(), scales.data()});
    k.linear({.weight = {format, static_cast<const std::byte*>(data), weight_scales, 128, 256}, .row_begin = 0, .row_end = 128,
              .x = quantized ? codes.data() : x.data(), .x_stride = 256, .x_scales = quantized ? scales.data() : nullptr, .scale_stride = 2, .rows = 1,
              .y = y.data(), .y_stride = 128});
    return y;
  };
  const auto expect = [](const std::vector<float>& y, const std::vector<float>& expected, const char* what) {
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(y[i], expected[i], 4e-6f * std::fabs(expected[i]) + 1e-6f) << what << " " << i;
  };
  expect(run(kernels::Format::kF32, w.data(), nullptr, false), {2.449379f, 3.524637f, -12.94275f, 1.625432f}, "plain");

  std::vector<std::uint8_t> fp8(w.size()), fp8_scales(2, 119);
  for (std::size_t i = 0; i < w.size(); ++i) fp8[i] = tensor::ToE4m3(w[i] / tensor::FromE8m0(119));
  expect(run(kernels::Format::kFp8, fp8.data(), fp8_scales.data(), true), {2.381821f, 3.872314f, -12.827f, 2.226525f}, "FP8");

  std::vector<std::uint8_t> fp4(w.size() / 2), fp4_scales(128 * 8);
  for (std::size_t group = 0; group < fp4_scales.size(); ++group) {
    float amax = 0;
    for (std::size_t i = 32 * group; i < 32 * group + 32; ++i) amax = std::max(amax, std::fabs(w[i]));
    fp4_scales[group] = tensor::PowerOfTwoCeiling(amax, tensor::kE2m1Largest, tensor::kE2m1Floor);
    const float scale = tensor::FromE8m0(fp4_scales[group]);
    for (std::size_t i = 32 * group; i < 32 * group + 32; i += 2) {
      fp4[i / 2] = static_cast<std::uint8_t>(tensor::ToE2m1(w[i] / scale) | (tensor::ToE2m1(w[i + 1] / scale) << 4));
    }
  }
  for (std::size_t group = 0; group < 8; ++group) EXPECT_EQ(fp4_scales[group], 125);
  EXPECT_EQ(fp4[0], 0x9d);
  EXPECT_EQ(fp4[1], 0x56);
  EXPECT_EQ(fp4[2], 0xba);
  expect(run(kernels::Format::kFp4, fp4.data(), fp4_scales.data(), true), {-0.7470703f, 1.790771f, -13.07153f, 3.119629f}, "FP4");
}

INSTANTIATE_TEST_SUITE_P(All, AppendixA, testing::ValuesIn(Isas()), [](const auto& instance) { return std::string(hardware::IsaName(instance.param)); });

checkpoint::ModelConfig AppendixConfig() {
  checkpoint::ModelConfig c;
  c.vocab_size = 64, c.hidden_size = 64, c.layers = 5, c.heads = 4, c.head_dim = 80, c.rope_dim = 16, c.q_lora = 32, c.output_groups = 2, c.output_lora = 24;
  c.window = 8, c.compress_ratios = {0, 4, 8, 4, 8}, c.drafter_compress_ratios = {0}, c.has_yarn = true, c.yarn = {16, 256, 32, 1}, c.max_positions = 4096;
  c.index_heads = 8, c.index_dim = 32, c.index_top_k = 3, c.experts = 8, c.experts_per_token = 2, c.expert_intermediate = 32, c.route_scale = 1.5;
  c.hash_layers = 1, c.swiglu_limit = 2.0, c.streams = 4, c.sinkhorn_iterations = 20, c.drafter = checkpoint::DrafterKind::kMtp, c.drafter_modules = 1;
  return c;
}

/// The Appendix B model as an F32 checkpoint in a fresh folder, removed at the end.
class AppendixCheckpoint {
 public:
  AppendixCheckpoint() : folder_(std::filesystem::temp_directory_path() / ("baleen-appendix-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "config.json") << checkpoint::WriteModelConfig(AppendixConfig());
    AddGlobals();
    for (std::int64_t i = 0; i < 5; ++i) AddLayer("layers." + std::to_string(i) + ".", AppendixConfig().compress_ratios[static_cast<std::size_t>(i)], i == 0);
    AddLayer("mtp.0.", 0, false);
    for (const char* name : {"e_proj.weight", "h_proj.weight"}) Add(std::string("mtp.0.") + name, {64, 64});
    for (const char* name : {"enorm.weight", "hnorm.weight"}) Add(std::string("mtp.0.") + name, {64});
    AddHead("mtp.0.");
    std::vector<checkpoint::NamedTensor> tensors;
    for (const auto& [name, stored] : tensors_) tensors.push_back({name, {stored.dtype, stored.shape, std::as_bytes(std::span(stored.bytes))}});
    const Status written = checkpoint::WriteSafetensors(folder_ / "model.safetensors", tensors);
    if (!written) ADD_FAILURE() << written.error().message;
  }
  ~AppendixCheckpoint() { std::filesystem::remove_all(folder_); }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  struct Stored {
    tensor::DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };

  static float Value(const std::string& name, std::uint64_t i, std::int64_t last) {
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    if (has("norm")) return 1.0f + 0.25f * U(name, i);
    if (has("attn_sink") || has("ape") || has("_base") || name == "embed.weight") return U(name, i);
    if (has("gate.bias")) return 0.25f * U(name, i);
    if (has("hc_") && has("_scale")) return 1.0f + 0.5f * U(name, i);
    return U(name, i) * (static_cast<float>(std::sqrt(3.0)) / static_cast<float>(std::sqrt(static_cast<double>(last))));
  }

  void Add(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = Value(name, i, shape.back());
    Store(name, tensor::DType::kF32, std::move(shape), values);
  }

  template <typename T>
  void Store(const std::string& name, tensor::DType dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    tensors_[name] = {dtype, std::move(shape), {bytes.begin(), bytes.end()}};
  }

  void AddHead(const std::string& prefix) {
    Add(prefix + "hc_head_fn", {4, 256});
    Add(prefix + "hc_head_base", {4});
    Add(prefix + "hc_head_scale", {1});
    Add(prefix + "norm.weight", {64});
  }

  void AddGlobals() {
    Add("embed.weight", {64, 64});
    Add("head.weight", {64, 64});
    AddHead("");
  }

  void AddCompressor(const std::string& prefix, std::int64_t ratio, std::int64_t dim) {
    const std::int64_t channels = ratio == 4 ? 2 * dim : dim;
    Add(prefix + "ape", {ratio, channels});
    Add(prefix + "wkv.weight", {channels, 64});
    Add(prefix + "wgate.weight", {channels, 64});
    Add(prefix + "norm.weight", {dim});
  }

  void AddLayer(const std::string& prefix, std::int64_t ratio, bool hashed) {
    for (const char* site : {"hc_attn", "hc_ffn"}) {
      Add(prefix + site + "_fn", {24, 256});
      Add(prefix + site + "_base", {24});
      Add(prefix + site + "_scale", {3});
    }
    Add(prefix + "attn_norm.weight", {64});
    Add(prefix + "ffn_norm.weight", {64});
    Add(prefix + "attn.wq_a.weight", {32, 64});
    Add(prefix + "attn.q_norm.weight", {32});
    Add(prefix + "attn.wq_b.weight", {320, 32});
    Add(prefix + "attn.wkv.weight", {80, 64});
    Add(prefix + "attn.kv_norm.weight", {80});
    Add(prefix + "attn.attn_sink", {4});
    Add(prefix + "attn.wo_a.weight", {48, 160});
    Add(prefix + "attn.wo_b.weight", {64, 48});
    if (ratio != 0) AddCompressor(prefix + "attn.compressor.", ratio, 80);
    if (ratio == 4) {
      Add(prefix + "attn.indexer.wq_b.weight", {256, 32});
      Add(prefix + "attn.indexer.weights_proj.weight", {8, 64});
      AddCompressor(prefix + "attn.indexer.compressor.", 4, 32);
    }
    AddExperts(prefix + "ffn.", hashed);
  }

  void AddExperts(const std::string& prefix, bool hashed) {
    Add(prefix + "gate.weight", {8, 64});
    if (hashed) {
      std::vector<std::int64_t> table;
      for (std::int64_t t = 0; t < 64; ++t) table.insert(table.end(), {5 * t % 8, (5 * t + 3) % 8});
      Store(prefix + "gate.tid2eid", tensor::DType::kI64, {64, 2}, table);
    } else {
      Add(prefix + "gate.bias", {8});
    }
    for (const std::string expert : {"experts.0.", "experts.1.", "experts.2.", "experts.3.", "experts.4.", "experts.5.", "experts.6.", "experts.7.", "shared_experts."}) {
      Add(prefix + expert + "w1.weight", {32, 64});
      Add(prefix + expert + "w3.weight", {32, 64});
      Add(prefix + expert + "w2.weight", {64, 32});
    }
  }

  std::filesystem::path folder_;
  std::map<std::string, Stored> tensors_;
};

constexpr int kPrompt = 27;
const std::vector<std::int32_t> kTokens = {5,  15, 39, 13, 1,  3,  19, 49, 29, 23, 31, 53, 25, 11, 11, 25, 53, 31, 23, 29, 49,
                                           19, 3,  1,  13, 39, 15, 5,  9,  27, 59, 41, 37, 47, 7,  45, 33, 35, 51, 17, 61};

struct Expected {
  std::size_t position;
  std::vector<double> first;
  double sum, squares;
};

void ExpectRow(const float* row, const Expected& expected, const char* what) {
  double sum = 0, squares = 0;
  for (int i = 0; i < 64; ++i) sum += row[i], squares += static_cast<double>(row[i]) * row[i];
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(row[i], expected.first[i], 1e-4) << what << " position " << expected.position << " logit " << i;
  EXPECT_NEAR(sum, expected.sum, 1e-3) << what << " position " << expected.position;
  EXPECT_NEAR(squares, expected.squares, 2e-3) << what << " position " << expected.position;
}

TEST(AppendixB, GoldenLogitsAndDraft) {
  const AppendixCheckpoint made;
  for (const hardware::Isa isa : Isas()) {
    Runner runner(made.folder(), isa, 2, model::Arithmetic::kExact, 41, 41);
    const Outcome run = runner.Feed(kTokens, {0, kPrompt});
    const char* what = hardware::IsaName(isa).data();
    ASSERT_EQ(run.logits.size(), 41u * 64u);
    const std::vector<Expected> rows = {
        {26, {1.173541, -1.153262, 1.082755, -0.679725, 1.508910, 0.180156, -1.635945, -1.520112}, -0.25980, 62.21462},
        {27, {-0.796593, 1.387195, 0.219544, 0.870235, 0.252203, -0.635898, -0.267939, 0.250988}, 4.98605, 63.15592},
        {31, {-1.456915, -0.441342, -1.436652, 0.859919, -0.358954, 0.048301, 0.385414, -0.499200}, 0.31282, 64.97041},
        {40, {0.284417, 0.074389, 0.286311, -0.483861, -0.187415, 1.534010, -1.388443, -0.272017}, 15.17581, 55.20111},
    };
    for (const Expected& expected : rows) ExpectRow(run.logits.data() + 64 * expected.position, expected, what);
    ExpectRow(run.mtp_logits.data() + 64 * 26, {26, {-0.985007, -0.362104, -1.004689, 0.732508, -0.708488, -1.139104, 1.431656, 0.159870}, -3.08952, 59.15780}, "draft");
    const std::vector<std::vector<double>> trace = {{-1.001536, 1.528481, -0.203672, 0.116757}, {-1.205194, 2.747826, 0.242210, 1.307178},
                                                    {-1.814005, 2.307161, 0.720659, 1.140458},  {-2.209061, 2.250123, 1.277912, -0.037049},
                                                    {-0.510289, 2.966435, 2.861902, 0.987893}};
    for (std::size_t layer = 0; layer < trace.size(); ++layer) {
      for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(run.stream_probe[(layer * 41 + 26) * 4 + i], trace[layer][i], 1e-4) << what << " layer " << layer;
    }
  }
}

}  // namespace
}  // namespace baleen::golden

#include "constructed.h"

#include <cmath>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/tensor_list.h"
#include "checkpoint/writer.h"
#include "diagnostics/check.h"
#include "hardware/file.h"
#include "tensor/scalar.h"

namespace baleen::long_context {
namespace {

using tensor::DType;

constexpr std::int64_t kPart = 8;  // channels of one part of a two-part code
constexpr float kBallast = 16.0f;  // a constant channel that makes every norm the same
constexpr float kGate = 32.0f;     // a compressor's gate where a token has something to say
constexpr float kFar = 40.0f;      // σ(±40) is 1 or 0

/// Channels of the residual streams: what a token is, then what layers have found.
namespace stream {
constexpr std::int64_t kConstant = 0, kKeyA = 8, kKeyB = 16, kOrdinal = 24, kValueA = 32, kValueB = 40, kFiller = 48, kColor = 64, kBeaconValue = 72,
                       kNearA = 80, kNearB = 88, kAskA = 96, kAskB = 104, kAskOrdinalA = 112, kAskOrdinalB = 120, kAskOrdinal = 128, kAskColor = 136,
                       kIsKey = 144, kIsOrdinal = 145, kIsValue = 146, kIsBeacon = 147, kIsAsk = 148, kIsTwice = 149, kIsAskOrdinal = 150;
constexpr std::int64_t kFoundA = 160, kFoundB = 168, kFoundLaterA = 176, kFoundLaterB = 184, kSeenA = 192, kSeenB = 200, kSeenColor = 208,
                       kSeenBeaconValue = 216;
}  // namespace stream

/// Channels of a KV row: those a query matches and those it copies.
namespace row {
constexpr std::int64_t kKeyA = 0, kKeyB = 8, kOrdinal = 16, kColor = 24, kIsValue = 32, kConstant = 33;
constexpr std::int64_t kValueA = 64, kValueB = 72, kBeaconValue = 80, kCopyKeyA = 88, kCopyKeyB = 96, kCopyColor = 104, kFiller = 112;
}  // namespace row

/// Channels of the low-rank query.
namespace low {
constexpr std::int64_t kA = 0, kB = 8, kOrdinal = 16, kColor = 24, kIsValue = 32, kConstant = 33, kBallast = 40;
}

/// Channels of an index key: four cosets of sixteen, so that the Hadamard transform keeps them apart under any odd rounding.
namespace index {
constexpr std::int64_t kKeyA = 0, kKeyB = 16, kOrdinal = 32, kFiller = 48;
}

/// Channels of the output's low rank, copied from a row.
struct Copied {
  std::int64_t from_row, at;
};
constexpr Copied kCopied[] = {{row::kValueA, 0}, {row::kValueB, 8}, {row::kBeaconValue, 16}, {row::kCopyKeyA, 24}, {row::kCopyKeyB, 32}, {row::kCopyColor, 40}};

/// What a layer is made for.
struct LayerRole {
  std::vector<std::pair<std::int64_t, std::int64_t>> query_parts;  // low ← stream, eight channels each
  std::vector<std::pair<std::int64_t, std::int64_t>> query_flags;  // low ← stream, one channel each
  std::vector<std::pair<std::int64_t, std::int64_t>> outputs;      // stream ← kCopied.at, eight channels each
  float match = 384.0f;                                            // magnitude of a row's matched channels; one match scores match / 16
  float sink = 0;                                                  // matches that beat nothing-found
  bool reads_found = false;                                        // the input is streams 0 and 1, not stream 0 alone
};

LayerRole RoleOf(std::int64_t layer) {
  switch (layer) {
    case 0: return {.query_parts = {{low::kA, stream::kNearA}, {low::kB, stream::kNearB}},
                    .outputs = {{stream::kSeenA, 24}, {stream::kSeenB, 32}}, .sink = 1.5f};
    case 1: return {.query_parts = {{low::kA, stream::kAskA}, {low::kB, stream::kAskB}}, .query_flags = {{low::kIsValue, stream::kIsAsk}},
                    .outputs = {{stream::kFoundA, 0}, {stream::kFoundB, 8}}, .sink = 2.5f};
    case 2: return {.query_parts = {{low::kA, stream::kAskOrdinalA}, {low::kB, stream::kAskOrdinalB}, {low::kOrdinal, stream::kAskOrdinal},
                                    {low::kA, stream::kFoundA}, {low::kB, stream::kFoundB}},
                    .query_flags = {{low::kIsValue, stream::kIsAskOrdinal}, {low::kIsValue, stream::kIsTwice}, {low::kConstant, stream::kIsTwice}},
                    .outputs = {{stream::kFoundLaterA, 0}, {stream::kFoundLaterB, 8}}, .sink = 3.5f, .reads_found = true};
    default: return {.query_parts = {{low::kColor, stream::kAskColor}}, .outputs = {{stream::kSeenColor, 40}, {stream::kSeenBeaconValue, 16}},
                     .match = 1280.0f, .sink = 0.5f};
  }
}

/// Tensors as plain numbers, zero where nothing is said.
class Numbers {
 public:
  void Shape(const std::string& name, std::int64_t rows, std::int64_t columns, float value) {
    tensors_[name] = {columns, std::vector<float>(static_cast<std::size_t>(rows * columns), value)};
  }
  float& At(const std::string& name, std::int64_t r, std::int64_t c) {
    Tensor& t = tensors_.at(name);
    return t.values.at(static_cast<std::size_t>(r * t.columns + c));
  }
  const std::vector<float>& Values(const std::string& name) const { return tensors_.at(name).values; }

 private:
  struct Tensor {
    std::int64_t columns;
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors_;
};

void Part(Numbers& n, const std::string& name, std::int64_t to, std::int64_t from, float weight = 1.0f) {
  for (std::int64_t i = 0; i < kPart; ++i) n.At(name, to + i, from + i) = weight;
}

void FillEmbedding(Numbers& n) {
  const auto set = [&](std::int32_t token, std::initializer_list<std::int64_t> channels) {
    for (const std::int64_t c : channels) n.At("embed.weight", token, c) = 1.0f;
  };
  for (std::int32_t t = 0; t < kVocabulary; ++t) n.At("embed.weight", t, stream::kConstant) = kBallast;
  for (std::int64_t i = 0; i < kKeys; ++i) {
    const std::int64_t a = i / kPart, b = i % kPart;
    set(Key(i), {stream::kKeyA + a, stream::kKeyB + b, stream::kIsKey});
    set(Value(i), {stream::kValueA + a, stream::kValueB + b, stream::kIsValue});
    set(Ask(i), {stream::kAskA + a, stream::kAskB + b, stream::kIsAsk});
    set(AskTwice(i), {stream::kAskA + a, stream::kAskB + b, stream::kIsAsk, stream::kIsTwice});
    set(Near(i), {stream::kNearA + a, stream::kNearB + b});
    set(Beacon(a, b), {stream::kColor + a, stream::kBeaconValue + b, stream::kIsBeacon});
    for (std::int64_t o = 0; o < kOrdinals; ++o) {
      set(AskOrdinal(i, o), {stream::kAskOrdinalA + a, stream::kAskOrdinalB + b, stream::kAskOrdinal + o, stream::kIsAskOrdinal});
    }
  }
  for (std::int64_t o = 0; o < kOrdinals; ++o) set(Ordinal(o), {stream::kOrdinal + o, stream::kIsOrdinal});
  for (std::int64_t c = 0; c < kColors; ++c) set(AskColor(c), {stream::kAskColor + c});
  for (std::int64_t f = 0; f < kFillers; ++f) n.At("embed.weight", Filler(f), stream::kFiller + f / 2) = f % 2 == 0 ? 1.0f : -1.0f;
}

void FillHead(Numbers& n) {
  for (std::int64_t i = 0; i < kKeys; ++i) {
    const std::int64_t a = i / kPart, b = i % kPart;
    n.At("head.weight", Value(i), stream::kFoundA + a) = n.At("head.weight", Value(i), stream::kFoundB + b) = 1.0f;
    n.At("head.weight", Value(i), stream::kFoundLaterA + a) = n.At("head.weight", Value(i), stream::kFoundLaterB + b) = 2.0f;
    n.At("head.weight", Key(i), stream::kSeenA + a) = n.At("head.weight", Key(i), stream::kSeenB + b) = 1.0f;
    n.At("head.weight", Beacon(a, b), stream::kSeenColor + a) = n.At("head.weight", Beacon(a, b), stream::kSeenBeaconValue + b) = 1.0f;
  }
  n.At("head.weight", kNone, stream::kConstant) = 3.0f / kBallast;  // between half a code (2) and a whole one (4)
}

/// Stream 0 carries the token unharmed, stream 1 gathers what attention finds; nothing mixes.
void FillSite(Numbers& n, const std::string& prefix, bool reads_found) {
  const std::string name = prefix + "_base";
  for (std::int64_t j = 0; j < 4; ++j) {
    n.At(name, 0, j) = j == 0 ? (reads_found ? 0.0f : kFar) : j == 1 && reads_found ? 0.0f : -kFar;
    n.At(name, 0, 4 + j) = j == 1 ? kFar : -kFar;
    n.At(name, 0, 8 + 5 * j) = kFar;
  }
}

/// A row's contents from the streams: `to_first` is the first row of the matrix.
void FillRowMap(Numbers& n, const std::string& name, std::int64_t to_first) {
  const std::pair<std::int64_t, std::int64_t> parts[] = {
      {row::kKeyA, stream::kKeyA}, {row::kKeyB, stream::kKeyB}, {row::kOrdinal, stream::kOrdinal}, {row::kColor, stream::kColor},
      {row::kValueA, stream::kValueA}, {row::kValueB, stream::kValueB}, {row::kBeaconValue, stream::kBeaconValue}, {row::kCopyKeyA, stream::kKeyA},
      {row::kCopyKeyB, stream::kKeyB}, {row::kCopyColor, stream::kColor}, {row::kFiller, stream::kFiller}, {row::kFiller + 8, stream::kFiller + 8}};
  for (const auto& [to, from] : parts) Part(n, name, to_first + to, from);
  n.At(name, to_first + row::kIsValue, stream::kIsValue) = 1.0f;
  n.At(name, to_first + row::kConstant, stream::kConstant) = 1.0f;
}

/// After the norm: matched channels have the layer's magnitude, copied ones 1. The ballast makes the factor √512 / 16 whatever the row holds.
void FillRowNorm(Numbers& n, const std::string& name, float match) {
  const float factor = std::sqrt(512.0f) / kBallast;
  for (std::int64_t c = 0; c < 512; ++c) n.At(name, 0, c) = (c < row::kConstant ? match : 1.0f) / factor;
  n.At(name, 0, row::kConstant) = match / factor / kBallast;
}

/// Who decides a channel when several tokens are pooled: the kind of token that has something to say there.
void FillGate(Numbers& n, const std::string& name, std::int64_t first, std::int64_t channels, std::int64_t flag) {
  for (std::int64_t c = 0; c < channels; ++c) n.At(name, first + c, flag) = kGate;
}

void FillCompressor(Numbers& n, const std::string& prefix, std::int64_t ratio, float match) {
  for (std::int64_t half = 0; half < (ratio == 4 ? 2 : 1); ++half) {
    const std::int64_t first = 512 * half;
    FillRowMap(n, prefix + "wkv.weight", first);
    const std::string gate = prefix + "wgate.weight";
    FillGate(n, gate, first + row::kKeyA, 16, stream::kIsKey);
    FillGate(n, gate, first + row::kCopyKeyA, 16, stream::kIsKey);
    FillGate(n, gate, first + row::kOrdinal, 8, stream::kIsOrdinal);
    FillGate(n, gate, first + row::kIsValue, 1, stream::kIsValue);
    FillGate(n, gate, first + row::kValueA, 16, stream::kIsValue);
    FillGate(n, gate, first + row::kColor, 8, stream::kIsBeacon);
    FillGate(n, gate, first + row::kBeaconValue, 8, stream::kIsBeacon);
    FillGate(n, gate, first + row::kCopyColor, 8, stream::kIsBeacon);
  }
  // A position bias that changes how fillers are averaged and is far too small to move a gate.
  for (std::int64_t r = 0; r < ratio; ++r) {
    for (std::int64_t c = 0; c < (ratio == 4 ? 1024 : 512); ++c) n.At(prefix + "ape", r, c) = 0.25f * static_cast<float>((7 * r + 3 * c) % 5);
  }
  FillRowNorm(n, prefix + "norm.weight", match);
}

void FillIndexer(Numbers& n, const checkpoint::ModelConfig& config, const std::string& prefix) {
  for (std::int64_t h = 0; h < config.index_heads; ++h) {
    const std::int64_t first = h * config.index_dim;
    Part(n, prefix + "wq_b.weight", first + index::kKeyA, low::kA, 1.375f);
    Part(n, prefix + "wq_b.weight", first + index::kKeyB, low::kB, 1.375f);
    Part(n, prefix + "wq_b.weight", first + index::kOrdinal, low::kOrdinal, 1.375f);
    n.At(prefix + "weights_proj.weight", h, stream::kConstant) = 1.0f / kBallast;
  }
  const std::string compressor = prefix + "compressor.";
  for (std::int64_t half = 0; half < 2; ++half) {
    const std::int64_t first = config.index_dim * half;
    const std::string value = compressor + "wkv.weight", gate = compressor + "wgate.weight";
    Part(n, value, first + index::kKeyA, stream::kKeyA);
    Part(n, value, first + index::kKeyB, stream::kKeyB);
    Part(n, value, first + index::kOrdinal, stream::kOrdinal);
    Part(n, value, first + index::kFiller, stream::kFiller);
    Part(n, value, first + index::kFiller + 8, stream::kFiller + 8);
    FillGate(n, gate, first + index::kKeyA, 8, stream::kIsKey);
    FillGate(n, gate, first + index::kKeyB, 8, stream::kIsKey);
    FillGate(n, gate, first + index::kOrdinal, 8, stream::kIsOrdinal);
    FillGate(n, gate, first + index::kFiller, 16, stream::kIsKey);
    FillGate(n, gate, first + index::kFiller, 16, stream::kIsOrdinal);
  }
  for (std::int64_t c = 0; c < config.index_dim; ++c) n.At(compressor + "norm.weight", 0, c) = 0.9375f;
}

void FillAttention(Numbers& n, const checkpoint::ModelConfig& config, std::int64_t layer) {
  const std::string prefix = "layers." + std::to_string(layer) + ".attn.";
  const LayerRole role = RoleOf(layer);
  for (const auto& [to, from] : role.query_parts) Part(n, prefix + "wq_a.weight", to, from);
  for (const auto& [to, from] : role.query_flags) n.At(prefix + "wq_a.weight", to, from) = 1.0f;
  n.At(prefix + "wq_a.weight", low::kBallast, stream::kConstant) = 1.0f;
  for (std::int64_t c = 0; c < config.q_lora; ++c) n.At(prefix + "q_norm.weight", 0, c) = kBallast / std::sqrt(static_cast<float>(config.q_lora));
  for (std::int64_t h = 0; h < config.heads; ++h) {
    const std::string name = prefix + "wq_b.weight";
    const std::int64_t first = h * config.head_dim;
    for (const auto& [to, from] : {std::pair{row::kKeyA, low::kA}, {row::kKeyB, low::kB}, {row::kOrdinal, low::kOrdinal}, {row::kColor, low::kColor}}) {
      Part(n, name, first + to, from);
    }
    n.At(name, first + row::kIsValue, low::kIsValue) = n.At(name, first + row::kConstant, low::kConstant) = 1.0f;
    n.At(name, first + kQueryBallast, low::kBallast) = 1.0f;
    n.At(prefix + "attn_sink", 0, h) = role.sink * role.match / kBallast;
    // Each head has its own output group; half of what is found comes from each.
    for (const Copied& c : kCopied) {
      for (std::int64_t i = 0; i < kPart; ++i) n.At(prefix + "wo_a.weight", h * config.output_lora + c.at + i, c.from_row + i) = 1.0f;
    }
    for (const auto& [to, from] : role.outputs) Part(n, prefix + "wo_b.weight", to, h * config.output_lora + from, 1.0f / static_cast<float>(config.heads));
  }
  FillRowMap(n, prefix + "wkv.weight", 0);
  FillRowNorm(n, prefix + "kv_norm.weight", role.match);
  const std::int64_t ratio = config.compress_ratios[static_cast<std::size_t>(layer)];
  if (ratio != 0) FillCompressor(n, prefix + "compressor.", ratio, role.match);
  if (ratio == 4) FillIndexer(n, config, prefix + "indexer.");
}

std::vector<std::byte> Encode(const std::vector<float>& values, DType dtype) {
  const auto bits = static_cast<std::size_t>(tensor::DTypeBits(dtype));
  std::vector<std::byte> bytes(values.size() * bits / 8);
  if (dtype == DType::kF32) std::memcpy(bytes.data(), values.data(), bytes.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kBF16) {
      const std::uint16_t code = tensor::ToBf16(values[i]);
      std::memcpy(bytes.data() + 2 * i, &code, 2);
    }
    if (dtype == DType::kF8E4M3) {
      bytes[i] = static_cast<std::byte>(tensor::ToE4m3(values[i]));
      CHECK(tensor::FromE4m3(static_cast<std::uint8_t>(bytes[i])) == values[i]);
    }
  }
  return bytes;  // FP4 and tables hold zeros only
}

Status WriteText(const std::filesystem::path& path, const std::string& text) {
  TRY_ASSIGN(hardware::AtomicFile file, hardware::AtomicFile::Create(path));
  TRY(file.Write(text));
  return file.Commit();
}

}  // namespace

checkpoint::ModelConfig ConstructedConfig(double yarn_factor) {
  checkpoint::ModelConfig config;
  config.vocab_size = kVocabulary;
  config.hidden_size = 256;
  config.layers = 4;
  config.heads = 2;
  config.head_dim = 512;
  config.rope_dim = 64;
  config.q_lora = 128;
  config.output_groups = 2;
  config.output_lora = 64;
  config.window = 128;
  config.compress_ratios = {0, 4, 4, 128};
  config.has_yarn = true;
  config.yarn = {yarn_factor, 65536, 32, 1};
  config.max_positions = 2097152;
  config.index_heads = 4;
  config.index_dim = 128;
  config.index_top_k = 16;
  config.experts = 2;
  config.experts_per_token = 1;
  config.expert_intermediate = 32;
  config.hash_layers = 1;
  config.swiglu_limit = 10;
  config.streams = 4;
  config.sinkhorn_iterations = 20;
  config.experts_fp4 = true;
  return config;
}

Status WriteConstructed(const std::filesystem::path& folder, const checkpoint::ModelConfig& config) {
  std::vector<checkpoint::TensorSpec> specs;
  Numbers n;
  checkpoint::ForEachTensor(config, config.experts, [&](const checkpoint::TensorSpec& spec) {
    specs.push_back(spec);
    const bool vector = spec.shape.size() == 1, one = spec.name.find("norm") != std::string::npos || spec.name.ends_with("_scale");
    n.Shape(spec.name, vector ? 1 : spec.shape[0], vector ? spec.shape[0] : spec.shape[1], one ? 1.0f : 0.0f);
    return true;
  });
  FillEmbedding(n);
  FillHead(n);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    FillSite(n, prefix + "hc_attn", RoleOf(layer).reads_found);
    FillSite(n, prefix + "hc_ffn", false);
    FillAttention(n, config, layer);
  }
  for (std::int64_t j = 0; j < 4; ++j) n.At("hc_head_base", 0, j) = j == 1 ? kFar : -kFar;

  std::deque<std::vector<std::byte>> contents;
  std::vector<checkpoint::NamedTensor> tensors;
  const auto add = [&](const std::string& name, DType dtype, std::vector<std::int64_t> shape, std::vector<std::byte> bytes) {
    contents.push_back(std::move(bytes));
    tensors.push_back({name, {dtype, std::move(shape), contents.back()}});
  };
  for (const checkpoint::TensorSpec& spec : specs) {
    std::vector<std::int64_t> shape = spec.shape;
    if (spec.official == DType::kF4) shape.back() /= 2;
    add(spec.name, spec.official == DType::kF4 ? DType::kI8 : spec.official, shape, Encode(n.Values(spec.name), spec.official));
    if (spec.official != DType::kF4 && spec.official != DType::kF8E4M3) continue;
    const std::vector<std::int64_t> scale_shape = checkpoint::ScaleShape(spec.shape, spec.official);
    const auto ones = static_cast<std::size_t>(scale_shape[0] * scale_shape[1]);
    add(checkpoint::ScaleName(spec.name), DType::kF8E8M0, scale_shape, std::vector<std::byte>(ones, std::byte{127}));
  }
  TRY(checkpoint::WriteSafetensors(folder / "model.safetensors", tensors));
  return WriteText(folder / "config.json", checkpoint::WriteModelConfig(config));
}

}  // namespace baleen::long_context

#include "checkpoint/random_weights.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/scalar.h"

namespace baleen::checkpoint {
namespace {

using tensor::DType;

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;

std::uint64_t Mix(std::uint64_t z) {  // the finaliser of splitmix64, as in Appendix B
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

std::uint64_t Key(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash + Mix(seed * kGolden);
}

/// e4m3 codes of 256 evenly spaced values from -448 to 448.
const std::array<std::uint8_t, 256>& Fp8Codes() {
  static const auto codes = [] {
    std::array<std::uint8_t, 256> table{};
    for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = tensor::ToE4m3((static_cast<float>(i) - 127.5f) / 127.5f * tensor::kE4m3Largest);
    return table;
  }();
  return codes;
}

constexpr double kFp8Deviation = 259.7, kFp4Deviation = 2.9262;  // of Fp8Codes, and of the sixteen e2m1 values

struct Uniform {
  float center, spread;
};

Uniform PlainRange(const TensorSpec& spec) {
  const std::string& name = spec.name;
  const bool matrix = spec.shape.size() == 2;
  if (name.find("norm") != std::string::npos) return {1.0f, 0.25f};
  if (name == "embed.weight") return {0.0f, 1.0f};
  if (name.ends_with("_scale")) return {0.25f, 0.1f};
  if (name.ends_with("_base")) return {0.0f, 0.25f};
  if (name.ends_with("attn_sink") || name.ends_with(".ape")) return {0.0f, 0.1f};
  if (name.ends_with("gate.bias")) return {0.0f, 0.02f};
  return {0.0f, static_cast<float>(std::sqrt(3.0 / static_cast<double>(matrix ? spec.shape[1] : 1)))};
}

}  // namespace

RandomTensor::RandomTensor(const TensorSpec& spec, const ModelConfig& config, std::uint64_t seed) : key_(Key(spec.name, seed)) {
  experts_ = static_cast<std::uint64_t>(config.experts);
  experts_per_token_ = static_cast<std::uint64_t>(config.experts_per_token);
  if (spec.storage == Storage::kTable) kind_ = Kind::kExpertIds;
  else if (spec.official == DType::kF8E4M3) kind_ = Kind::kFp8;
  else if (spec.official == DType::kF4) kind_ = Kind::kFp4;
  else kind_ = spec.official == DType::kBF16 ? Kind::kBf16 : Kind::kF32;
  const Uniform range = PlainRange(spec);
  center_ = range.center;
  spread_ = range.spread;
}

RandomTensor RandomTensor::Scales(const TensorSpec& spec, const ModelConfig& config, std::uint64_t seed) {
  RandomTensor out(spec, config, seed);
  const double deviation = spec.official == DType::kF4 ? kFp4Deviation : kFp8Deviation;
  const double wanted = 1.0 / (deviation * std::sqrt(static_cast<double>(spec.shape[1])));  // of the scale, root mean square
  const int exponent = static_cast<int>(std::ceil(std::log2(wanted)));
  const double share = (wanted * wanted / std::exp2(2.0 * exponent) - 0.25) / 0.75;  // share·4^e + (1 - share)·4^(e-1) = wanted²
  out.kind_ = Kind::kScale;
  out.key_ = Key(ScaleName(spec.name), seed);
  out.scale_ = static_cast<std::uint8_t>(exponent + 127);
  out.larger_of_65536_ = static_cast<std::uint32_t>(std::lround(std::clamp(share, 0.0, 1.0) * 65536));
  return out;
}

template <RandomTensor::Kind kind>
std::uint64_t RandomTensor::WordOf(std::uint64_t index) const {
  if constexpr (kind == Kind::kExpertIds) {
    const std::uint64_t token = index / experts_per_token_, choice = index % experts_per_token_;
    const std::uint64_t bits = Mix(key_ + (token + 1) * kGolden);
    const std::uint64_t stride = 1 + (bits >> 32) % (experts_ / experts_per_token_);  // choice·stride < experts: all different
    return (bits % experts_ + choice * stride) % experts_;
  }
  const std::uint64_t bits = Mix(key_ + (index + 1) * kGolden);
  if constexpr (kind == Kind::kFp4) return bits;
  std::uint64_t word = 0;
  if constexpr (kind == Kind::kFp8) {
    const std::array<std::uint8_t, 256>& codes = Fp8Codes();
    for (int i = 0; i < 64; i += 8) word |= static_cast<std::uint64_t>(codes[(bits >> i) & 0xFF]) << i;
  } else if constexpr (kind == Kind::kScale) {
    const std::uint64_t more = Mix(bits + kGolden);
    for (int i = 0; i < 64; i += 8) {
      const std::uint64_t draw = ((i < 32 ? bits : more) >> (i % 32 * 2)) & 0xFFFF;
      word |= static_cast<std::uint64_t>(scale_ - (draw < larger_of_65536_ ? 0 : 1)) << i;
    }
  } else if constexpr (kind == Kind::kBf16) {
    for (int i = 0; i < 64; i += 16) {
      const float u = (static_cast<float>((bits >> i) & 0xFFFF) - 32767.5f) * 0x1p-15f;
      word |= static_cast<std::uint64_t>(tensor::ToBf16(center_ + spread_ * u)) << i;
    }
  } else {
    for (int i = 0; i < 64; i += 32) {
      const float u = static_cast<float>(static_cast<std::int32_t>(bits >> i)) * 0x1p-31f;
      word |= static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(center_ + spread_ * u)) << i;
    }
  }
  return word;
}

template <RandomTensor::Kind kind>
void RandomTensor::FillOf(std::uint64_t first, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t at = first + done, skip = at % 8;
    const std::uint64_t word = WordOf<kind>(at / 8);
    const std::size_t count = std::min<std::size_t>(8 - skip, out.size() - done);
    std::memcpy(out.data() + done, reinterpret_cast<const std::byte*>(&word) + skip, count);
    done += count;
    if (count < 8) continue;
    std::uint64_t index = at / 8 + 1;
    for (; done + 8 <= out.size(); done += 8, ++index) {
      const std::uint64_t whole = WordOf<kind>(index);
      std::memcpy(out.data() + done, &whole, 8);
    }
  }
}

void RandomTensor::Fill(std::uint64_t first, std::span<std::byte> out) const {
  switch (kind_) {
    case Kind::kFp8: return FillOf<Kind::kFp8>(first, out);
    case Kind::kFp4: return FillOf<Kind::kFp4>(first, out);
    case Kind::kBf16: return FillOf<Kind::kBf16>(first, out);
    case Kind::kF32: return FillOf<Kind::kF32>(first, out);
    case Kind::kScale: return FillOf<Kind::kScale>(first, out);
    case Kind::kExpertIds: return FillOf<Kind::kExpertIds>(first, out);
  }
}

}  // namespace baleen::checkpoint

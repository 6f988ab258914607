#include "plan/counts.h"

#include <algorithm>

namespace baleen::plan {
namespace {

using checkpoint::ModelConfig;
using checkpoint::Part;
using checkpoint::Storage;
using checkpoint::TensorSpec;
using tensor::DType;

std::uint64_t Elements(const std::vector<std::int64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::uint64_t>(extent);
  return count;
}

/// Every tensor, with how many like it there are: a layer's experts are all alike, so only the first is listed.
template <typename Use>
void ForEachKind(const ModelConfig& config, Use use) {
  checkpoint::ForEachTensor(config, 1, [&](const TensorSpec& spec) {
    const bool routed = spec.part == Part::kRoutedExperts;
    use(spec, routed ? static_cast<std::uint64_t>(config.experts) : 1, routed ? static_cast<std::uint64_t>(config.experts_per_token) : 1);
    return true;
  });
}

std::int64_t CompressedRows(std::int64_t ratio, std::int64_t tokens) { return ratio == 0 ? 0 : tokens / ratio; }

std::int64_t RowsAttended(const ModelConfig& config, std::int64_t ratio, std::int64_t tokens) {
  const std::int64_t compressed = CompressedRows(ratio, tokens);
  return std::min(config.window, tokens) + (ratio == 4 ? std::min(config.index_top_k, compressed) : compressed);
}

std::uint64_t Unsigned(std::int64_t value) { return static_cast<std::uint64_t>(value); }

}  // namespace

ParameterCounts CountParameters(const ModelConfig& config) {
  ParameterCounts counts;
  ForEachKind(config, [&](const TensorSpec& spec, std::uint64_t copies, std::uint64_t used) {
    if (spec.storage == Storage::kTable) return;
    const std::uint64_t elements = Elements(spec.shape);
    (spec.drafter ? counts.drafter_total : counts.total) += elements * copies;
    if (spec.part != Part::kEmbedding) (spec.drafter ? counts.drafter_active : counts.active) += elements * used;
    if (!spec.drafter) counts.by_part[spec.part] += elements * copies;
  });
  return counts;
}

std::map<DType, std::uint64_t> OfficialBytes(const ModelConfig& config) {
  std::map<DType, std::uint64_t> bytes;
  ForEachKind(config, [&](const TensorSpec& spec, std::uint64_t copies, std::uint64_t) {
    const DType written = spec.official == DType::kF4 ? DType::kI8 : spec.official;
    bytes[written] += Elements(spec.shape) * static_cast<std::uint64_t>(tensor::DTypeBits(spec.official)) / 8 * copies;
    if (spec.official == DType::kF4 || spec.official == DType::kF8E4M3) {
      bytes[DType::kF8E8M0] += Elements(checkpoint::ScaleShape(spec.shape, spec.official)) * copies;
    }
  });
  return bytes;
}

std::uint64_t RowBytes(const ModelConfig& config, CacheFormat format) {
  if (format == CacheFormat::kBf16) return Unsigned(config.head_dim) * 2;
  const std::uint64_t plain = Unsigned(config.head_dim - config.rope_dim);
  const std::uint64_t scales = (plain + 63) / 64;
  return plain + Unsigned(config.rope_dim) * 2 + (scales + 7) / 8 * 8;
}

std::uint64_t IndexKeyBytes(const ModelConfig& config, CacheFormat format) {
  const std::uint64_t width = Unsigned(config.index_dim);
  if (format == CacheFormat::kBf16) return width * 2;
  return format == CacheFormat::kFp8 ? width + 4 : width / 2 + (width + 31) / 32;
}

double CacheBytesPerToken(const ModelConfig& config, CacheFormat format) {
  double bytes = 0;
  for (const std::int64_t ratio : config.compress_ratios) {
    if (ratio == 0) continue;
    bytes += static_cast<double>(RowBytes(config, format) + (ratio == 4 ? IndexKeyBytes(config, format) : 0)) / static_cast<double>(ratio);
  }
  return bytes;
}

std::uint64_t CacheBytes(const ModelConfig& config, CacheFormat format, std::int64_t tokens) {
  std::uint64_t bytes = 0;
  for (const std::int64_t ratio : config.compress_ratios) {
    const std::int64_t compressed = CompressedRows(ratio, tokens);
    bytes += Unsigned(config.window + compressed) * RowBytes(config, format);
    if (ratio == 4) bytes += Unsigned(compressed) * IndexKeyBytes(config, format);
  }
  return bytes;
}

std::uint64_t CacheBytesRead(const ModelConfig& config, CacheFormat format, std::int64_t tokens) {
  std::uint64_t bytes = 0;
  for (const std::int64_t ratio : config.compress_ratios) {
    bytes += Unsigned(RowsAttended(config, ratio, tokens)) * RowBytes(config, format);
    if (ratio == 4) bytes += Unsigned(CompressedRows(ratio, tokens)) * IndexKeyBytes(config, format);
  }
  return bytes;
}

std::uint64_t CompressorStateBytes(const ModelConfig& config) {
  constexpr std::uint64_t kBuffers = 2;  // values and scores
  std::uint64_t floats = 0;
  for (const std::int64_t ratio : config.compress_ratios) {
    const std::uint64_t overlap = ratio == 4 ? 2 : 1;
    const std::uint64_t width = Unsigned(config.head_dim) + (ratio == 4 ? Unsigned(config.index_dim) : 0);
    floats += overlap * Unsigned(ratio) * overlap * width * kBuffers;
  }
  return floats * sizeof(float);
}

Flops FlopsPerToken(const ModelConfig& config, std::int64_t tokens) {
  Flops flops;
  ForEachKind(config, [&](const TensorSpec& spec, std::uint64_t, std::uint64_t used) {
    if (spec.drafter || spec.shape.size() != 2 || spec.storage == Storage::kTable || spec.name.ends_with(".ape")) return;
    const double cost = 2.0 * static_cast<double>(Elements(spec.shape)) * static_cast<double>(used);
    switch (spec.part) {
      case Part::kQuery: flops.query += cost; break;
      case Part::kKeyValue: flops.key_value += cost; break;
      case Part::kOutput: flops.output += cost; break;
      case Part::kCompressor: flops.compressor += cost; break;
      case Part::kIndexer: flops.indexer += cost; break;
      case Part::kStreams: flops.streams += cost; break;
      case Part::kRouter: flops.router += cost; break;
      case Part::kRoutedExperts:
      case Part::kSharedExperts: flops.experts += cost; break;
      case Part::kHead: flops.head += cost; break;
      case Part::kEmbedding:
      case Part::kNorms:
      case Part::kDrafterOnly: break;
    }
  });
  for (const std::int64_t ratio : config.compress_ratios) {
    flops.attention += 4.0 * static_cast<double>(config.heads * config.head_dim) * static_cast<double>(RowsAttended(config, ratio, tokens));
    if (ratio == 4) {
      flops.index_scores += 2.0 * static_cast<double>(config.index_heads * config.index_dim) * static_cast<double>(CompressedRows(ratio, tokens));
    }
  }
  return flops;
}

}  // namespace baleen::plan

#pragma once

#include <cstdint>
#include <map>

#include "checkpoint/model_config.h"
#include "checkpoint/tensor_list.h"

namespace baleen::plan {

/// Parameters, without quantisation scales and hash tables. Active: what one token multiplies with, the LM head included and the
/// embedding not.
struct ParameterCounts {
  std::uint64_t total = 0, active = 0;                   // backbone
  std::uint64_t drafter_total = 0, drafter_active = 0;   // MTP module or DSpark stages
  std::map<checkpoint::Part, std::uint64_t> by_part;     // backbone, total
};
ParameterCounts CountParameters(const checkpoint::ModelConfig& config);

/// Bytes of a checkpoint in the vendor's format, by the dtype written in the file (FP4 pairs are I8), scales and tables included.
std::map<tensor::DType, std::uint64_t> OfficialBytes(const checkpoint::ModelConfig& config);

/// How rows are kept (§10.1): bf16; e4m3 with e8m0 scales per 64 and a bf16 rotated part ("584 B"), index keys e4m3 ("132 B") or FP4 ("68 B").
enum class CacheFormat { kBf16, kFp8, kFp8IndexFp4 };

/// Bytes of one window or compressed row, and of one index key.
std::uint64_t RowBytes(const checkpoint::ModelConfig& config, CacheFormat format);
std::uint64_t IndexKeyBytes(const checkpoint::ModelConfig& config, CacheFormat format);

/// What each further token adds when the window is full, backbone only (§10.2).
double CacheBytesPerToken(const checkpoint::ModelConfig& config, CacheFormat format);
/// A sequence of `tokens`: window rows of every backbone layer, compressed rows, index keys.
std::uint64_t CacheBytes(const checkpoint::ModelConfig& config, CacheFormat format, std::int64_t tokens);
/// What decoding one token reads of it.
std::uint64_t CacheBytesRead(const checkpoint::ModelConfig& config, CacheFormat format, std::int64_t tokens);
/// fp32 buffers of the compressors of one sequence (§4.4).
std::uint64_t CompressorStateBytes(const checkpoint::ModelConfig& config);

/// Floating-point operations of one token (2 per multiply-add) when the context holds `tokens`, itself included (§10.3).
struct Flops {
  double query = 0, key_value = 0, output = 0, compressor = 0, indexer = 0, streams = 0, router = 0, experts = 0, head = 0;
  double attention = 0, index_scores = 0;  // these grow with the context

  double Linear() const { return query + key_value + output + compressor + indexer + streams + router + experts + head; }
  double Total() const { return Linear() + attention + index_scores; }
};
Flops FlopsPerToken(const checkpoint::ModelConfig& config, std::int64_t tokens);

}  // namespace baleen::plan

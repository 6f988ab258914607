#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "tensor/dtype.h"

namespace baleen::checkpoint {

/// What a tensor may be stored as (§9.3).
enum class Storage {
  kPlain,   // BF16 or F32
  kLinear,  // F8_E4M3 with an F8_E8M0 .scale per 128x128, or BF16 or F32
  kExpert,  // as kLinear, or FP4 (I8 pairs or F4) with an F8_E8M0 .scale per 32 columns of a row
  kTable,   // I64 or I32
};

/// The part of the model a tensor belongs to, for counts.
enum class Part {
  kEmbedding, kHead, kQuery, kKeyValue, kOutput, kCompressor, kIndexer, kStreams, kRouter, kRoutedExperts, kSharedExperts, kNorms, kDrafterOnly,
};

/// A tensor that a checkpoint of some configuration holds. Scales are not listed: the stored dtype of a linear decides about them.
struct TensorSpec {
  std::string name;                 // official
  std::vector<std::int64_t> shape;  // logical
  Storage storage = Storage::kPlain;
  tensor::DType official = tensor::DType::kBF16;  // as the vendor stores it; kF4 is written as I8 pairs
  Part part = Part::kNorms;
  std::int64_t layer = -1;          // backbone layer, or drafter module, or -1
  bool drafter = false;
};

/// Calls `use` for every tensor of §9.3, in file order: embedding, layers, head, drafter modules. Of each layer's routed experts only
/// the first `experts_listed` are listed (all: config.experts). Stops early and returns false when `use` returns false.
bool ForEachTensor(const ModelConfig& config, std::int64_t experts_listed, const std::function<bool(const TensorSpec&)>& use);

/// The e8m0 scale shape of a linear [out, in] stored as FP8 (128x128 blocks) or FP4 (rows x 32 columns).
std::vector<std::int64_t> ScaleShape(const std::vector<std::int64_t>& shape, tensor::DType dtype);

/// "layers.0.attn.wkv.weight" → "layers.0.attn.wkv.scale".
std::string ScaleName(const std::string& weight_name);

}  // namespace baleen::checkpoint

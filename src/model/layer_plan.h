#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/model_config.h"

namespace baleen::model {

/// Three arithmetics. Exact = fp32 with dequantised weights and nothing else rounded; official = the vendor's (specification §0.3): bf16 between
/// operations, e4m3 activations before FP8 and FP4 weights, quantised KV rows and index keys; fast = official, but for the activations: FP8
/// and FP4 weights multiply them as bytes in groups of 512 channels.
enum class Arithmetic { kExact, kOfficial, kFast };

/// The arithmetic of a model for which none is asked: the fastest on this CPU that is no further from exact than official is. From 2,048 channels on
/// that is fast; narrower rows decode faster in official (docs/performance.md).
Arithmetic DefaultArithmetic(const checkpoint::ModelConfig& config) noexcept;

enum class AttentionKind {
  kWindow,  // the last tokens only
  kCsa,     // window + the compressed entries that the indexer chooses (ratio 4, overlapping windows)
  kHca,     // window + every compressed entry
};
enum class RouterKind { kHash, kScore };

/// One block of the model as data: what its two halves do.
struct LayerPlan {
  AttentionKind attention = AttentionKind::kWindow;
  std::int64_t ratio = 0;  // source tokens per compressed entry; 0 for kWindow
  RouterKind router = RouterKind::kScore;

  bool operator==(const LayerPlan&) const = default;
};

/// The backbone's layers in order (§1.2: ratio 4 is CSA, other ratios HCA, 0 the window alone; the first hash_layers route by token id).
std::vector<LayerPlan> PlanLayers(const checkpoint::ModelConfig& config);

/// RoPE frequencies of rope_dim / 2 pairs, computed in fp32 step by step as the vendor does (§3.3). `compressed` layers have their own θ and YaRN.
std::vector<float> RopeFrequencies(const checkpoint::ModelConfig& config, bool compressed);

}  // namespace baleen::model

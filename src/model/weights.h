#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "backend/ops.h"
#include "checkpoint/checkpoint.h"
#include "diagnostics/result.h"
#include "model/layer_plan.h"

namespace baleen::model {

using Vector = std::vector<float>;  // small parameters, widened to fp32 when loaded

/// One hyper-connection site (§2.2); fn lies in the file.
struct Site {
  Vector scale, base;
  backend::SiteWeights weights;  // points into scale and base
};

/// A compressor (§4): main or the indexer's.
struct CompressorWeights {
  backend::Matrix value, gate;
  Vector position_bias, norm;
  std::int64_t ratio = 0, dim = 0, channels = 0;
};

struct IndexerWeights {
  backend::Matrix query, weights;
  CompressorWeights compressor;
};

struct AttentionWeights {
  backend::Matrix query_down, query_up, kv, output_down, output_up;  // wq_a, wq_b, wkv, wo_a, wo_b
  Vector query_norm, kv_norm, sink;
  CompressorWeights compressor;  // ratio 0: absent
  IndexerWeights indexer;        // kCsa only
};

struct RouterWeights {
  backend::Matrix gate;
  Vector bias;                            // kScore
  const std::byte* token_experts = nullptr;  // kHash: tid2eid
  bool token_experts_are_64_bit = true;
};

/// One block: its plan and everything it multiplies with.
struct Layer {
  LayerPlan plan;
  std::int64_t cache_layer = 0;  // its place in kvcache::Layout
  Site before_attention, before_experts;
  Vector attention_norm, expert_norm;
  AttentionWeights attention;
  RouterWeights router;
  std::vector<backend::ExpertWeights> experts;  // routed, then the shared one
};

/// Hyper head and norm in front of the LM head (§2.3, §8); the backbone has one, the drafter its own.
struct Head {
  Site site;
  Vector norm;
};

/// The MTP module of preview checkpoints (§7.1).
struct MtpModule {
  Layer block;
  backend::Matrix token_projection, stream_projection;  // e_proj, h_proj
  Vector token_norm, stream_norm;                       // enorm, hnorm
  Head head;
};

/// The DSpark drafter of the releases from 0731 on (§7.2): blocks that draft several tokens at once beside the backbone's features.
struct DsparkDrafter {
  std::deque<Layer> stages;
  backend::Matrix feature_projection;            // main_proj [d, targets·d]
  Vector feature_norm;                           // main_norm
  Head head;                                     // of the last stage
  backend::Matrix markov_embedding, markov_output;  // markov_w1, markov_w2 [vocab, rank]
  backend::Matrix confidence;                    // confidence_head.proj [1, d + rank]
};

/// Every weight of a model: matrices point into the mapped checkpoint, vectors are owned. The checkpoint must outlive it. Not copyable.
struct Weights {
  backend::Matrix embedding, lm_head;
  std::deque<Layer> layers;
  Head head;
  std::deque<MtpModule> mtp;         // empty, or the one module
  std::deque<DsparkDrafter> dspark;  // empty, or the one drafter
};

/// Finds and checks every tensor the plan needs (§9.3). with_drafter: also the drafter's if the checkpoint has one.
/// Errors: a tensor that is absent, of a wrong shape or dtype; a hash table with an expert that does not exist.
Result<Weights> LoadWeights(const checkpoint::Checkpoint& checkpoint, bool with_drafter);

}  // namespace baleen::model

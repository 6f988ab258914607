#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::checkpoint {

/// What drafts tokens beside the backbone (specification §7).
enum class DrafterKind { kNone, kMtp, kDspark };

/// RoPE frequencies of the layers with a compress ratio (§3.3); absent = plain frequencies.
struct Yarn {
  double factor = 1;
  std::int64_t original_positions = 0;
  double beta_fast = 32, beta_slow = 1;

  bool operator==(const Yarn&) const = default;
};

/// The facts of config.json (§1.1), checked: every size is positive, bounded and consistent with the others.
struct ModelConfig {
  std::string model_type = "deepseek_v4";
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;             // d
  std::int64_t layers = 0;                  // without drafter modules
  std::int64_t heads = 0;                   // H
  std::int64_t head_dim = 0;                // D
  std::int64_t rope_dim = 0;                // Dr, even, <= head_dim and <= index_dim
  std::int64_t q_lora = 0;
  std::int64_t output_groups = 0;           // G, divides heads
  std::int64_t output_lora = 0;             // R, per group
  std::int64_t window = 0;                  // tokens, including the query's own
  std::vector<std::int64_t> compress_ratios;          // one per layer; 0 = window only, 4 = CSA, other = HCA
  std::vector<std::int64_t> drafter_compress_ratios;  // one per drafter module; must all be 0
  double rope_theta = 10000, compress_rope_theta = 160000;
  bool has_yarn = false;
  Yarn yarn;
  std::int64_t max_positions = 0;
  std::int64_t index_heads = 0, index_dim = 0, index_top_k = 0;  // 0 where no layer has ratio 4 and the keys are absent
  std::int64_t experts = 0, experts_per_token = 0, shared_experts = 1;
  std::int64_t expert_intermediate = 0;     // I, routed and shared
  double route_scale = 1;
  std::int64_t hash_layers = 0;             // the first so many layers are hash-routed
  double swiglu_limit = 0;                  // 0 = no clamp
  std::int64_t streams = 0;                 // n
  std::int64_t sinkhorn_iterations = 0;
  double hc_eps = 1e-6, norm_eps = 1e-6;
  DrafterKind drafter = DrafterKind::kNone;
  std::int64_t drafter_modules = 0;         // MTP modules or DSpark stages
  std::int64_t dspark_block = 0, dspark_noise_token = 0, dspark_markov_rank = 0;
  std::vector<std::int64_t> dspark_target_layers;
  std::int64_t bos_token = 0, eos_token = 1;
  bool experts_fp4 = false;                 // expert_dtype; what a tensor really is, its own dtype says

  bool operator==(const ModelConfig&) const = default;
};

/// Reads config.json of a released or tiny model: Hugging Face keys, or the inference keys of §1.1 (either file alone is enough).
/// Errors name the key, the value found and what was expected (impossible sizes, mismatched groups, unknown model_type, wrong types).
Result<ModelConfig> ParseModelConfig(std::string_view json_text);

/// The config.json that ParseModelConfig reads back to the same value (Hugging Face keys).
std::string WriteModelConfig(const ModelConfig& config);

/// The same facts under the inference keys of §1.1 (which have no place for max_positions and the token ids).
std::string WriteInferenceConfig(const ModelConfig& config);

/// Built-in configurations: "v4-flash", "v4-pro", "v4-flash-base", "v4-flash-0731", "v4-1.2t-a35b", … Errors: unknown name, with the list.
Result<ModelConfig> PresetConfig(std::string_view name);
std::vector<std::string> PresetNames();

}  // namespace baleen::checkpoint

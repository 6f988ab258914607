// The released models (§1.1–1.3), our larger plan and toys for tests, as configurations.

#include <algorithm>
#include <functional>
#include <utility>

#include "checkpoint/model_config.h"

namespace baleen::checkpoint {
namespace {

/// first, then `pairs` times [4, 128], then 4 (§1.2).
std::vector<std::int64_t> Pattern(std::vector<std::int64_t> first, int pairs) {
  for (int i = 0; i < pairs; ++i) first.insert(first.end(), {4, 128});
  first.push_back(4);
  return first;
}

void UseMtp(ModelConfig& config) {
  config.drafter = DrafterKind::kMtp;
  config.drafter_modules = 1;
  config.drafter_compress_ratios = {0};
}

void UseDspark(ModelConfig& config, std::int64_t markov_rank) {
  config.drafter = DrafterKind::kDspark;
  config.drafter_modules = 3;
  config.drafter_compress_ratios = {0, 0, 0};
  config.dspark_block = 5;
  config.dspark_noise_token = 128799;
  config.dspark_markov_rank = markov_rank;
  config.dspark_target_layers = {config.layers - 3, config.layers - 2, config.layers - 1};
}

/// What all released models share.
ModelConfig Family() {
  ModelConfig config;
  config.vocab_size = 129280;
  config.head_dim = 512;
  config.rope_dim = 64;
  config.output_lora = 1024;
  config.window = 128;
  config.has_yarn = true;
  config.yarn = {16, 65536, 32, 1};
  config.max_positions = 1048576;
  config.index_heads = 64;
  config.index_dim = 128;
  config.experts_per_token = 6;
  config.hash_layers = 3;
  config.swiglu_limit = 10;
  config.streams = 4;
  config.sinkhorn_iterations = 20;
  config.experts_fp4 = true;
  return config;
}

ModelConfig Flash() {
  ModelConfig config = Family();
  config.hidden_size = 4096;
  config.layers = 43;
  config.heads = 64;
  config.q_lora = 1024;
  config.output_groups = 8;
  config.compress_ratios = Pattern({0, 0}, 20);
  config.index_top_k = 512;
  config.experts = 256;
  config.expert_intermediate = 2048;
  config.route_scale = 1.5;
  UseMtp(config);
  return config;
}

ModelConfig Pro() {
  ModelConfig config = Family();
  config.hidden_size = 7168;
  config.layers = 61;
  config.heads = 128;
  config.q_lora = 1536;
  config.output_groups = 16;
  config.compress_ratios = Pattern({128, 128}, 29);
  config.index_top_k = 1024;
  config.experts = 384;
  config.expert_intermediate = 3072;
  config.route_scale = 2.5;
  UseMtp(config);
  return config;
}

/// Between Flash and Pro in width, with twice their context: 1.2 T parameters, 35 B active, 2,097,152 positions.
ModelConfig Trillion() {
  ModelConfig config = Pro();
  config.hidden_size = 6144;
  config.layers = 57;
  config.heads = 96;
  config.output_groups = 12;
  config.compress_ratios = Pattern({128, 128}, 27);
  config.experts = 400;
  config.expert_intermediate = 2816;
  config.yarn.factor = 32;
  config.max_positions = 2097152;
  return config;
}

/// A toy with every kind of layer, small enough for a unit test.
ModelConfig Tiny() {
  ModelConfig config = Family();
  config.vocab_size = 1024;
  config.hidden_size = 128;
  config.layers = 4;
  config.heads = 4;
  config.head_dim = 128;
  config.q_lora = 64;
  config.output_groups = 2;
  config.output_lora = 64;
  config.window = 32;
  config.compress_ratios = {0, 4, 16, 4};
  config.yarn.original_positions = 4096;
  config.max_positions = 65536;
  config.index_heads = 8;
  config.index_dim = 64;
  config.index_top_k = 16;
  config.experts = 8;
  config.experts_per_token = 2;
  config.expert_intermediate = 64;
  config.route_scale = 1.5;
  config.hash_layers = 1;
  UseMtp(config);
  return config;
}

ModelConfig WithFp8Experts(ModelConfig config) {
  config.experts_fp4 = false;
  return config;
}

ModelConfig WithDspark(ModelConfig config, std::int64_t markov_rank) {
  UseDspark(config, markov_rank);
  config.dspark_noise_token = std::min(config.dspark_noise_token, config.vocab_size - 1);
  return config;
}

const std::vector<std::pair<std::string, std::function<ModelConfig()>>>& Presets() {
  static const std::vector<std::pair<std::string, std::function<ModelConfig()>>> presets = {
      {"v4-flash", Flash},
      {"v4-flash-base", [] { return WithFp8Experts(Flash()); }},
      {"v4-flash-dspark", [] { return WithDspark(Flash(), 256); }},
      {"v4-flash-0731", [] { return WithDspark(Flash(), 256); }},
      {"v4-pro", Pro},
      {"v4-pro-base", [] { return WithFp8Experts(Pro()); }},
      {"v4-pro-dspark", [] { return WithDspark(Pro(), 512); }},
      {"v4-pro-0813", [] { return WithDspark(Pro(), 512); }},
      {"v4-1.2t-a35b", Trillion},
      {"tiny", Tiny},
      {"tiny-base", [] { return WithFp8Experts(Tiny()); }},
      {"tiny-dspark", [] { return WithDspark(Tiny(), 16); }},
  };
  return presets;
}

}  // namespace

Result<ModelConfig> PresetConfig(std::string_view name) {
  std::string known;
  for (const auto& [preset, make] : Presets()) {
    if (preset == name) return make();
    known += (known.empty() ? "" : ", ") + preset;
  }
  return diagnostics::NotFound("preset: expected one of " + known + ", found '" + diagnostics::Quoted(name) + "'");
}

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const auto& preset : Presets()) names.push_back(preset.first);
  return names;
}

}  // namespace baleen::checkpoint

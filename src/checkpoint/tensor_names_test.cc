#include "checkpoint/tensor_names.h"

#include <gtest/gtest.h>

#include "checkpoint/tensor_list.h"

namespace baleen::checkpoint {
namespace {

TEST(TensorNamesTest, OfficialNamesStayThemselves) {
  for (const char* preset : {"tiny", "tiny-dspark"}) {
    const ModelConfig config = *PresetConfig(preset);
    ForEachTensor(config, config.experts, [](const TensorSpec& spec) {
      EXPECT_EQ(OfficialName(spec.name), spec.name);
      EXPECT_EQ(OfficialName("model." + spec.name), spec.name);
      return true;
    });
  }
}

TEST(TensorNamesTest, HubNamesAreMapped) {  // §9.5, and the forms of §9.4
  const std::pair<const char*, const char*> names[] = {
      {"model.embed_tokens.weight", "embed.weight"},
      {"lm_head.weight", "head.weight"},
      {"model.norm.weight", "norm.weight"},
      {"model.hc_head.hc_fn", "hc_head_fn"},
      {"model.hc_head.hc_base", "hc_head_base"},
      {"model.hc_head.hc_scale", "hc_head_scale"},
      {"model.layers.7.input_layernorm.weight", "layers.7.attn_norm.weight"},
      {"model.layers.7.post_attention_layernorm.weight", "layers.7.ffn_norm.weight"},
      {"model.layers.7.attn_hc.fn", "layers.7.hc_attn_fn"},
      {"model.layers.7.attn_hc.scale", "layers.7.hc_attn_scale"},
      {"model.layers.7.ffn_hc.base", "layers.7.hc_ffn_base"},
      {"model.layers.7.self_attn.q_a_proj.weight", "layers.7.attn.wq_a.weight"},
      {"model.layers.7.self_attn.q_b_proj.weight_scale_inv", "layers.7.attn.wq_b.scale"},
      {"model.layers.7.self_attn.kv_proj.weight", "layers.7.attn.wkv.weight"},
      {"model.layers.7.self_attn.o_a_proj.weight", "layers.7.attn.wo_a.weight"},
      {"model.layers.7.self_attn.o_b_proj.weight_scale_inv", "layers.7.attn.wo_b.scale"},
      {"model.layers.7.self_attn.q_a_norm.weight", "layers.7.attn.q_norm.weight"},
      {"model.layers.7.self_attn.kv_norm.weight", "layers.7.attn.kv_norm.weight"},
      {"model.layers.7.self_attn.sinks", "layers.7.attn.attn_sink"},
      {"model.layers.7.self_attn.compressor.kv_proj.weight", "layers.7.attn.compressor.wkv.weight"},
      {"model.layers.7.self_attn.compressor.gate_proj.weight", "layers.7.attn.compressor.wgate.weight"},
      {"model.layers.7.self_attn.compressor.kv_norm.weight", "layers.7.attn.compressor.norm.weight"},
      {"model.layers.7.self_attn.compressor.position_bias", "layers.7.attn.compressor.ape"},
      {"model.layers.7.self_attn.compressor.indexer.q_b_proj.weight", "layers.7.attn.indexer.wq_b.weight"},
      {"model.layers.7.self_attn.compressor.indexer.scorer.weights_proj.weight", "layers.7.attn.indexer.weights_proj.weight"},
      {"model.layers.7.self_attn.compressor.indexer.weights_proj.weight", "layers.7.attn.indexer.weights_proj.weight"},
      {"model.layers.7.self_attn.compressor.indexer.kv_proj.weight", "layers.7.attn.indexer.compressor.wkv.weight"},
      {"model.layers.7.self_attn.compressor.indexer.gate_proj.weight", "layers.7.attn.indexer.compressor.wgate.weight"},
      {"model.layers.7.self_attn.compressor.indexer.kv_norm.weight", "layers.7.attn.indexer.compressor.norm.weight"},
      {"model.layers.7.self_attn.compressor.indexer.position_bias", "layers.7.attn.indexer.compressor.ape"},
      {"model.layers.7.mlp.gate.weight", "layers.7.ffn.gate.weight"},
      {"model.layers.7.mlp.gate.e_score_correction_bias", "layers.7.ffn.gate.bias"},
      {"model.layers.7.mlp.gate.tid2eid", "layers.7.ffn.gate.tid2eid"},
      {"model.layers.7.mlp.experts.gate_up_proj", "layers.7.ffn.experts.w13.weight"},
      {"model.layers.7.mlp.experts.down_proj", "layers.7.ffn.experts.w2.weight"},
      {"model.layers.7.mlp.experts.gate_up_proj_scale_inv", "layers.7.ffn.experts.w13.scale"},
      {"model.layers.7.mlp.experts.down_proj.weight_scale_inv", "layers.7.ffn.experts.w2.scale"},
      {"model.layers.7.mlp.experts.12.gate_proj.weight", "layers.7.ffn.experts.12.w1.weight"},
      {"model.layers.7.mlp.experts.12.up_proj.weight_scale_inv", "layers.7.ffn.experts.12.w3.scale"},
      {"model.layers.7.mlp.experts.12.down_proj.weight", "layers.7.ffn.experts.12.w2.weight"},
      {"model.layers.7.mlp.shared_experts.gate_proj.weight", "layers.7.ffn.shared_experts.w1.weight"},
      {"model.layers.7.mlp.shared_experts.down_proj.weight", "layers.7.ffn.shared_experts.w2.weight"},
      {"model.layers.7.mlp.shared_experts.up_proj.weight_scale_inv", "layers.7.ffn.shared_experts.w3.scale"},
      {"layers.7.self_attn.wq_a.weight_scale_inv", "layers.7.attn.wq_a.scale"},
      {"mtp.0.mlp.gate.e_score_correction_bias", "mtp.0.ffn.gate.bias"},
      {"model.mtp.0.hc_head.hc_fn", "mtp.0.hc_head_fn"},
  };
  for (const auto& [stored, official] : names) EXPECT_EQ(OfficialName(stored), official);
}

/// Tensors of the vendor's files whose names begin with `prefix`, scales included.
int CountStored(const char* preset, std::string_view prefix) {
  const ModelConfig config = *PresetConfig(preset);
  int count = 0;
  ForEachTensor(config, config.experts, [&](const TensorSpec& spec) {
    if (spec.name.starts_with(prefix)) count += spec.storage == Storage::kLinear || spec.storage == Storage::kExpert ? 2 : 1;
    return true;
  });
  return count;
}

TEST(TensorNamesTest, ListsHaveAsManyTensorsAsTheReleasedFiles) {  // §9.3, §7.2
  EXPECT_EQ(CountStored("v4-flash", ""), 69187);
  EXPECT_EQ(CountStored("v4-pro", ""), 145116);
  EXPECT_EQ(CountStored("v4-flash-0731", "mtp.0."), 1568);
  EXPECT_EQ(CountStored("v4-flash-0731", "mtp.1."), 1565);
  EXPECT_EQ(CountStored("v4-flash-0731", "mtp.2."), 1572);
}

TEST(TensorNamesTest, StrangeNamesComeBackWhole) {
  for (const char* name : {"", "layers.", "layers.1", "mtp.", "x", "layers.1.", "layers.1.mlp", "vision.patch.weight"}) EXPECT_EQ(OfficialName(name), name);
}

}  // namespace
}  // namespace baleen::checkpoint

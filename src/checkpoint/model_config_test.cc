#include "checkpoint/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace baleen::checkpoint {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json Tiny(const char* preset = "tiny") { return json::parse(WriteModelConfig(*PresetConfig(preset))); }

struct Change {
  const char* key;
  const char* value;  // JSON; nullptr removes the key
  const char* says;   // nullptr: still valid
};

const Change kChanges[] = {
    {"model_type", "\"deepseek_v3\"", "model_type: only 'deepseek_v4'"}, {"model_type", "\"deepseek_v41\"", "model_type"}, {"model_type", "4", "model_type"},
    {"model_type", nullptr, "model_type"},
    {"vocab_size", "0", "vocab_size"}, {"vocab_size", "-1", "vocab_size"}, {"vocab_size", "1099511627776", "vocab_size"},
    {"vocab_size", "1024.0", "vocab_size"},
    {"vocab_size", "\"1024\"", "vocab_size"}, {"vocab_size", "[1024]", "vocab_size"}, {"vocab_size", "18446744073709551615", "vocab_size"},
    {"vocab_size", "1e400", "JSON"}, {"vocab_size", nullptr, "vocab_size"}, {"vocab_size", "null", "vocab_size"}, {"vocab_size", "1", "eos_token_id"},
    {"hidden_size", "0", "hidden_size"}, {"hidden_size", "-4096", "hidden_size"}, {"hidden_size", "1099511627776", "hidden_size"},
    {"hidden_size", nullptr, "hidden_size"},
    {"num_hidden_layers", "0", "num_hidden_layers"}, {"num_hidden_layers", "3", "compress_ratios"}, {"num_hidden_layers", "6", "compress_ratios"},
    {"num_hidden_layers", "100000", "num_hidden_layers"},
    {"num_attention_heads", "0", "num_attention_heads"}, {"num_attention_heads", "3", "o_groups"}, {"o_groups", "3", "o_groups"}, {"o_groups", "0", "o_groups"},
    {"head_dim", "0", "head_dim"}, {"head_dim", "32", "qk_rope_head_dim"},
    {"qk_rope_head_dim", "63", "qk_rope_head_dim"}, {"qk_rope_head_dim", "0", "qk_rope_head_dim"}, {"qk_rope_head_dim", "-2", "qk_rope_head_dim"},
    {"qk_rope_head_dim", nullptr, "qk_rope_head_dim"}, {"qk_rope_head_dim", "128", "index_head_dim"},
    {"q_lora_rank", "0", "q_lora_rank"}, {"o_lora_rank", "0", "o_lora_rank"},
    {"sliding_window", "0", "sliding_window"}, {"sliding_window", "1099511627776", "sliding_window"},
    {"compress_ratios", "[]", "compress_ratios"}, {"compress_ratios", "[0,4,16]", "compress_ratios"}, {"compress_ratios", "[0,4,16,4,0,0]", "compress_ratios"},
    {"compress_ratios", "[0,4,16,-4,0]", "compress_ratios"}, {"compress_ratios", "[0,4,16,4,4]", "drafter"},
    {"compress_ratios", "[0,4,16,\"4\",0]", "compress_ratios"},
    {"compress_ratios", "4", "compress_ratios"}, {"compress_ratios", "[0,4,16,1099511627776,0]", "compress_ratios"},
    {"compress_ratios", nullptr, "compress_ratios"},
    {"compress_ratios", "[0,4,16,4]", nullptr},
    {"rope_theta", "0", "rope_theta"}, {"rope_theta", "-1", "rope_theta"}, {"rope_theta", "1", "rope_theta"}, {"rope_theta", "\"x\"", "rope_theta"},
    {"compress_rope_theta", "0", "compress_rope_theta"},
    {"rope_scaling", "{}", "rope_scaling"}, {"rope_scaling", "4", "rope_scaling"}, {"rope_scaling", "{\"type\":\"linear\",\"factor\":2}", "rope_scaling"},
    {"rope_scaling", "{\"type\":\"yarn\"}", "rope_scaling"}, {"rope_scaling", "{\"type\":\"yarn\",\"factor\":0,\"original_max_position_embeddings\":4}",
        "factor"},
    {"rope_scaling", "{\"type\":\"yarn\",\"factor\":16,\"original_max_position_embeddings\":0}", "original"},
    {"rope_scaling", "{\"type\":\"yarn\",\"factor\":16,\"original_max_position_embeddings\":64,\"beta_fast\":1,\"beta_slow\":2}", "beta_fast"},
    {"rope_scaling", "null", nullptr}, {"rope_scaling", nullptr, nullptr},
    {"rope_scaling", "{\"rope_type\":\"yarn\",\"factor\":16,\"original_max_position_embeddings\":64}", nullptr},
    {"max_position_embeddings", "0", "max_position"}, {"max_position_embeddings", "1099511627776", "max_position"},
    {"index_n_heads", "0", "index_n_heads"}, {"index_head_dim", "96", "power of two"}, {"index_head_dim", "32", "index_head_dim"},
    {"index_topk", "0", "index_topk"},
    {"index_topk", nullptr, "index_topk"},
    {"n_routed_experts", "0", "n_routed_experts"}, {"n_routed_experts", "1", "num_experts_per_tok"}, {"n_routed_experts", "1099511627776", "n_routed_experts"},
    {"num_experts_per_tok", "0", "num_experts_per_tok"}, {"num_experts_per_tok", "9", "num_experts_per_tok"},
    {"moe_intermediate_size", "0", "moe_intermediate_size"},
    {"n_shared_experts", "2", "n_shared_experts"}, {"n_shared_experts", "0", "n_shared_experts"},
    {"num_hash_layers", "5", "num_hash_layers"}, {"num_hash_layers", "-1", "num_hash_layers"}, {"num_hash_layers", "4", nullptr},
    {"routed_scaling_factor", "-1", "routed_scaling_factor"}, {"routed_scaling_factor", "0", "routed_scaling_factor"},
    {"swiglu_limit", "-1", "swiglu_limit"}, {"swiglu_limit", "0", nullptr},
    {"hc_mult", "0", "hc_mult"}, {"hc_mult", "17", "hc_mult"}, {"hc_sinkhorn_iters", "0", "hc_sinkhorn_iters"},
    {"hc_sinkhorn_iters", "1000000", "hc_sinkhorn_iters"},
    {"hc_eps", "-1", "hc_eps"}, {"rms_norm_eps", "-1", "rms_norm_eps"}, {"rms_norm_eps", "\"x\"", "rms_norm_eps"},
    {"num_nextn_predict_layers", "-1", "num_nextn"}, {"num_nextn_predict_layers", "17", "num_nextn"}, {"num_nextn_predict_layers", "2", "compress_ratios"},
    {"num_nextn_predict_layers", "0", "compress_ratios"}, {"num_nextn_predict_layers", nullptr, nullptr},
    {"scoring_func", "\"sigmoid\"", "scoring_func"}, {"topk_method", "\"greedy\"", "topk_method"}, {"hidden_act", "\"gelu\"", "hidden_act"},
    {"norm_topk_prob", "false", "norm_topk_prob"}, {"tie_word_embeddings", "true", "tie_word_embeddings"}, {"attention_bias", "true", "attention_bias"},
    {"num_key_value_heads", "8", "num_key_value_heads"},
    {"quantization_config", "{\"quant_method\":\"gptq\"}", "quant_method"}, {"quantization_config", "{\"weight_block_size\":[64,64]}", "weight_block_size"},
    {"quantization_config", "7", "quantization_config"}, {"quantization_config", nullptr, nullptr},
    {"expert_dtype", "\"int3\"", "expert_dtype"}, {"expert_dtype", "\"fp8\"", nullptr}, {"expert_dtype", nullptr, nullptr},
    {"bos_token_id", "-1", "bos_token_id"}, {"eos_token_id", "1024", "eos_token_id"}, {"eos_token_id", "[1,2]", nullptr}, {"eos_token_id", "null", nullptr},
    {"layer_types", "[\"anything\"]", nullptr}, {"a_key_nobody_knows", "{\"x\":[1,2,3]}", nullptr},
};

TEST(ModelConfigTest, ImpossibleValuesAreRefusedByName) {
  for (const Change& change : kChanges) {
    json config = Tiny();
    std::string text;
    if (change.value == nullptr) {
      config.erase(change.key);
      text = config.dump();
    } else {
      config[change.key] = "@";
      text = config.dump();
      text.replace(text.find("\"@\""), 3, change.value);
    }
    const auto parsed = ParseModelConfig(text);
    const std::string what = std::string(change.key) + " = " + (change.value == nullptr ? "(absent)" : change.value);
    if (change.says == nullptr) {
      EXPECT_TRUE(parsed) << what << ": " << (parsed ? "" : parsed.error().message);
    } else {
      ASSERT_FALSE(parsed) << what;
      EXPECT_THAT(parsed.error().message, HasSubstr(change.says)) << what;
    }
  }
}

TEST(ModelConfigTest, BrokenFilesAreRefused) {
  const std::pair<std::string, const char*> files[] = {
      {"", "JSON"}, {"{", "JSON"}, {"[]", "a JSON object"}, {"null", "a JSON object"}, {"{}", "model_type"}, {"\xFF", "JSON"},
      {"{\"a\":1,\"a\":2}", "appears twice"},
      {"{\"a\":{\"b\":1,\"b\":2}}", "appears twice"}, {"{\"a\":NaN}", "JSON"}, {std::string(100000, '['), "nested"}, {"{\"a\":\"\xC3(\"}", "JSON"},
      {std::string(5u << 20, ' '), "at most"}, {"{} x", "JSON"},
  };
  for (const auto& [text, says] : files) {
    const auto parsed = ParseModelConfig(text);
    ASSERT_FALSE(parsed) << text.substr(0, 40);
    EXPECT_THAT(parsed.error().message, HasSubstr(says)) << text.substr(0, 40);
  }
}

TEST(ModelConfigTest, SiblingObjectsMayUseTheSameKeys) {
  json config = Tiny();
  config["x"] = json::array({{{"a", 1}}, {{"a", 2}}});
  EXPECT_TRUE(ParseModelConfig(config.dump()));
}

TEST(ModelConfigTest, EveryPresetIsReadBackFromBothFiles) {
  for (const std::string& name : PresetNames()) {
    const ModelConfig wanted = *PresetConfig(name);
    const auto hub = ParseModelConfig(WriteModelConfig(wanted));
    ASSERT_TRUE(hub) << name << ": " << hub.error().message;
    EXPECT_TRUE(*hub == wanted) << name;
    auto inference = ParseModelConfig(WriteInferenceConfig(wanted));
    ASSERT_TRUE(inference) << name << ": " << inference.error().message;
    inference->max_positions = wanted.max_positions;  // has no place there
    EXPECT_TRUE(*inference == wanted) << name;
  }
  EXPECT_FALSE(PresetConfig("v5"));
}

TEST(ModelConfigTest, DsparkStagesComeFromTheRatios) {
  const auto parsed = ParseModelConfig(Tiny("tiny-dspark").dump());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->drafter, DrafterKind::kDspark);
  EXPECT_EQ(parsed->drafter_modules, 3);
  const Change changes[] = {{"dspark_noise_token_id", "1024", "dspark_noise"}, {"dspark_target_layer_ids", "[4]", "dspark_target"},
                            {"dspark_target_layer_ids", "[]", "dspark_target"}, {"dspark_target_layer_ids", "[1,1]", "dspark_target"},
                            {"dspark_markov_rank", "0", "dspark_markov"}, {"dspark_block_size", "0", "dspark_block"}};
  for (const Change& change : changes) {
    json config = Tiny("tiny-dspark");
    config[change.key] = json::parse(change.value);
    const auto broken = ParseModelConfig(config.dump());
    ASSERT_FALSE(broken) << change.key;
    EXPECT_THAT(broken.error().message, HasSubstr(change.says));
  }
}

TEST(ModelConfigTest, NewerTransformersKeysMeanTheSame) {
  json config = Tiny();
  const ModelConfig wanted = *ParseModelConfig(config.dump());
  config.erase("compress_ratios");
  config.erase("num_hash_layers");
  config.erase("rope_scaling");
  config.erase("qk_rope_head_dim");
  config["layer_types"] = {"sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention", "compressed_sparse_attention"};
  config["compress_rates"] = {{"compressed_sparse_attention", 4}, {"heavily_compressed_attention", 16}};
  config["mlp_layer_types"] = {"hash_moe", "moe", "moe", "moe"};
  config["partial_rotary_factor"] = 0.5;
  config["rope_parameters"] = {{"main", {{"rope_type", "default"}, {"rope_theta", 10000}}},
                               {"compress", {{"rope_type", "yarn"}, {"rope_theta", 160000}, {"factor", 16}, {"original_max_position_embeddings", 4096}}}};
  const auto parsed = ParseModelConfig(config.dump());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(*parsed == wanted);
  config["mlp_layer_types"] = {"moe", "hash_moe", "moe", "moe"};
  EXPECT_FALSE(ParseModelConfig(config.dump()));
}

}  // namespace
}  // namespace baleen::checkpoint

#include "checkpoint/model_config.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "checkpoint/config_reader.h"

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using diagnostics::Quoted;
using nlohmann::json;

// Bounds far above every known model; they keep all later size arithmetic inside 63 bits.
constexpr std::int64_t kMaxWidth = 1 << 20, kMaxLayers = 1024, kMaxExperts = 1 << 16, kMaxVocabulary = 1 << 24, kMaxHeads = 1 << 14;
constexpr std::int64_t kMaxStreams = 16, kMaxRatio = 1 << 16, kMaxPositions = 1 << 27, kMaxDrafterModules = 16;
constexpr double kMaxParameters = 1e16, kLeastEps = 1e-30;  // below that an fp32 sum with it could be zero
constexpr std::int64_t kDefaultPositions = 1048576, kDsparkStages = 3;

void ReadSizes(ConfigReader& in, ModelConfig& out) {
  out.vocab_size = in.Integer("vocab_size", 1, kMaxVocabulary);
  out.hidden_size = in.Integer(in.Name("hidden_size", "dim"), 1, kMaxWidth);
  out.layers = in.Integer(in.Name("num_hidden_layers", "n_layers"), 1, kMaxLayers);
  out.heads = in.Integer(in.Name("num_attention_heads", "n_heads"), 1, kMaxHeads);
  out.head_dim = in.Integer("head_dim", 1, kMaxHeads);
  out.q_lora = in.Integer("q_lora_rank", 1, kMaxWidth);
  out.output_groups = in.Integer("o_groups", 1, kMaxHeads);
  out.output_lora = in.Integer("o_lora_rank", 1, kMaxWidth);
  out.window = in.Integer(in.Name("sliding_window", "window_size"), 1, kMaxWidth);
  out.max_positions = in.IntegerOr(in.Name("max_position_embeddings", "max_seq_len"), kDefaultPositions, 1, kMaxPositions);
  out.streams = in.Integer("hc_mult", 1, kMaxStreams);
  out.sinkhorn_iterations = in.Integer("hc_sinkhorn_iters", 1, 1000);
  out.hc_eps = in.NumberOr("hc_eps", 1e-6, kLeastEps, 1);
  out.norm_eps = in.NumberOr(in.Name("rms_norm_eps", "norm_eps"), 1e-6, kLeastEps, 1);
  if (in.ok() && out.heads % out.output_groups != 0) {
    in.Fail(InvalidInput("o_groups: expected a divisor of the " + std::to_string(out.heads) + " attention heads, found " + std::to_string(out.output_groups)));
  }
}

void ReadExperts(ConfigReader& in, ModelConfig& out) {
  out.experts = in.Integer("n_routed_experts", 1, kMaxExperts);
  out.experts_per_token = in.Integer(in.Name("num_experts_per_tok", "n_activated_experts"), 1, out.experts);
  out.expert_intermediate = in.Integer(in.Name("moe_intermediate_size", "moe_inter_dim"), 1, kMaxWidth);
  out.route_scale = in.NumberOr(in.Name("routed_scaling_factor", "route_scale"), 1, 1e-6, 1e6);
  out.swiglu_limit = in.NumberOr("swiglu_limit", 0, 0, 1e30);
  in.OnlyInteger("n_shared_experts", 1);
  const double parameters = 3.0 * static_cast<double>(out.layers * out.experts) * static_cast<double>(out.hidden_size * out.expert_intermediate);
  if (parameters > kMaxParameters) in.Fail(InvalidInput("expected at most 1e16 expert parameters together, found more; check layers, experts and widths"));
  const double query = static_cast<double>(out.heads * out.head_dim) * static_cast<double>(out.q_lora + out.output_lora);
  const double output = static_cast<double>(out.output_groups * out.output_lora) * static_cast<double>(out.hidden_size);
  if (static_cast<double>(out.layers) * (query + output) > kMaxParameters) {
    in.Fail(InvalidInput("expected at most 1e16 attention parameters together, found more; check layers, heads and widths"));
  }
  const std::string_view hash_key = in.Name("num_hash_layers", "n_hash_layers");
  if (!in.Has(hash_key) && in.Has("mlp_layer_types")) {
    const std::vector<std::string> kinds = in.Strings("mlp_layer_types", static_cast<std::size_t>(out.layers));
    if (in.ok() && static_cast<std::int64_t>(kinds.size()) != out.layers) in.Wrong("mlp_layer_types", "one entry per layer");
    for (std::size_t i = 0; i < kinds.size() && in.ok(); ++i) {
      const bool hash = kinds[i] == "hash_moe";
      if ((!hash && kinds[i] != "moe") || (hash && out.hash_layers != static_cast<std::int64_t>(i))) {
        in.Fail(InvalidInput("mlp_layer_types: expected 'hash_moe' for the first layers and 'moe' for the others, found '" + Quoted(kinds[i]) +
                             "' at entry " + std::to_string(i)));
      }
      out.hash_layers += hash ? 1 : 0;
    }
  } else {
    out.hash_layers = in.IntegerOr(hash_key, 0, 0, out.layers);
  }
}

/// The fault of a nested object, with the object's key before it.
void FailInside(ConfigReader& in, const ConfigReader& nested, std::string_view key) {
  diagnostics::Error error = nested.Outcome().error();
  error.message = "in " + std::string(key) + ": " + error.message;
  in.Fail(std::move(error));
}

/// Ratios of the layers alone from the names newer transformers releases write (§1.2).
std::vector<std::int64_t> RatiosFromLayerTypes(ConfigReader& in, std::int64_t layers) {
  std::int64_t csa = 4, hca = 128;
  const json* rates = in.Find("compress_rates");
  if (rates != nullptr && rates->is_object()) {
    ConfigReader nested(*rates, true);
    csa = nested.IntegerOr("compressed_sparse_attention", csa, 1, kMaxRatio);
    hca = nested.IntegerOr("heavily_compressed_attention", hca, 1, kMaxRatio);
    if (!nested.ok()) FailInside(in, nested, "compress_rates");
  } else if (rates != nullptr) {
    in.Wrong("compress_rates", "an object with a rate per kind of attention");
  }
  if (csa != 4) in.Fail(diagnostics::Unsupported("compress_rates: compressed_sparse_attention is supported with rate 4, found " + std::to_string(csa)));
  if (hca == 4) in.Fail(diagnostics::Unsupported("compress_rates: heavily_compressed_attention is not supported with rate 4"));
  std::vector<std::int64_t> ratios;
  for (const std::string& kind : in.Strings("layer_types", static_cast<std::size_t>(layers))) {
    if (kind == "sliding_attention") ratios.push_back(0);
    else if (kind == "compressed_sparse_attention") ratios.push_back(csa);
    else if (kind == "heavily_compressed_attention") ratios.push_back(hca);
    else in.Fail(InvalidInput("layer_types: expected sliding_attention, compressed_sparse_attention or heavily_compressed_attention, found '" +
        Quoted(kind) + "'"));
  }
  return ratios;
}

void ReadDspark(ConfigReader& in, ModelConfig& out) {
  out.drafter = DrafterKind::kDspark;
  out.dspark_block = in.Integer("dspark_block_size", 1, 64);
  out.dspark_noise_token = in.Integer("dspark_noise_token_id", 0, out.vocab_size - 1);
  out.dspark_markov_rank = in.Integer("dspark_markov_rank", 1, kMaxHeads);
  out.dspark_target_layers = in.Integers("dspark_target_layer_ids", 0, out.layers - 1, static_cast<std::size_t>(out.layers));
  const std::set<std::int64_t> distinct(out.dspark_target_layers.begin(), out.dspark_target_layers.end());
  if (in.ok() && (distinct.empty() || distinct.size() != out.dspark_target_layers.size())) in.Wrong("dspark_target_layer_ids", "distinct layers, at least one");
}

/// Which layers compress, and what drafts. The list may cover the layers alone (the drafter's tensors were dropped) or its modules too.
void ReadPattern(ConfigReader& in, ModelConfig& out) {
  const bool listed = in.Has("compress_ratios") || !in.Has("layer_types");
  const std::vector<std::int64_t> ratios =
      listed ? in.Integers("compress_ratios", 0, kMaxRatio, kMaxLayers + kMaxDrafterModules) : RatiosFromLayerTypes(in, out.layers);
  if (!in.ok()) return;
  const std::string_view modules_key = in.Name("num_nextn_predict_layers", "n_mtp_layers");
  const std::int64_t extra = static_cast<std::int64_t>(ratios.size()) - out.layers;
  std::int64_t modules = in.IntegerOr(modules_key, std::clamp<std::int64_t>(extra, 0, kMaxDrafterModules), 0, kMaxDrafterModules);
  if (modules > 0) {
    out.drafter = DrafterKind::kMtp;
    if (in.Has("dspark_block_size")) {
      ReadDspark(in, out);
      if (extra > 0) modules = extra;
      else if (in.hub_keys()) modules = kDsparkStages;
    }
  }
  if (!in.ok()) return;
  if (extra != modules && extra != 0) {
    in.Fail(InvalidInput(std::string(listed ? "compress_ratios" : "layer_types") + ": expected " + std::to_string(out.layers) + " entries (one per layer)" +
                         (modules > 0 ? " or " + std::to_string(out.layers + modules) + " (drafter modules too)" : "") + ", found " +
                             std::to_string(ratios.size())));
    return;
  }
  out.drafter_modules = modules;
  out.compress_ratios.assign(ratios.begin(), ratios.begin() + out.layers);
  out.drafter_compress_ratios.assign(ratios.begin() + out.layers, ratios.end());
  out.drafter_compress_ratios.resize(static_cast<std::size_t>(modules), 0);
  for (const std::int64_t ratio : out.drafter_compress_ratios) {
    if (ratio != 0) in.Fail(diagnostics::Unsupported("compress_ratios: drafter modules are supported with ratio 0, found " + std::to_string(ratio)));
  }
}

void ReadIndexer(ConfigReader& in, ModelConfig& out) {
  const bool needed = std::find(out.compress_ratios.begin(), out.compress_ratios.end(), 4) != out.compress_ratios.end();
  const auto read = [&](std::string_view key, std::int64_t high) { return needed ? in.Integer(key, 1, high) : in.IntegerOr(key, 0, 0, high); };
  out.index_heads = read("index_n_heads", kMaxHeads);
  out.index_dim = read("index_head_dim", kMaxHeads);
  out.index_top_k = read("index_topk", kMaxWidth);
  if (!needed || !in.ok()) return;
  if (!std::has_single_bit(static_cast<std::uint64_t>(out.index_dim)) || out.index_dim < out.rope_dim) {
    in.Wrong("index_head_dim", "a power of two that is at least the " + std::to_string(out.rope_dim) + " rotated channels");
  }
}

Yarn ReadYarn(ConfigReader& in) {
  Yarn yarn;
  yarn.factor = in.Number("factor", 1, 1e6);
  yarn.original_positions = in.Integer("original_max_position_embeddings", 1, kMaxPositions);
  yarn.beta_fast = in.NumberOr("beta_fast", 32, 1e-6, 1e6);
  yarn.beta_slow = in.NumberOr("beta_slow", 1, 1e-6, 1e6);
  if (in.ok() && yarn.beta_fast < yarn.beta_slow) in.Wrong("beta_fast", "at least beta_slow");
  return yarn;
}

/// One rope object: {type | rope_type: yarn | default, …}. Returns whether YaRN is on.
bool ReadRopeObject(ConfigReader& in, const json& object, std::string_view key, ModelConfig& out) {
  if (!object.is_object()) {
    in.Fail(InvalidInput(std::string(key) + ": expected an object or null, found something else"));
    return false;
  }
  ConfigReader nested(object, true);
  const json* kind = nested.Find(nested.Has("rope_type") ? "rope_type" : "type");
  const std::string name = kind != nullptr && kind->is_string() ? kind->get<std::string>() : "";
  if (name == "yarn") out.yarn = ReadYarn(nested);
  else if (name != "default") nested.Fail(diagnostics::Unsupported("type: only 'yarn' (or 'default') is supported, found '" + Quoted(name) + "'"));
  if (!nested.ok()) FailInside(in, nested, key);
  return name == "yarn";
}

void ReadNestedTheta(ConfigReader& in, const json& object, std::string_view key, double& theta) {
  if (!object.is_object()) return;
  ConfigReader nested(object, true);
  theta = nested.NumberOr("rope_theta", theta, 1.0001, 1e15);
  if (!nested.ok()) FailInside(in, nested, key);
}

void ReadRope(ConfigReader& in, ModelConfig& out) {
  out.rope_theta = in.NumberOr("rope_theta", 10000, 1.0001, 1e15);
  out.compress_rope_theta = in.NumberOr("compress_rope_theta", 160000, 1.0001, 1e15);
  if (!in.hub_keys()) {
    out.rope_dim = in.Integer("rope_head_dim", 2, out.head_dim);
    const std::int64_t original = in.IntegerOr("original_seq_len", 0, 0, kMaxPositions);
    out.has_yarn = original > 0;
    if (out.has_yarn) {
      out.yarn = {in.NumberOr("rope_factor", 16, 1, 1e6), original, in.NumberOr("beta_fast", 32, 1e-6, 1e6), in.NumberOr("beta_slow", 1, 1e-6, 1e6)};
      if (in.ok() && out.yarn.beta_fast < out.yarn.beta_slow) in.Wrong("beta_fast", "at least beta_slow");
    }
  } else {
    const json* nested = in.Find("rope_parameters");
    const json* compress = nested != nullptr && nested->is_object() && nested->contains("compress") ? &(*nested)["compress"] : nullptr;
    if (compress != nullptr) {
      if (nested->contains("main")) ReadNestedTheta(in, (*nested)["main"], "rope_parameters.main", out.rope_theta);
      ReadNestedTheta(in, *compress, "rope_parameters.compress", out.compress_rope_theta);
      out.has_yarn = ReadRopeObject(in, *compress, "rope_parameters.compress", out);
    } else if (const json* scaling = in.Find("rope_scaling"); scaling != nullptr) {
      out.has_yarn = ReadRopeObject(in, *scaling, "rope_scaling", out);
    }
    if (!in.Has("qk_rope_head_dim") && in.Has("partial_rotary_factor")) {
      out.rope_dim = std::llround(in.Number("partial_rotary_factor", 0, 1) * static_cast<double>(out.head_dim));
    } else {
      out.rope_dim = in.Integer("qk_rope_head_dim", 2, out.head_dim);
    }
  }
  if (in.ok() && (out.rope_dim % 2 != 0 || out.rope_dim < 2)) in.Wrong(in.Name("qk_rope_head_dim", "rope_head_dim"), "an even number");
}

void ReadQuantization(ConfigReader& in, ModelConfig& out) {
  const json* dtype = in.Find("expert_dtype");
  if (dtype != nullptr) {
    const std::string name = dtype->is_string() ? dtype->get<std::string>() : "";
    if (name != "fp4" && name != "fp8") {
      const std::string found = Quoted(dtype->dump(-1, ' ', true, json::error_handler_t::replace));
      in.Fail(diagnostics::Unsupported("expert_dtype: only 'fp4' and 'fp8' are supported, found " + found));
    }
    out.experts_fp4 = name == "fp4";
  }
  if (!in.hub_keys()) {
    in.OnlyText("scale_fmt", "ue8m0");
    in.OnlyText("scale_dtype", "fp8");
    return;
  }
  const json* block = in.Find("quantization_config");
  if (block == nullptr) return;
  if (!block->is_object()) return in.Wrong("quantization_config", "an object");
  ConfigReader nested(*block, true);
  nested.OnlyText("quant_method", "fp8");
  nested.OnlyText("fmt", "e4m3");
  nested.OnlyText("scale_fmt", "ue8m0");
  nested.OnlyText("activation_scheme", "dynamic");
  if (nested.Has("weight_block_size") && nested.Integers("weight_block_size", 1, kMaxWidth, 2) != std::vector<std::int64_t>{128, 128}) {
    nested.Fail(diagnostics::Unsupported("weight_block_size: only [128, 128] is supported"));
  }
  if (!nested.ok()) FailInside(in, nested, "quantization_config");
}

/// An id, or the first of a list of ids (newer transformers files).
std::int64_t ReadTokenId(ConfigReader& in, std::string_view key, std::int64_t absent, std::int64_t vocab_size) {
  const json* value = in.Find(key);
  if (value == nullptr || !value->is_array()) return in.IntegerOr(key, absent, 0, vocab_size - 1);
  const std::vector<std::int64_t> ids = in.Integers(key, 0, vocab_size - 1, 16);
  return ids.empty() ? absent : ids.front();
}

/// The type a loader would widen to; weights are read as they are stored, so any floating type will do.
void CheckTorchDtype(ConfigReader& in, std::string_view key) {
  const json* value = in.Find(key);
  if (value == nullptr) return;
  std::string_view name = value->is_string() ? std::string_view(value->get_ref<const std::string&>()) : "";
  if (name.starts_with("torch.")) name.remove_prefix(6);
  for (const std::string_view known : {"bfloat16", "float16", "float32", "float64", "float8_e4m3fn", "auto"}) {
    if (name == known) return;
  }
  in.Wrong(key, "a floating type such as 'bfloat16' or 'float32'");
}

void CheckArchitectures(ConfigReader& in) {
  if (!in.Has("architectures")) return;
  const std::vector<std::string> names = in.Strings("architectures", 16);
  const bool ours = names.empty() || std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with("DeepseekV4"); });
  if (in.ok() && !ours) in.Fail(diagnostics::Unsupported("architectures: only 'DeepseekV4ForCausalLM' is supported, found '" + Quoted(names.front()) + "'"));
}

/// What a file may say about choices that this program has only one answer to.
void RefuseOtherChoices(ConfigReader& in) {
  in.OnlyText(in.Name("scoring_func", "score_func"), "sqrtsoftplus");
  in.OnlyText("topk_method", "noaux_tc");
  in.OnlyText("hidden_act", "silu");
  in.OnlyBool("norm_topk_prob", true);
  in.OnlyBool("tie_word_embeddings", false);
  in.OnlyBool("attention_bias", false);
  in.OnlyInteger("num_key_value_heads", 1);
  if (!in.hub_keys()) return;
  CheckTorchDtype(in, "torch_dtype");
  CheckArchitectures(in);
}

Status CheckModelType(const json& object, bool hub_keys) {
  const auto it = object.find("model_type");
  if (it == object.end() || it->is_null()) {
    if (!hub_keys) return {};
    return InvalidInput("expected the key 'model_type' (\"deepseek_v4\"), found none");
  }
  if (it->is_string() && it->get_ref<const std::string&>() == "deepseek_v4") return {};
  const std::string found = it->is_string() ? "'" + Quoted(it->get_ref<const std::string&>()) + "'" : "something that is no string";
  return diagnostics::Unsupported("model_type: only 'deepseek_v4' is supported, found " + found);
}

std::vector<std::int64_t> AllRatios(const ModelConfig& config) {
  std::vector<std::int64_t> ratios = config.compress_ratios;
  ratios.insert(ratios.end(), config.drafter_compress_ratios.begin(), config.drafter_compress_ratios.end());
  return ratios;
}

void WriteDspark(const ModelConfig& config, nlohmann::ordered_json& out) {
  if (config.drafter != DrafterKind::kDspark) return;
  out["dspark_block_size"] = config.dspark_block;
  out["dspark_noise_token_id"] = config.dspark_noise_token;
  out["dspark_markov_rank"] = config.dspark_markov_rank;
  out["dspark_target_layer_ids"] = config.dspark_target_layers;
}

}  // namespace

Result<ModelConfig> ParseModelConfig(std::string_view json_text) {
  TRY_ASSIGN(const json object, ParseConfigObject(json_text));
  const bool inference_keys = object.contains("dim") || object.contains("n_layers") || object.contains("n_heads");
  const bool hub_keys = object.contains("hidden_size") || object.contains("model_type") || !inference_keys;
  TRY(CheckModelType(object, hub_keys));
  ConfigReader in(object, hub_keys);
  ModelConfig out;
  RefuseOtherChoices(in);
  ReadSizes(in, out);
  if (in.ok()) ReadExperts(in, out);
  if (in.ok()) ReadPattern(in, out);
  if (in.ok()) ReadRope(in, out);
  if (in.ok()) ReadIndexer(in, out);
  if (in.ok()) ReadQuantization(in, out);
  if (in.ok()) out.bos_token = ReadTokenId(in, "bos_token_id", 0, out.vocab_size);
  if (in.ok()) out.eos_token = ReadTokenId(in, "eos_token_id", 1, out.vocab_size);
  TRY(in.Outcome());
  return out;
}

std::string WriteModelConfig(const ModelConfig& config) {
  const std::vector<std::int64_t> ratios = AllRatios(config);
  const bool dspark = config.drafter == DrafterKind::kDspark;
  nlohmann::ordered_json out = {
      {"architectures", nlohmann::ordered_json::array({"DeepseekV4ForCausalLM"})}, {"model_type", config.model_type}, {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"bos_token_id", config.bos_token}, {"eos_token_id", config.eos_token}, {"hidden_act", "silu"}, {"initializer_range", 0.02},
      {"max_position_embeddings", config.max_positions}, {"tie_word_embeddings", false}, {"torch_dtype", "bfloat16"},
      {"transformers_version", "4.57.1"}, {"use_cache", true}, {"num_key_value_heads", 1}, {"n_shared_experts", config.shared_experts},
      {"scoring_func", "sqrtsoftplus"}, {"topk_method", "noaux_tc"}, {"norm_topk_prob", true}, {"vocab_size", config.vocab_size},
      {"hidden_size", config.hidden_size}, {"num_hidden_layers", config.layers}, {"num_attention_heads", config.heads}, {"head_dim", config.head_dim},
      {"qk_rope_head_dim", config.rope_dim}, {"q_lora_rank", config.q_lora}, {"o_groups", config.output_groups}, {"o_lora_rank", config.output_lora},
      {"sliding_window", config.window}, {"compress_ratios", ratios}, {"compress_rope_theta", config.compress_rope_theta}, {"rope_theta", config.rope_theta},
      {"index_n_heads", config.index_heads}, {"index_head_dim", config.index_dim}, {"index_topk", config.index_top_k},
      {"n_routed_experts", config.experts}, {"num_experts_per_tok", config.experts_per_token}, {"moe_intermediate_size", config.expert_intermediate},
      {"routed_scaling_factor", config.route_scale}, {"num_hash_layers", config.hash_layers}, {"swiglu_limit", config.swiglu_limit},
      {"hc_mult", config.streams}, {"hc_sinkhorn_iters", config.sinkhorn_iterations}, {"hc_eps", config.hc_eps}, {"rms_norm_eps", config.norm_eps},
      {"num_nextn_predict_layers", dspark ? 1 : config.drafter_modules},
      {"quantization_config", {{"activation_scheme", "dynamic"}, {"fmt", "e4m3"}, {"quant_method", "fp8"}, {"scale_fmt", "ue8m0"},
          {"weight_block_size", {128, 128}}}},
  };
  if (config.experts_fp4) out["expert_dtype"] = "fp4";
  out["rope_scaling"] = nullptr;
  if (config.has_yarn) {
    out["rope_scaling"] = {{"type", "yarn"}, {"factor", config.yarn.factor}, {"original_max_position_embeddings", config.yarn.original_positions},
                           {"beta_fast", config.yarn.beta_fast}, {"beta_slow", config.yarn.beta_slow}};
  }
  WriteDspark(config, out);
  return out.dump(2) + "\n";
}

std::string WriteInferenceConfig(const ModelConfig& config) {
  nlohmann::ordered_json out = {
      {"vocab_size", config.vocab_size}, {"dim", config.hidden_size}, {"n_layers", config.layers}, {"n_heads", config.heads},
      {"head_dim", config.head_dim}, {"rope_head_dim", config.rope_dim}, {"q_lora_rank", config.q_lora}, {"o_groups", config.output_groups},
      {"o_lora_rank", config.output_lora}, {"window_size", config.window}, {"compress_ratios", AllRatios(config)},
      {"compress_rope_theta", config.compress_rope_theta}, {"rope_theta", config.rope_theta}, {"index_n_heads", config.index_heads},
      {"index_head_dim", config.index_dim}, {"index_topk", config.index_top_k}, {"n_routed_experts", config.experts},
      {"n_shared_experts", config.shared_experts}, {"n_activated_experts", config.experts_per_token}, {"moe_inter_dim", config.expert_intermediate},
      {"score_func", "sqrtsoftplus"}, {"route_scale", config.route_scale}, {"n_hash_layers", config.hash_layers}, {"swiglu_limit", config.swiglu_limit},
      {"hc_mult", config.streams}, {"hc_sinkhorn_iters", config.sinkhorn_iterations}, {"hc_eps", config.hc_eps}, {"norm_eps", config.norm_eps},
      {"original_seq_len", config.has_yarn ? config.yarn.original_positions : 0}, {"rope_factor", config.yarn.factor},
      {"beta_fast", config.yarn.beta_fast}, {"beta_slow", config.yarn.beta_slow}, {"dtype", "fp8"}, {"scale_fmt", "ue8m0"},
      {"n_mtp_layers", config.drafter_modules},
  };
  if (config.experts_fp4) out["expert_dtype"] = "fp4";
  WriteDspark(config, out);
  return out.dump(2) + "\n";
}

}  // namespace baleen::checkpoint

#include "checkpoint/tensor_names.h"

#include <array>
#include <span>
#include <utility>

namespace baleen::checkpoint {
namespace {

using Rule = std::pair<std::string_view, std::string_view>;

/// Replaces the first rule whose left side begins `text`.
bool ReplacePrefix(std::string& text, std::span<const Rule> rules) {
  for (const auto& [from, to] : rules) {
    if (!text.starts_with(from)) continue;
    text.replace(0, from.size(), to);
    return true;
  }
  return false;
}

constexpr std::array<Rule, 5> kGlobals = {{
    {"lm_head.weight", "head.weight"},
    {"embed_tokens.weight", "embed.weight"},
    {"hc_head.hc_fn", "hc_head_fn"},
    {"hc_head.hc_base", "hc_head_base"},
    {"hc_head.hc_scale", "hc_head_scale"},
}};

constexpr std::array<Rule, 9> kBlock = {{
    {"input_layernorm.", "attn_norm."},
    {"post_attention_layernorm.", "ffn_norm."},
    {"attn_hc.", "hc_attn_"},
    {"ffn_hc.", "hc_ffn_"},
    {"hc_head.hc_fn", "hc_head_fn"},
    {"hc_head.hc_base", "hc_head_base"},
    {"hc_head.hc_scale", "hc_head_scale"},
    {"self_attn.", "attn."},
    {"mlp.", "ffn."},
}};

constexpr std::array<Rule, 8> kAttention = {{
    {"q_a_proj.", "wq_a."},
    {"q_b_proj.", "wq_b."},
    {"kv_proj.", "wkv."},
    {"o_a_proj.", "wo_a."},
    {"o_b_proj.", "wo_b."},
    {"q_a_norm.", "q_norm."},
    {"sinks", "attn_sink"},
    {"compressor.indexer.", "indexer."},
}};

constexpr std::array<Rule, 4> kCompressor = {{
    {"kv_proj.", "wkv."},
    {"gate_proj.", "wgate."},
    {"kv_norm.", "norm."},
    {"position_bias", "ape"},
}};

constexpr std::array<Rule, 6> kIndexer = {{
    {"q_b_proj.", "wq_b."},
    {"scorer.weights_proj.", "weights_proj."},
    {"kv_proj.", "compressor.wkv."},
    {"gate_proj.", "compressor.wgate."},
    {"kv_norm.", "compressor.norm."},
    {"position_bias", "compressor.ape"},
}};

constexpr std::array<Rule, 3> kExpert = {{{"gate_proj.", "w1."}, {"down_proj.", "w2."}, {"up_proj.", "w3."}}};

/// Rewrites what follows `scope` in `text`, if `text` begins with it.
void ReplaceAfter(std::string& text, std::string_view scope, std::span<const Rule> rules) {
  if (!text.starts_with(scope)) return;
  std::string rest = text.substr(scope.size());
  if (ReplacePrefix(rest, rules)) text = std::string(scope) + rest;
}

void ReplaceSuffix(std::string& text, std::string_view from, std::string_view to) {
  if (text.ends_with(from)) text.replace(text.size() - from.size(), from.size(), to);
}

/// "gate_up_proj", "gate_up_proj.weight", "gate_up_proj_scale_inv", "gate_up_proj.weight_scale_inv" and the like.
void NameStacked(std::string& text) {
  constexpr std::string_view kScope = "ffn.experts.";
  for (const Rule& rule : {Rule{"gate_up_proj", "w13"}, Rule{"down_proj", "w2"}}) {
    if (text.compare(kScope.size(), rule.first.size(), rule.first) != 0) continue;
    const std::string tail = text.substr(kScope.size() + rule.first.size());
    if (tail.empty() || tail == ".weight") text = std::string(kScope) + std::string(rule.second) + ".weight";
    else if (tail == "_scale_inv" || tail == ".scale" || tail == "_scale") text = std::string(kScope) + std::string(rule.second) + ".scale";
    return;
  }
}

void NameExperts(std::string& text) {
  constexpr std::string_view kScope = "ffn.experts.";
  ReplaceAfter(text, "ffn.shared_experts.", kExpert);
  if (text == "ffn.gate.e_score_correction_bias") text = "ffn.gate.bias";
  if (!text.starts_with(kScope)) return;
  const std::size_t dot = text.find('.', kScope.size());
  const bool numbered = dot != std::string::npos && text[kScope.size()] >= '0' && text[kScope.size()] <= '9';
  if (numbered) ReplaceAfter(text, text.substr(0, dot + 1), kExpert);
  else NameStacked(text);
}

}  // namespace

std::string OfficialName(std::string_view stored) {
  if (stored.starts_with("model.")) stored.remove_prefix(6);
  std::string text(stored);
  const std::size_t scope = text.starts_with("layers.") ? 7 : text.starts_with("mtp.") ? 4 : 0;
  const std::size_t dot = scope == 0 ? std::string::npos : text.find('.', scope);
  if (dot == std::string::npos) {
    ReplacePrefix(text, kGlobals);
    return text;
  }
  std::string rest = text.substr(dot + 1);
  ReplaceSuffix(rest, ".weight_scale_inv", ".scale");
  ReplacePrefix(rest, kBlock);
  ReplaceAfter(rest, "attn.", kAttention);
  ReplaceAfter(rest, "attn.compressor.", kCompressor);
  ReplaceAfter(rest, "attn.indexer.", kIndexer);
  ReplaceAfter(rest, "attn.indexer.compressor.", kCompressor);
  NameExperts(rest);
  return text.substr(0, dot + 1) + rest;
}

}  // namespace baleen::checkpoint

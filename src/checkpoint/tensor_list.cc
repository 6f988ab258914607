#include "checkpoint/tensor_list.h"

namespace baleen::checkpoint {
namespace {

using tensor::DType;

/// Hands out the tensors of one block after the other; every step stops once the receiver has had enough.
class Lister {
 public:
  Lister(const ModelConfig& config, std::int64_t experts, const std::function<bool(const TensorSpec&)>& use) : c_(config), experts_(experts), use_(use) {}

  bool Run() {
    const std::int64_t d = c_.hidden_size, n = c_.streams;
    Plain("embed.weight", {c_.vocab_size, d}, Part::kEmbedding);
    for (layer_ = 0; layer_ < c_.layers && going_; ++layer_) {
      prefix_ = "layers." + std::to_string(layer_) + ".";
      Block(c_.compress_ratios[static_cast<std::size_t>(layer_)], layer_ < c_.hash_layers);
    }
    layer_ = -1;
    prefix_.clear();
    Plain("norm.weight", {d}, Part::kNorms);
    Full("hc_head_fn", {n, n * d}, Part::kStreams);
    Full("hc_head_base", {n}, Part::kStreams);
    Full("hc_head_scale", {1}, Part::kStreams);
    Plain("head.weight", {c_.vocab_size, d}, Part::kHead);
    drafter_ = true;
    for (layer_ = 0; layer_ < c_.drafter_modules && going_; ++layer_) {
      prefix_ = "mtp." + std::to_string(layer_) + ".";
      Block(0, false);
      if (c_.drafter == DrafterKind::kMtp) MtpExtras();
      else DsparkExtras(layer_ == 0, layer_ + 1 == c_.drafter_modules);
    }
    return going_;
  }

 private:
  void Give(std::string_view name, std::vector<std::int64_t> shape, Storage storage, DType official, Part part) {
    if (!going_) return;
    TensorSpec spec{prefix_, std::move(shape), storage, official, part, layer_, drafter_};
    spec.name += name;
    going_ = use_(spec);
  }
  void Plain(std::string_view name, std::vector<std::int64_t> shape, Part part) { Give(name, std::move(shape), Storage::kPlain, DType::kBF16, part); }
  void Full(std::string_view name, std::vector<std::int64_t> shape, Part part) { Give(name, std::move(shape), Storage::kPlain, DType::kF32, part); }
  void Linear(std::string_view name, std::int64_t rows, std::int64_t columns, Part part) {
    Give(name, {rows, columns}, Storage::kLinear, DType::kF8E4M3, part);
  }

  void Block(std::int64_t ratio, bool hash_routed) {
    const std::int64_t d = c_.hidden_size, n = c_.streams;
    Plain("attn_norm.weight", {d}, Part::kNorms);
    Plain("ffn_norm.weight", {d}, Part::kNorms);
    for (const char* site : {"hc_attn_", "hc_ffn_"}) {
      Full(std::string(site) + "fn", {(2 + n) * n, n * d}, Part::kStreams);
      Full(std::string(site) + "base", {(2 + n) * n}, Part::kStreams);
      Full(std::string(site) + "scale", {3}, Part::kStreams);
    }
    Attention(ratio);
    Experts(hash_routed);
  }

  void Attention(std::int64_t ratio) {
    const std::int64_t d = c_.hidden_size, h = c_.heads * c_.head_dim;
    Linear("attn.wq_a.weight", c_.q_lora, d, Part::kQuery);
    Plain("attn.q_norm.weight", {c_.q_lora}, Part::kNorms);
    Linear("attn.wq_b.weight", h, c_.q_lora, Part::kQuery);
    Linear("attn.wkv.weight", c_.head_dim, d, Part::kKeyValue);
    Plain("attn.kv_norm.weight", {c_.head_dim}, Part::kNorms);
    Linear("attn.wo_a.weight", c_.output_groups * c_.output_lora, h / c_.output_groups, Part::kOutput);
    Linear("attn.wo_b.weight", d, c_.output_groups * c_.output_lora, Part::kOutput);
    Full("attn.attn_sink", {c_.heads}, Part::kNorms);
    if (ratio == 0) return;
    Compressor("attn.compressor.", ratio, c_.head_dim, Part::kCompressor);
    if (ratio != 4) return;
    Linear("attn.indexer.wq_b.weight", c_.index_heads * c_.index_dim, c_.q_lora, Part::kIndexer);
    Plain("attn.indexer.weights_proj.weight", {c_.index_heads, d}, Part::kIndexer);
    Compressor("attn.indexer.compressor.", ratio, c_.index_dim, Part::kIndexer);
  }

  void Compressor(const std::string& name, std::int64_t ratio, std::int64_t width, Part part) {
    const std::int64_t wide = (ratio == 4 ? 2 : 1) * width;
    Full(name + "ape", {ratio, wide}, part);
    Plain(name + "wkv.weight", {wide, c_.hidden_size}, part);
    Plain(name + "wgate.weight", {wide, c_.hidden_size}, part);
    Plain(name + "norm.weight", {width}, part);
  }

  void Experts(bool hash_routed) {
    const std::int64_t d = c_.hidden_size, inner = c_.expert_intermediate;
    Plain("ffn.gate.weight", {c_.experts, d}, Part::kRouter);
    if (hash_routed) Give("ffn.gate.tid2eid", {c_.vocab_size, c_.experts_per_token}, Storage::kTable, DType::kI64, Part::kRouter);
    else Full("ffn.gate.bias", {c_.experts}, Part::kRouter);
    const DType routed = c_.experts_fp4 ? DType::kF4 : DType::kF8E4M3;
    for (std::int64_t j = 0; j < experts_ && going_; ++j) {
      const std::string name = "ffn.experts." + std::to_string(j) + ".";
      Give(name + "w1.weight", {inner, d}, Storage::kExpert, routed, Part::kRoutedExperts);
      Give(name + "w2.weight", {d, inner}, Storage::kExpert, routed, Part::kRoutedExperts);
      Give(name + "w3.weight", {inner, d}, Storage::kExpert, routed, Part::kRoutedExperts);
    }
    Linear("ffn.shared_experts.w1.weight", inner, d, Part::kSharedExperts);
    Linear("ffn.shared_experts.w2.weight", d, inner, Part::kSharedExperts);
    Linear("ffn.shared_experts.w3.weight", inner, d, Part::kSharedExperts);
  }

  void HyperHead() {
    const std::int64_t d = c_.hidden_size, n = c_.streams;
    Plain("norm.weight", {d}, Part::kDrafterOnly);
    Full("hc_head_fn", {n, n * d}, Part::kDrafterOnly);
    Full("hc_head_base", {n}, Part::kDrafterOnly);
    Full("hc_head_scale", {1}, Part::kDrafterOnly);
  }

  void MtpExtras() {
    const std::int64_t d = c_.hidden_size;
    Linear("e_proj.weight", d, d, Part::kDrafterOnly);
    Linear("h_proj.weight", d, d, Part::kDrafterOnly);
    Plain("enorm.weight", {d}, Part::kDrafterOnly);
    Plain("hnorm.weight", {d}, Part::kDrafterOnly);
    HyperHead();
  }

  void DsparkExtras(bool first, bool last) {
    const std::int64_t d = c_.hidden_size, rank = c_.dspark_markov_rank;
    if (first) {
      Linear("main_proj.weight", d, d * static_cast<std::int64_t>(c_.dspark_target_layers.size()), Part::kDrafterOnly);
      Plain("main_norm.weight", {d}, Part::kDrafterOnly);
    }
    if (!last) return;
    HyperHead();
    Plain("markov_head.markov_w1.weight", {c_.vocab_size, rank}, Part::kDrafterOnly);
    Plain("markov_head.markov_w2.weight", {c_.vocab_size, rank}, Part::kDrafterOnly);
    Plain("confidence_head.proj.weight", {1, d + rank}, Part::kDrafterOnly);
  }

  const ModelConfig& c_;
  std::int64_t experts_;
  const std::function<bool(const TensorSpec&)>& use_;
  std::string prefix_;
  std::int64_t layer_ = -1;
  bool drafter_ = false, going_ = true;
};

std::int64_t Ceil(std::int64_t value, std::int64_t step) { return (value + step - 1) / step; }

}  // namespace

bool ForEachTensor(const ModelConfig& config, std::int64_t experts_listed, const std::function<bool(const TensorSpec&)>& use) {
  return Lister(config, experts_listed, use).Run();
}

std::vector<std::int64_t> ScaleShape(const std::vector<std::int64_t>& shape, DType dtype) {
  if (dtype == DType::kF4) return {shape[0], Ceil(shape[1], 32)};
  return {Ceil(shape[0], 128), Ceil(shape[1], 128)};
}

std::string ScaleName(const std::string& weight_name) {
  constexpr std::string_view kSuffix = ".weight";
  return weight_name.substr(0, weight_name.size() - kSuffix.size()) + ".scale";
}

}  // namespace baleen::checkpoint

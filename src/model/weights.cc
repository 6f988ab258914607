#include "model/weights.h"

#include <cstring>
#include <initializer_list>
#include <utility>

#include "tensor/scalar.h"

namespace baleen::model {
namespace {

using backend::Format;
using backend::Matrix;
using checkpoint::ModelConfig;
using diagnostics::InvalidInput;
using tensor::DType;

/// Looks tensors up by name below a prefix and remembers the first thing that is wrong, so that loading reads as a list.
class Finder {
 public:
  explicit Finder(const checkpoint::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  Matrix FindMatrix(const std::string& name, std::int64_t n, std::int64_t k) {
    const auto view = Require(name, {n, k});
    if (!view) return {};
    Matrix matrix{.data = view->bytes.data(), .n = n, .k = k};
    switch (view->dtype) {
      case DType::kF32: matrix.format = Format::kF32; return matrix;
      case DType::kBF16: matrix.format = Format::kBf16; return matrix;
      case DType::kF8E4M3: matrix.format = Format::kFp8; matrix.scales = Scales(name, (n + 127) / 128, (k + 127) / 128); return matrix;
      case DType::kF4: matrix.format = Format::kFp4; matrix.scales = Scales(name, n, (k + 31) / 32); return matrix;
      default: Fail(name + ": expected F32, BF16, F8_E4M3 or FP4, found " + std::string(tensor::DTypeName(view->dtype))); return {};
    }
  }

  Vector FindVector(const std::string& name, std::initializer_list<std::int64_t> shape) {
    const auto view = Require(name, shape);
    if (!view) return {};
    Vector values(static_cast<std::size_t>(view->Elements()));
    if (view->dtype == DType::kF32) {
      std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
    } else if (view->dtype == DType::kBF16) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint16_t code;
        std::memcpy(&code, view->bytes.data() + 2 * i, 2);
        values[i] = tensor::FromBf16(code);
      }
    } else {
      Fail(name + ": expected F32 or BF16, found " + std::string(tensor::DTypeName(view->dtype)));
    }
    return values;
  }

  std::optional<tensor::View> Require(const std::string& name, std::initializer_list<std::int64_t> shape) {
    auto view = checkpoint_.Find(name);
    if (!view) {
      Fail(name + ": expected in the checkpoint, found nothing");
    } else if (view->shape != std::vector<std::int64_t>(shape)) {
      Fail(name + ": expected shape " + tensor::ShapeText(std::vector<std::int64_t>(shape)) + ", found " + tensor::ShapeText(view->shape));
      view.reset();
    }
    return view;
  }

  void Fail(std::string message) {
    if (!error_) error_ = InvalidInput(checkpoint_.directory().string() + ": " + std::move(message) + "; the checkpoint does not fit its config.json");
  }

  Status Finish() && {
    if (error_) return *std::move(error_);
    return {};
  }

 private:
  const std::uint8_t* Scales(const std::string& weight_name, std::int64_t n, std::int64_t k) {
    const std::string name = weight_name.substr(0, weight_name.rfind(".weight")) + ".scale";
    const auto view = Require(name, {n, k});
    if (!view) return nullptr;
    if (view->dtype != DType::kF8E8M0) Fail(name + ": expected F8_E8M0, found " + std::string(tensor::DTypeName(view->dtype)));
    return reinterpret_cast<const std::uint8_t*>(view->bytes.data());
  }

  const checkpoint::Checkpoint& checkpoint_;
  std::optional<diagnostics::Error> error_;
};

/// A site of `outputs` = (2 + n)·n mixing logits, or the hyper head with n.
void LoadSite(Finder& find, const ModelConfig& c, const std::string& prefix, bool head, Site& site) {
  const std::int64_t outputs = head ? c.streams : (2 + c.streams) * c.streams;
  site.base = find.FindVector(prefix + "_base", {outputs});
  site.scale = find.FindVector(prefix + "_scale", {head ? 1 : 3});
  site.weights = {.fn = find.FindMatrix(prefix + "_fn", outputs, c.streams * c.hidden_size),
                  .scale = site.scale.data(),
                  .base = site.base.data(),
                  .n = c.streams,
                  .d = c.hidden_size,
                  .iterations = c.sinkhorn_iterations,
                  .hc_eps = static_cast<float>(c.hc_eps),
                  .norm_eps = static_cast<float>(c.norm_eps)};
}

CompressorWeights LoadCompressor(Finder& find, const ModelConfig& c, const std::string& prefix, std::int64_t ratio, std::int64_t dim) {
  CompressorWeights w;
  w.ratio = ratio;
  w.dim = dim;
  w.channels = ratio == 4 ? 2 * dim : dim;
  w.value = find.FindMatrix(prefix + "wkv.weight", w.channels, c.hidden_size);
  w.gate = find.FindMatrix(prefix + "wgate.weight", w.channels, c.hidden_size);
  w.position_bias = find.FindVector(prefix + "ape", {ratio, w.channels});
  w.norm = find.FindVector(prefix + "norm.weight", {dim});
  return w;
}

AttentionWeights LoadAttention(Finder& find, const ModelConfig& c, const std::string& prefix, const LayerPlan& plan) {
  AttentionWeights w;
  const std::int64_t width = c.heads * c.head_dim;
  w.query_down = find.FindMatrix(prefix + "wq_a.weight", c.q_lora, c.hidden_size);
  w.query_norm = find.FindVector(prefix + "q_norm.weight", {c.q_lora});
  w.query_up = find.FindMatrix(prefix + "wq_b.weight", width, c.q_lora);
  w.kv = find.FindMatrix(prefix + "wkv.weight", c.head_dim, c.hidden_size);
  w.kv_norm = find.FindVector(prefix + "kv_norm.weight", {c.head_dim});
  w.sink = find.FindVector(prefix + "attn_sink", {c.heads});
  w.output_down = find.FindMatrix(prefix + "wo_a.weight", c.output_groups * c.output_lora, width / c.output_groups);
  w.output_up = find.FindMatrix(prefix + "wo_b.weight", c.hidden_size, c.output_groups * c.output_lora);
  if (plan.attention == AttentionKind::kWindow) return w;
  w.compressor = LoadCompressor(find, c, prefix + "compressor.", plan.ratio, c.head_dim);
  if (plan.attention == AttentionKind::kHca) return w;
  w.indexer.query = find.FindMatrix(prefix + "indexer.wq_b.weight", c.index_heads * c.index_dim, c.q_lora);
  w.indexer.weights = find.FindMatrix(prefix + "indexer.weights_proj.weight", c.index_heads, c.hidden_size);
  w.indexer.compressor = LoadCompressor(find, c, prefix + "indexer.compressor.", plan.ratio, c.index_dim);
  return w;
}

/// tid2eid [vocab, per_token]: checked, because a wrong id would be followed.
void LoadTokenExperts(Finder& find, const ModelConfig& c, const std::string& name, RouterWeights& router) {
  const auto view = find.Require(name, {c.vocab_size, c.experts_per_token});
  if (!view) return;
  router.token_experts = view->bytes.data();
  router.token_experts_are_64_bit = view->dtype == DType::kI64;
  if (view->dtype != DType::kI64 && view->dtype != DType::kI32) return find.Fail(name + ": expected I64 or I32, found " + std::string(tensor::DTypeName(view->dtype)));
  for (std::int64_t i = 0; i < view->Elements(); ++i) {
    std::int64_t id = 0;
    std::int32_t narrow = 0;
    if (router.token_experts_are_64_bit) {
      std::memcpy(&id, router.token_experts + 8 * i, 8);
    } else {
      std::memcpy(&narrow, router.token_experts + 4 * i, 4);
      id = narrow;
    }
    if (id < 0 || id >= c.experts) {
      return find.Fail(name + ": expected experts 0 to " + std::to_string(c.experts - 1) + ", found " + std::to_string(id) + " for token " + std::to_string(i / c.experts_per_token));
    }
  }
}

backend::ExpertWeights LoadExpert(Finder& find, const ModelConfig& c, const std::string& prefix) {
  return {.gate = find.FindMatrix(prefix + "w1.weight", c.expert_intermediate, c.hidden_size),
          .up = find.FindMatrix(prefix + "w3.weight", c.expert_intermediate, c.hidden_size),
          .down = find.FindMatrix(prefix + "w2.weight", c.hidden_size, c.expert_intermediate)};
}

void LoadLayer(Finder& find, const ModelConfig& c, const std::string& prefix, const LayerPlan& plan, std::int64_t cache_layer, Layer& layer) {
  layer.plan = plan;
  layer.cache_layer = cache_layer;
  LoadSite(find, c, prefix + "hc_attn", false, layer.before_attention);
  LoadSite(find, c, prefix + "hc_ffn", false, layer.before_experts);
  layer.attention_norm = find.FindVector(prefix + "attn_norm.weight", {c.hidden_size});
  layer.expert_norm = find.FindVector(prefix + "ffn_norm.weight", {c.hidden_size});
  layer.attention = LoadAttention(find, c, prefix + "attn.", plan);
  layer.router.gate = find.FindMatrix(prefix + "ffn.gate.weight", c.experts, c.hidden_size);
  if (plan.router == RouterKind::kHash) {
    LoadTokenExperts(find, c, prefix + "ffn.gate.tid2eid", layer.router);
  } else {
    layer.router.bias = find.FindVector(prefix + "ffn.gate.bias", {c.experts});
  }
  layer.experts.reserve(static_cast<std::size_t>(c.experts + 1));
  for (std::int64_t e = 0; e < c.experts; ++e) layer.experts.push_back(LoadExpert(find, c, prefix + "ffn.experts." + std::to_string(e) + "."));
  layer.experts.push_back(LoadExpert(find, c, prefix + "ffn.shared_experts."));
}

void LoadHead(Finder& find, const ModelConfig& c, const std::string& prefix, Head& head) {
  LoadSite(find, c, prefix + "hc_head", true, head.site);
  head.norm = find.FindVector(prefix + "norm.weight", {c.hidden_size});
}

/// Every block of a drafter (§7).
constexpr LayerPlan kDrafterPlan{.attention = AttentionKind::kWindow, .ratio = 0, .router = RouterKind::kScore};

void LoadMtp(Finder& find, const ModelConfig& c, MtpModule& module) {
  LoadLayer(find, c, "mtp.0.", kDrafterPlan, c.layers, module.block);
  module.token_projection = find.FindMatrix("mtp.0.e_proj.weight", c.hidden_size, c.hidden_size);
  module.stream_projection = find.FindMatrix("mtp.0.h_proj.weight", c.hidden_size, c.hidden_size);
  module.token_norm = find.FindVector("mtp.0.enorm.weight", {c.hidden_size});
  module.stream_norm = find.FindVector("mtp.0.hnorm.weight", {c.hidden_size});
  LoadHead(find, c, "mtp.0.", module.head);
}

/// A table whose rows are taken by token id.
Matrix FindEmbedding(Finder& find, const std::string& name, std::int64_t rows, std::int64_t columns) {
  const Matrix table = find.FindMatrix(name, rows, columns);
  if (table.format != Format::kF32 && table.format != Format::kBf16) find.Fail(name + ": expected BF16 or F32");
  return table;
}

void LoadDspark(Finder& find, const ModelConfig& c, DsparkDrafter& drafter) {
  const auto targets = static_cast<std::int64_t>(c.dspark_target_layers.size());
  for (std::int64_t i = 0; i < c.drafter_modules; ++i) LoadLayer(find, c, "mtp." + std::to_string(i) + ".", kDrafterPlan, c.layers + i, drafter.stages.emplace_back());
  drafter.feature_projection = find.FindMatrix("mtp.0.main_proj.weight", c.hidden_size, targets * c.hidden_size);
  drafter.feature_norm = find.FindVector("mtp.0.main_norm.weight", {c.hidden_size});
  const std::string last = "mtp." + std::to_string(c.drafter_modules - 1) + ".";
  LoadHead(find, c, last, drafter.head);
  drafter.markov_embedding = FindEmbedding(find, last + "markov_head.markov_w1.weight", c.vocab_size, c.dspark_markov_rank);
  drafter.markov_output = find.FindMatrix(last + "markov_head.markov_w2.weight", c.vocab_size, c.dspark_markov_rank);
  drafter.confidence = find.FindMatrix(last + "confidence_head.proj.weight", 1, c.hidden_size + c.dspark_markov_rank);
}

}  // namespace

Result<Weights> LoadWeights(const checkpoint::Checkpoint& checkpoint, bool with_drafter) {
  const ModelConfig& c = checkpoint.config();
  Finder find(checkpoint);
  Weights weights;
  weights.embedding = FindEmbedding(find, "embed.weight", c.vocab_size, c.hidden_size);
  weights.lm_head = find.FindMatrix("head.weight", c.vocab_size, c.hidden_size);
  const std::vector<LayerPlan> plan = PlanLayers(c);
  for (std::size_t i = 0; i < plan.size(); ++i) {
    LoadLayer(find, c, "layers." + std::to_string(i) + ".", plan[i], static_cast<std::int64_t>(i), weights.layers.emplace_back());
  }
  LoadHead(find, c, "", weights.head);
  if (with_drafter && c.drafter == checkpoint::DrafterKind::kMtp) LoadMtp(find, c, weights.mtp.emplace_back());
  if (with_drafter && c.drafter == checkpoint::DrafterKind::kDspark) LoadDspark(find, c, weights.dspark.emplace_back());
  TRY(std::move(find).Finish());
  return weights;
}

}  // namespace baleen::model

#include "model/cache_layout.h"

#include <algorithm>

namespace baleen::model {
namespace {

kvcache::LayerLayout LayoutOf(const checkpoint::ModelConfig& c, const LayerPlan& plan, Arithmetic arithmetic) {
  const backend::RowFormat format = arithmetic == Arithmetic::kExact ? backend::RowFormat::kF32 : backend::RowFormat::kPacked;
  kvcache::LayerLayout layout{.window = c.window, .ratio = plan.ratio, .row = {format, c.head_dim, c.rope_dim}};
  const std::int64_t overlap = plan.attention == AttentionKind::kCsa ? 2 : 1;
  if (plan.attention != AttentionKind::kWindow) layout.tail = {overlap * plan.ratio, overlap * c.head_dim};
  if (plan.attention == AttentionKind::kCsa) {
    layout.indexed = true;
    layout.index_row = {format, c.index_dim};
    layout.index_tail = {overlap * plan.ratio, overlap * c.index_dim};
  }
  return layout;
}

}  // namespace

checkpoint::ModelConfig ConfigWithin(checkpoint::ModelConfig config, std::int64_t context) {
  config.window = std::min(config.window, context);
  config.index_top_k = std::min(config.index_top_k, std::max<std::int64_t>(1, context / 4));
  return config;
}

std::int64_t DraftTokensOf(const checkpoint::ModelConfig& config, std::int64_t asked) {
  if (config.drafter == checkpoint::DrafterKind::kNone) return 0;
  return config.drafter == checkpoint::DrafterKind::kDspark ? std::min(asked, config.dspark_block) : asked;
}

kvcache::Layout CacheLayoutOf(const checkpoint::ModelConfig& config, Arithmetic arithmetic, const Limits& limits) {
  const checkpoint::ModelConfig within = ConfigWithin(config, limits.context);
  kvcache::Layout layout{.spare_rows = std::max<std::int64_t>(1, DraftTokensOf(config, limits.draft_tokens)), .context = limits.context};
  for (const LayerPlan& plan : PlanLayers(within)) layout.layers.push_back(LayoutOf(within, plan, arithmetic));
  if (DraftTokensOf(config, limits.draft_tokens) > 0) {
    const LayerPlan window_only{};
    for (std::int64_t module = 0; module < (config.drafter == checkpoint::DrafterKind::kMtp ? 1 : config.drafter_modules); ++module) layout.layers.push_back(LayoutOf(within, window_only, arithmetic));
  }
  return layout;
}

}  // namespace baleen::model

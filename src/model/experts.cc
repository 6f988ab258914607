#include "model/transformer.h"

namespace baleen::model {

namespace {

backend::HiddenForm HiddenFormOf(Arithmetic arithmetic) noexcept {
  switch (arithmetic) {
    case Arithmetic::kExact: return backend::HiddenForm::kPlain;
    case Arithmetic::kOfficial: return backend::HiddenForm::kCodes;
    case Arithmetic::kFast: break;
  }
  return backend::HiddenForm::kBytes;
}

}  // namespace

/// y = Σ over the chosen experts + the shared one of a_.x (§6), then `expand`.
void Transformer::RunExperts(const Layer& layer, const Rows& rows, const backend::ExpandStreams& expand) noexcept {
  const backend::Ops& ops = device_->ops();
  const bool hashed = layer.plan.router == RouterKind::kHash;
  ops.linear(*device_, {layer.router.gate, {.x = a_.x.x, .d = config_.hidden_size}, rows.count, a_.router_scores});
  ops.route(*device_, {.scores = a_.router_scores,
                       .rows = rows.count,
                       .experts = config_.experts,
                       .per_token = config_.experts_per_token,
                       .bias = layer.router.bias.data(),
                       .token_experts = hashed ? layer.router.token_experts : nullptr,
                       .token_experts_are_64_bit = layer.router.token_experts_are_64_bit,
                       .tokens = rows.TokenSpan(),
                       .route_scale = static_cast<float>(config_.route_scale),
                       .chosen = a_.chosen_experts,
                       .weights = a_.expert_weights});
  ops.run_experts(*device_, {.experts = layer.experts.data(),
                             .expert_count = static_cast<std::int64_t>(layer.experts.size()),
                             .x = a_.x.Of(config_.hidden_size),
                             .rows = rows.count,
                             .per_token = config_.experts_per_token,
                             .intermediate = config_.expert_intermediate,
                             .d = config_.hidden_size,
                             .chosen = a_.chosen_experts,
                             .weights = a_.expert_weights,
                             .limit = static_cast<float>(config_.swiglu_limit),
                             .hidden = HiddenFormOf(arithmetic_),
                             .pair_row = a_.pair_row,
                             .pair_of = a_.pair_of,
                             .expert_begin = a_.expert_begin,
                             .active = a_.active_experts,
                             .gate = a_.expert_gate,
                             .up = a_.expert_up,
                             .hidden_scales = a_.expert_scales,
                             .out = a_.expert_out,
                             .y = a_.y,
                             .expand = expand,
                             .rounding = rounding_});
}

}  // namespace baleen::model

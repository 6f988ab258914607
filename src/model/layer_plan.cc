#include "model/layer_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace baleen::model {

Arithmetic DefaultArithmetic(const checkpoint::ModelConfig& config) noexcept {
  constexpr std::int64_t kWide = 2048;
  return config.hidden_size >= kWide ? Arithmetic::kFast : Arithmetic::kOfficial;
}

std::vector<LayerPlan> PlanLayers(const checkpoint::ModelConfig& config) {
  std::vector<LayerPlan> plan;
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::int64_t ratio = config.compress_ratios[static_cast<std::size_t>(i)];
    plan.push_back({.attention = ratio == 0 ? AttentionKind::kWindow : ratio == 4 ? AttentionKind::kCsa : AttentionKind::kHca,
                    .ratio = ratio,
                    .router = i < config.hash_layers ? RouterKind::kHash : RouterKind::kScore});
  }
  return plan;
}

std::vector<float> RopeFrequencies(const checkpoint::ModelConfig& config, bool compressed) {
  const auto dim = static_cast<double>(config.rope_dim);
  const double theta = compressed ? config.compress_rope_theta : config.rope_theta;
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < config.rope_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.rope_dim);
    frequencies.push_back(1.0f / static_cast<float>(std::pow(theta, static_cast<double>(exponent))));
  }
  if (!compressed || !config.has_yarn) return frequencies;

  const auto turns = [&](double beta) {
    return dim * std::log(static_cast<double>(config.yarn.original_positions) / (beta * 2.0 * std::numbers::pi)) / (2.0 * std::log(theta));
  };
  const auto low = static_cast<float>(std::max(std::floor(turns(config.yarn.beta_fast)), 0.0));
  auto high = static_cast<float>(std::min(std::ceil(turns(config.yarn.beta_slow)), dim - 1.0));
  if (low == high) high += 0.001f;
  const auto factor = static_cast<float>(config.yarn.factor);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float smooth = 1.0f - std::clamp((static_cast<float>(i) - low) / (high - low), 0.0f, 1.0f);
    frequencies[i] = frequencies[i] / factor * (1.0f - smooth) + frequencies[i] * smooth;
  }
  return frequencies;
}

}  // namespace baleen::model

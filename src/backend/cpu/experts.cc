#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/families.h"

namespace baleen::backend::cpu {
namespace {

/// Id j of a hash-routed token's row in tid2eid.
std::int32_t TableEntry(const Route& op, std::int32_t token, std::int64_t j) noexcept {
  const std::int64_t at = token * op.per_token + j;
  if (op.token_experts_are_64_bit) {
    std::int64_t id;
    std::memcpy(&id, op.token_experts + 8 * at, 8);
    return static_cast<std::int32_t>(id);
  }
  std::int32_t id;
  std::memcpy(&id, op.token_experts + 4 * at, 4);
  return id;
}

/// The ids of largest score + bias, ties to the lower id, kept in rising id.
void ChooseByScore(const Route& op, const float* scores, std::int32_t* chosen) noexcept {
  for (std::int64_t j = 0; j < op.per_token; ++j) {
    std::int32_t best = -1;
    for (std::int64_t e = 0; e < op.experts; ++e) {
      if (std::find(chosen, chosen + j, static_cast<std::int32_t>(e)) != chosen + j) continue;
      if (best < 0 || scores[e] + op.bias[e] > scores[best] + op.bias[best]) best = static_cast<std::int32_t>(e);
    }
    chosen[j] = best;
  }
  std::sort(chosen, chosen + op.per_token);
}

/// Groups the pairs (row, expert) by expert, rows rising inside; the shared expert, last, gets every row.
std::int64_t GroupPairs(const RunExperts& op) noexcept {
  const std::int64_t routed = op.expert_count - 1;
  std::fill(op.expert_begin, op.expert_begin + op.expert_count + 1, 0);
  for (std::int64_t i = 0; i < op.rows * op.per_token; ++i) ++op.expert_begin[op.chosen[i] + 1];
  op.expert_begin[op.expert_count] = op.rows;
  for (std::int64_t e = 0; e < op.expert_count; ++e) op.expert_begin[e + 1] += op.expert_begin[e];
  for (std::int64_t r = 0; r < op.rows; ++r) {
    for (std::int64_t j = 0; j <= op.per_token; ++j) {
      const std::int64_t expert = j == op.per_token ? routed : op.chosen[r * op.per_token + j];
      const auto pair = static_cast<std::int32_t>(op.expert_begin[expert]++);
      op.pair_row[pair] = static_cast<std::int32_t>(r);
      op.pair_of[r * (op.per_token + 1) + j] = pair;
    }
  }
  for (std::int64_t e = op.expert_count; e > 0; --e) op.expert_begin[e] = op.expert_begin[e - 1];
  op.expert_begin[0] = 0;
  std::int64_t active = 0;
  for (std::int64_t e = 0; e < op.expert_count; ++e) {
    if (op.expert_begin[e + 1] > op.expert_begin[e]) op.active[active++] = static_cast<std::int32_t>(e);
  }
  return active;
}

bool UsesCodes(const Matrix& weight, bool codes) noexcept { return codes && (weight.format == Format::kFp8 || weight.format == Format::kFp4); }
bool UsesBytes(const Matrix& weight, bool bytes) noexcept { return bytes && kernels::TakesBytes(weight.format); }
std::int64_t Groups(std::int64_t channels, std::int64_t group) noexcept { return (channels + group - 1) / group; }

/// gate = w1 x and up = w3 x for every pair, one part = a block of outputs of one expert's matrix. The shared expert has the most rows of x: it begins.
void ProjectUp(Device& device, const RunExperts& op, std::int64_t active) noexcept {
  const std::int64_t size = OutputsPerPart(op.intermediate, 1, 2 * active, device.workers().threads()), parts = Parts(op.intermediate, size);
  device.workers().Run(active * parts * 2, [&](std::int64_t part, int) noexcept {
    const auto [matrix, span] = PartOf(2 * active, op.intermediate, size, part);
    const std::int64_t expert = op.active[active - 1 - matrix / 2], begin = op.expert_begin[expert];
    const Matrix& weight = matrix % 2 == 0 ? op.experts[expert].gate : op.experts[expert].up;
    float* y = (matrix % 2 == 0 ? op.gate : op.up) + begin * op.intermediate + span.begin;
    const std::int64_t rows = op.expert_begin[expert + 1] - begin;
    if (UsesBytes(weight, op.x.bytes != nullptr)) {
      device.kernels().byte_linear({weight, span.begin, span.end, op.x.bytes, op.d, op.pair_row + begin, op.x.scales, Groups(op.d, kernels::kByteGroup), rows, y,
                                    op.intermediate, op.rounding});
      return;
    }
    const bool codes = UsesCodes(weight, op.x.codes != nullptr);
    device.kernels().linear({.weight = weight,
                             .row_begin = span.begin,
                             .row_end = span.end,
                             .x = codes ? op.x.codes : op.x.x,
                             .x_stride = op.d,
                             .x_rows = op.pair_row + begin,
                             .x_scales = codes ? op.x.scales : nullptr,
                             .scale_stride = Groups(op.d, kernels::kActivationGroup),
                             .rows = rows,
                             .y = y,
                             .y_stride = op.intermediate,
                             .rounding = op.rounding});
  });
}

/// gate = swiglu(gate, up)·weight for every pair, then its quantised form in place where the down projection wants it: bytes at a row's beginning.
void Activate(Device& device, const RunExperts& op) noexcept {
  const std::int64_t groups = Groups(op.intermediate, kernels::kActivationGroup);
  ForRows(device, op.rows * (op.per_token + 1), [&](std::int64_t i, int) noexcept {
    const kernels::Table& k = device.kernels();
    const std::int64_t row = i / (op.per_token + 1), j = i % (op.per_token + 1), pair = op.pair_of[i];
    const std::int64_t expert = j == op.per_token ? op.expert_count - 1 : op.chosen[row * op.per_token + j];
    float* hidden = op.gate + pair * op.intermediate;
    const float weight = j == op.per_token ? 1.0f : op.weights[row * op.per_token + j];
    k.swiglu({hidden, op.up + pair * op.intermediate, op.intermediate, op.limit, weight, op.rounding, hidden});
    float* scales = op.hidden_scales + pair * groups;
    const Matrix& down = op.experts[expert].down;
    if (UsesCodes(down, op.hidden == HiddenForm::kCodes)) k.quantize({hidden, 1, op.intermediate, hidden, scales});
    if (UsesBytes(down, op.hidden == HiddenForm::kBytes)) {
      k.byte_quantize({hidden, 1, op.intermediate, kernels::kByteGroup, reinterpret_cast<std::int8_t*>(hidden), scales});
    }
  });
}

void ProjectDown(Device& device, const RunExperts& op, std::int64_t active) noexcept {
  const std::int64_t groups = Groups(op.intermediate, kernels::kActivationGroup);
  const std::int64_t size = OutputsPerPart(op.d, 1, active, device.workers().threads()), parts = Parts(op.d, size);
  device.workers().Run(active * parts, [&](std::int64_t part, int) noexcept {
    const auto [matrix, span] = PartOf(active, op.d, size, part);
    const std::int64_t expert = op.active[active - 1 - matrix], begin = op.expert_begin[expert];
    const Matrix& weight = op.experts[expert].down;
    const float* hidden = op.gate + begin * op.intermediate;
    const std::int64_t rows = op.expert_begin[expert + 1] - begin;
    if (UsesBytes(weight, op.hidden == HiddenForm::kBytes)) {
      device.kernels().byte_linear({weight, span.begin, span.end, reinterpret_cast<const std::int8_t*>(hidden), 4 * op.intermediate, nullptr,
                                    op.hidden_scales + begin * groups, groups, rows, op.out + begin * op.d + span.begin, op.d, op.rounding});
      return;
    }
    device.kernels().linear({.weight = weight,
                             .row_begin = span.begin,
                             .row_end = span.end,
                             .x = hidden,
                             .x_stride = op.intermediate,
                             .x_scales = UsesCodes(weight, op.hidden == HiddenForm::kCodes) ? op.hidden_scales + begin * groups : nullptr,
                             .scale_stride = groups,
                             .rows = rows,
                             .y = op.out + begin * op.d + span.begin,
                             .y_stride = op.d,
                             .rounding = op.rounding});
  });
}

}  // namespace

void RunRoute(Device& device, const Route& op) noexcept {
  ForRows(device, op.rows, [&](std::int64_t r, int) noexcept {
    float* scores = op.scores + r * op.experts;
    std::int32_t* chosen = op.chosen + r * op.per_token;
    device.kernels().router_score({scores, op.experts});
    if (op.token_experts != nullptr) {
      for (std::int64_t j = 0; j < op.per_token; ++j) chosen[j] = TableEntry(op, op.tokens[static_cast<std::size_t>(r)], j);
      std::sort(chosen, chosen + op.per_token);
    } else {
      ChooseByScore(op, scores, chosen);
    }
    float sum = 0.0f;
    for (std::int64_t j = 0; j < op.per_token; ++j) sum += scores[chosen[j]];
    for (std::int64_t j = 0; j < op.per_token; ++j) op.weights[r * op.per_token + j] = scores[chosen[j]] / sum * op.route_scale;
  });
}

void RunAllExperts(Device& device, const RunExperts& op) noexcept {
  const std::int64_t active = GroupPairs(op);
  ProjectUp(device, op, active);
  Activate(device, op);
  ProjectDown(device, op, active);
  ForRows(device, op.rows, [&](std::int64_t r, int) noexcept {
    const kernels::Table& k = device.kernels();
    float* y = op.y + r * op.d;
    std::memset(y, 0, static_cast<std::size_t>(4 * op.d));
    // Chosen ids rise within a row and the shared expert stands last: the order of §6.3.
    for (std::int64_t j = 0; j <= op.per_token; ++j) k.add({op.out + op.pair_of[r * (op.per_token + 1) + j] * op.d, op.d, y});
    if (op.rounding == Rounding::kBf16) k.round_bf16({y, op.d});
    ExpandRows(device, op.expand, {r, r + 1}, op.d, op.rounding);
  });
}

}  // namespace baleen::backend::cpu

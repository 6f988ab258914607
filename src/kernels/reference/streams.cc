#include <algorithm>
#include <cmath>

#include "kernels/reference/families.h"

namespace baleen::kernels::reference {
namespace {

float Sigmoid(float x) noexcept { return 1.0f / (1.0f + std::exp(-x)); }

/// One pass of §2.2: every row (or column) of comb divided by its sum + eps.
void Normalise(float* comb, std::int64_t n, std::int64_t line_stride, std::int64_t step, float eps) noexcept {
  for (std::int64_t line = 0; line < n; ++line) {
    float* first = comb + line * line_stride;
    float sum = 0.0f;
    for (std::int64_t i = 0; i < n; ++i) sum += first[i * step];
    for (std::int64_t i = 0; i < n; ++i) first[i * step] /= sum + eps;
  }
}

void MixRow(const MixArgs& args, std::int64_t r) noexcept {
  const std::int64_t n = args.streams, width = (2 + n) * n;
  float* pre = args.mix + r * width;
  float* post = pre + n;
  float* comb = post + n;
  const auto m = [&](std::int64_t i, int part) { return args.raw[r * width + i] * args.factor[r] * args.scale[part] + args.base[i]; };
  for (std::int64_t j = 0; j < n; ++j) pre[j] = Sigmoid(m(j, 0)) + args.eps;
  for (std::int64_t j = 0; j < n; ++j) post[j] = 2.0f * Sigmoid(m(n + j, 1));
  for (std::int64_t j = 0; j < n; ++j) {
    float* row = comb + j * n;
    for (std::int64_t k = 0; k < n; ++k) row[k] = m(2 * n + j * n + k, 2);
    const float largest = *std::max_element(row, row + n);
    float sum = 0.0f;
    for (std::int64_t k = 0; k < n; ++k) sum += row[k] = std::exp(row[k] - largest);
    for (std::int64_t k = 0; k < n; ++k) row[k] = row[k] / sum + args.eps;
  }
  Normalise(comb, n, 1, n, args.eps);
  for (std::int64_t pass = 1; pass < args.iterations; ++pass) {
    Normalise(comb, n, n, 1, args.eps);
    Normalise(comb, n, 1, n, args.eps);
  }
}

}  // namespace

void Mix(const MixArgs& args) noexcept {
  for (std::int64_t r = 0; r < args.rows; ++r) MixRow(args, r);
}

void HeadMix(const HeadMixArgs& args) noexcept {
  for (std::int64_t j = 0; j < args.streams; ++j) args.pre[j] = Sigmoid(args.raw[j] * args.factor * args.scale[0] + args.base[j]) + args.eps;
}

void Collapse(const CollapseArgs& args) noexcept {
  for (std::int64_t i = 0; i < args.d; ++i) {
    float sum = 0.0f;
    for (std::int64_t j = 0; j < args.n; ++j) sum += args.pre[j] * args.streams[j * args.d + i];
    args.x[i] = Round(sum, args.rounding);
  }
}

void Expand(const ExpandArgs& args) noexcept {
  float mixed[kMaxStreams];
  for (std::int64_t i = 0; i < args.d; ++i) {
    for (std::int64_t k = 0; k < args.n; ++k) {
      float sum = 0.0f;
      for (std::int64_t j = 0; j < args.n; ++j) sum += args.comb[j * args.n + k] * args.streams[j * args.d + i];
      mixed[k] = sum + args.post[k] * args.f[i];
    }
    for (std::int64_t k = 0; k < args.n; ++k) args.streams[k * args.d + i] = Round(mixed[k], args.rounding);
  }
}

void RouterScore(const RouterScoreArgs& args) noexcept {
  for (std::int64_t e = 0; e < args.count; ++e) {
    const float l = args.logit[e];
    args.logit[e] = std::sqrt(std::max(l, 0.0f) + std::log1p(std::exp(-std::fabs(l))));
  }
}

void Swiglu(const SwigluArgs& args) noexcept {
  for (std::int64_t i = 0; i < args.count; ++i) {
    float gate = args.gate[i], up = args.up[i];
    if (args.limit > 0.0f) {
      gate = std::min(gate, args.limit);
      up = std::clamp(up, -args.limit, args.limit);
    }
    args.out[i] = Round(gate * Sigmoid(gate) * up * args.weight, args.rounding);
  }
}

void Add(const AddArgs& args) noexcept {
  for (std::int64_t i = 0; i < args.count; ++i) args.y[i] += args.x[i];
}

void RoundBf16(const RoundArgs& args) noexcept {
  for (std::int64_t i = 0; i < args.count; ++i) args.x[i] = tensor::RoundToBf16(args.x[i]);
}

}  // namespace baleen::kernels::reference

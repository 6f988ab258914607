#pragma once

#include "kernels/matrix.h"

namespace baleen::kernels {

inline constexpr std::int64_t kMaxStreams = 16;

/// The mixing weights of one hyper-connection site (§2.2), fp32.
///
///   raw     [rows, (2 + n)·n]  hc_fn · v before the norm factor
///   factor  [rows]             rsqrt(mean(v²) + norm_eps)
///   mix     [rows, (2 + n)·n]  (out) of each row pre [n], post [n], comb [n, n]
struct MixArgs {
  std::int64_t rows = 0;
  const float* raw = nullptr;
  const float* factor = nullptr;
  const float* scale = nullptr;  // [3]
  const float* base = nullptr;   // [(2 + n)·n]
  std::int64_t streams = 0, iterations = 0;
  float eps = 0;
  float* mix = nullptr;
};

/// p[j] = σ(raw[j]·factor·scale[0] + base[j]) + eps: the hyper head (§2.3).
struct HeadMixArgs {
  const float* raw = nullptr;
  float factor = 0;
  const float* scale = nullptr;  // [1]
  const float* base = nullptr;   // [n]
  std::int64_t streams = 0;
  float eps = 0;
  float* pre = nullptr;
};

/// x = round(Σ_j pre[j]·X[j]), one token (§2.1). Order: ascending streams, one fp32 accumulator.
struct CollapseArgs {
  const float* streams = nullptr;  // [n, d]
  std::int64_t n = 0, d = 0;
  const float* pre = nullptr;      // [n]
  float* x = nullptr;              // [d]
  Rounding rounding = Rounding::kNone;
};

/// X'[k] = round(post[k]·f + Σ_j comb[j, k]·X[j]), one token, in place (§2.1). Order: ascending j into one fp32 accumulator, then + post·f.
struct ExpandArgs {
  float* streams = nullptr;        // [n, d]
  std::int64_t n = 0, d = 0;
  const float* f = nullptr;        // [d]
  const float* post = nullptr;     // [n]
  const float* comb = nullptr;     // [n, n]
  Rounding rounding = Rounding::kNone;
};

/// rsqrt(mean(x²) + eps) of one vector.
struct RootMeanArgs {
  const float* x = nullptr;
  std::int64_t d = 0;
  float eps = 0;
};

/// score[e] = sqrt(softplus(logit[e])) in the stable form max(l, 0) + log1p(exp(−|l|)) (§6.1), in place.
struct RouterScoreArgs {
  float* logit = nullptr;
  std::int64_t count = 0;
};

/// out = round(silu(min(g, limit))·clamp(u, ±limit)·weight) (§6.2); limit 0 = no clamp.
struct SwigluArgs {
  const float* gate = nullptr;
  const float* up = nullptr;
  std::int64_t count = 0;
  float limit = 0, weight = 1;
  Rounding rounding = Rounding::kNone;
  float* out = nullptr;
};

/// y += x.
struct AddArgs {
  const float* x = nullptr;
  std::int64_t count = 0;
  float* y = nullptr;
};

/// x = round(x), in place.
struct RoundArgs {
  float* x = nullptr;
  std::int64_t count = 0;
};

}  // namespace baleen::kernels

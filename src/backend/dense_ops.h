#pragma once

#include <cstdint>
#include <span>

#include "backend/device.h"

namespace baleen::backend {

using kernels::Format;
using kernels::IndexRowLayout;
using kernels::KvRowLayout;
using kernels::Matrix;
using kernels::Rounding;
using kernels::RowFormat;

/// Activations of a step: plain numbers, and after Quantize also the form that quantised weights multiply: e4m3 for FP8 and FP4 in official
/// arithmetic, bytes for both in fast arithmetic.
struct Numbers {
  const float* x = nullptr;       // [rows, d]
  const float* codes = nullptr;   // [rows, d] e4m3 values, or null: weights multiply x
  const float* scales = nullptr;  // [rows, ceil(d/128)]; with bytes [rows, ceil(d/512)]
  std::int64_t d = 0;
  const std::int8_t* bytes = nullptr;  // [rows, d], or null; never beside codes
};

/// Where activations are written: plain numbers and, where codes or bytes are given, their quantised form too (§9.2).
struct QuantizedBuffer {
  float* x = nullptr;
  float* codes = nullptr;   // official arithmetic, else null; never x
  float* scales = nullptr;
  std::int8_t* bytes = nullptr;  // fast arithmetic, else null

  Numbers Of(std::int64_t d) const noexcept { return {x, codes, scales, d, bytes}; }
};

/// streams[r, j, :] = table[tokens[r], :] for every stream j (§2.1).
struct Embed {
  Matrix table;  // [vocab, d], kBf16 or kF32
  std::span<const std::int32_t> tokens;
  std::int64_t n = 0;
  float* streams = nullptr;  // [rows, n, d]
  std::int64_t row_stride = 0;  // floats from one row of streams to the next, >= n·d
};

/// A hyper-connection site's parameters (§2.2). For the hyper head fn is [n, n·d], scale [1], base [n].
struct SiteWeights {
  Matrix fn;  // [(2 + n)·n, n·d], kF32
  const float* scale = nullptr;
  const float* base = nullptr;
  std::int64_t n = 0, d = 0, iterations = 0;
  float hc_eps = 0, norm_eps = 0;
};

/// X' = post·f + combᵀX with the mix of CollapseStreams (§2.1). Never an operation of its own: a row is expanded while it is at hand for another.
struct ExpandStreams {
  std::int64_t n = 0;
  const float* f = nullptr;    // [rows, d]; null: nothing is expanded
  const float* mix = nullptr;  // [rows, (2 + n)·n]
  float* streams = nullptr;    // [rows, n, d], in place
};

/// x = norm(Σ pre·X): collapses the streams of every row and keeps post and comb for Expand (§2.1, §2.2). Where `expand` is given, a row's streams
/// are expanded first; mix may be the one that says how.
struct CollapseStreams {
  const SiteWeights* site = nullptr;
  ExpandStreams expand;
  const float* streams = nullptr;  // [rows, n, d]
  std::int64_t rows = 0;
  const float* norm_weight = nullptr;  // [d]
  float* raw = nullptr;            // [rows, (2 + n)·n] scratch
  float* mix = nullptr;            // [rows, (2 + n)·n] pre, post, comb of each row   (out)
  QuantizedBuffer x;               // [rows, d]   (out)
  Rounding rounding = Rounding::kNone;
};

/// The hyper head and its norm on chosen rows (§2.3, §8): y[i] = norm(Σ p·X[chosen[i]]); without a norm weight the sum as it is.
struct CollapseHead {
  const SiteWeights* site = nullptr;
  const float* streams = nullptr;
  std::span<const std::int32_t> chosen;
  const float* norm_weight = nullptr;  // [d], or null
  float* raw = nullptr;  // [chosen, n] scratch
  float* y = nullptr;    // [chosen, d]
  Rounding rounding = Rounding::kNone;
};

/// out[r, :] = round(mean over the streams of row r) (§7.2: what a drafter reads of a layer), rows out_stride floats apart.
struct MeanStreams {
  const float* streams = nullptr;  // [rows, n, d]
  std::int64_t rows = 0, n = 0, d = 0;
  float* out = nullptr;
  std::int64_t out_stride = 0;
  Rounding rounding = Rounding::kNone;
};

/// Makes the quantised form of what the buffer holds (§9.2).
struct Quantize {
  QuantizedBuffer out;  // [rows, d]
  std::int64_t rows = 0, d = 0;
};

/// y = W x for every row; the quantised form of x is used where it is given and the weight takes it: codes or bytes for FP8 and FP4.
struct Linear {
  Matrix weight;
  Numbers x;
  std::int64_t rows = 0;
  float* y = nullptr;  // [rows, weight.n]
  Rounding rounding = Rounding::kNone;
};

/// y[r, g] = W[g·R … (g+1)·R) x[r, g]: the grouped output projection (§3.6), of plain numbers or of bytes, never of codes.
struct GroupedLinear {
  Matrix weight;  // [groups·R, d/groups]
  Numbers x;      // [rows·groups, weight.k]
  std::int64_t rows = 0, groups = 0;
  float* y = nullptr;  // [rows, weight.n]
  Rounding rounding = Rounding::kNone;
};

/// RMSNorm of every row, x_stride floats apart, and its quantised form where that is wanted.
struct Norm {
  const float* x = nullptr;
  std::int64_t rows = 0, d = 0, x_stride = 0;
  const float* weight = nullptr;
  float eps = 0;
  QuantizedBuffer out;  // [rows, d]
  Rounding rounding = Rounding::kNone;
};

/// Cosines and sines of every row's position (§3.3): angle = fp32(position)·fp32(frequency).
struct Rotation {
  const float* cosine = nullptr;  // [rows, rope_dim / 2]
  const float* sine = nullptr;
  std::int64_t rope_dim = 0;
};
struct MakeRotation {
  std::span<const float> frequencies;         // [rope_dim / 2]
  std::span<const std::int64_t> positions;    // [rows]
  float* cosine = nullptr;
  float* sine = nullptr;
};

/// Prepares query vectors in place: per-head norm if eps > 0 (attention, §3.1), rotation, index quantisation if asked (§5).
struct PrepareQuery {
  float* q = nullptr;  // [rows, heads, dim]
  std::int64_t rows = 0, heads = 0, dim = 0;
  float head_norm_eps = 0;
  Rotation rotation;
  bool index_quantize = false;
  Rounding rounding = Rounding::kNone;
};

/// Stores each row's KV: norm, rotation, pack (§3.2). kv is overwritten.
struct StoreKv {
  float* kv = nullptr;  // [rows, layout.dim]
  std::int64_t rows = 0;
  const float* norm_weight = nullptr;
  float eps = 0;
  Rotation rotation;
  KvRowLayout layout;
  std::byte* stored = nullptr;  // [rows, layout.RowBytes()]
  Rounding rounding = Rounding::kNone;
};

/// x = round(x · factor), in place.
struct ScaleBy {
  float* x = nullptr;
  std::int64_t count = 0;
  float factor = 1;
  Rounding rounding = Rounding::kNone;
};

/// x = round(x + y) over rows; y has one row for `repeat` rows of x (§7.1: e is added to every stream).
struct AddRows {
  float* x = nullptr;        // [rows·repeat, d]
  const float* y = nullptr;  // [rows, d]
  std::int64_t rows = 0, repeat = 1, d = 0;
  Rounding rounding = Rounding::kNone;
};

}  // namespace baleen::backend

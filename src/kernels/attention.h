#pragma once

#include "kernels/cache_rows.h"

namespace baleen::kernels {

/// Attention of one token's query heads over a list of rows that are key and value at once (§3.5).
///
///   s_k = (q·row_k)·scale;  p_k = exp(s_k − M), M the maximum over the rows;  den = Σ p_k + exp(sink − M)
///   out = (Σ round(p_k)·row_k) / den, rounded
///
/// Order     rows in list order, in blocks of 64; M may be the running maximum (sums of earlier blocks rescaled) or the final one.
///           A head's bits do not depend on the other heads.
/// Requires  count >= 1.
struct AttendArgs {
  const float* query = nullptr;             // [heads, layout.dim]
  std::int64_t heads = 0;
  const std::byte* const* rows = nullptr;   // [count]
  std::int64_t count = 0;
  KvRowLayout layout;
  const float* sink = nullptr;              // [heads]
  float scale = 0;
  Rounding rounding = Rounding::kNone;      // kBf16: p is rounded before the value product and the output at the end
  float* scratch = nullptr;                 // [AttendScratchFloats(heads, count, dim)]
  float* out = nullptr;                     // [heads, layout.dim]
};

inline constexpr std::int64_t kAttendBlock = 64;

/// Scratch of AttendArgs for at most `count` rows; every row of the table is content with it.
constexpr std::int64_t AttendScratchFloats(std::int64_t heads, std::int64_t count, std::int64_t dim) noexcept {
  return kAttendBlock * dim + heads * (count + 2 * kAttendBlock + dim / 2) + 64;
}

/// score[s] = Σ_h relu(q[h]·key_first+s)·weight[h] for s in [0, count) (§5). kBf16: the dot, the product and the sum round to bf16; the sum
/// over heads is fp32 in head order.
struct IndexScoreArgs {
  const float* query = nullptr;    // [heads, layout.dim]
  const float* weight = nullptr;   // [heads]
  std::int64_t heads = 0;
  IndexRowLayout layout;
  EntryTable keys;                 // rows of layout.RowBytes()
  std::int64_t first = 0, count = 0;
  Rounding rounding = Rounding::kNone;
  float* scratch = nullptr;        // [IndexScratchFloats(layout.dim)]
  float* score = nullptr;          // [count]
};

constexpr std::int64_t IndexScratchFloats(std::int64_t dim) noexcept { return 16 * dim + 64; }

/// The k rows of the highest score, ascending; ties go to the lower row. NaN ranks lowest.
/// chosen [min(k, count)]; scratch [count] integers.
struct TopKArgs {
  const float* score = nullptr;
  std::int64_t count = 0, k = 0;
  std::int32_t* scratch = nullptr;
  std::int32_t* chosen = nullptr;
};

/// out[c] = Σ_s softmax_s(gate[s][c])·value[s][c] over `count` slots, separately for each channel (§4.2); then rounded (§4.3).
struct PoolArgs {
  const float* const* value = nullptr;  // [count] pointers to [dim]
  const float* const* gate = nullptr;   // [count] pointers to [dim], the position bias already added
  std::int64_t count = 0, dim = 0;
  Rounding rounding = Rounding::kNone;
  float* out = nullptr;                 // [dim]
};

}  // namespace baleen::kernels

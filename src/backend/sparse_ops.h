#pragma once

#include <cstdint>
#include <span>

#include "backend/dense_ops.h"

namespace baleen::backend {

using kernels::EntryTable;

/// One sequence's rows in a step and where its older state lies, for one layer.
struct CacheView {
  std::int64_t first_position = 0;   // of the first row
  std::int64_t rows = 0;
  std::byte* window = nullptr;       // ring of `window_rows` KV rows; position p lies in slot p mod window_rows
  std::int64_t window_rows = 0;      // at least what a row sees
  EntryTable entries;                // compressed KV rows
  EntryTable index_entries;
};

/// Runs one compressor over a sequence's rows (§4): pools every window that closes, normalises, rotates and stores it as an entry, then
/// keeps the last rows for the next step.
struct Compress {
  const float* value = nullptr;  // [rows, channels]
  float* gate = nullptr;         // [rows, channels]; the position bias is added here
  const float* position_bias = nullptr;  // ape [ratio, channels]
  std::int64_t first_position = 0, rows = 0;
  float* tail_value = nullptr;   // ring of tail_rows rows of `channels`; position p in slot p mod tail_rows
  float* tail_gate = nullptr;
  std::int64_t tail_rows = 0;
  std::int64_t ratio = 0, dim = 0, channels = 0;  // channels = 2·dim where windows overlap
  const float* norm_weight = nullptr;
  float eps = 0;
  std::span<const float> frequencies;
  bool index_keys = false;       // entries are index keys (layout `index`), not KV rows (layout `kv`)
  KvRowLayout kv;
  IndexRowLayout index;
  EntryTable entries;
  Rounding rounding = Rounding::kNone;
};

constexpr ScratchSizes CompressScratch(std::int64_t ratio, std::int64_t dim, std::int64_t rope_dim) noexcept {
  return {2 * dim + rope_dim + 64, 0, 4 * ratio + 16};
}

/// The entries each row of a sequence will read: all visible ones, or the top_k of highest index score (§5).
struct ChooseRows {
  CacheView cache;
  const float* query = nullptr;   // [rows, heads, layout.dim]
  const float* weights = nullptr; // [rows, heads]
  std::int64_t heads = 0, ratio = 0, top_k = 0;
  IndexRowLayout layout;
  float* score = nullptr;         // [score_stride] per row of a group
  std::int64_t score_stride = 0, score_rows = 0;
  std::int32_t* chosen = nullptr; // [rows, top_k] ascending   (out)
  Rounding rounding = Rounding::kNone;
};

constexpr ScratchSizes ChooseScratch(std::int64_t dim, std::int64_t entries) noexcept {
  return {kernels::IndexScratchFloats(dim), entries + 16, 0};
}

/// Attention of a sequence's rows over window and compressed entries, inverse rotation included (§3.4, §3.5); afterwards the last
/// rows move into the window ring.
struct Attend {
  CacheView cache;
  const std::byte* step_rows = nullptr;  // [rows, RowBytes] KV rows of this step
  KvRowLayout layout;
  std::int64_t window = 0;               // tokens a query sees, itself included
  std::int64_t ratio = 0;                // 0 = window only
  const std::int32_t* chosen = nullptr;  // [rows, top_k] of ChooseRows, or null: every visible entry
  std::int64_t top_k = 0;
  const float* query = nullptr;          // [rows, heads, dim]
  std::int64_t heads = 0;
  const float* sink = nullptr;           // [heads]
  bool block = false;                    // a drafter's block (§7.2): every row sees the `window` rows before the segment, then all rows of
                                         // the segment, later ones too; the ring stays as it is
  Rotation rotation;                     // of these rows
  float* out = nullptr;                  // [rows, heads, dim]
  Rounding rounding = Rounding::kNone;
};

constexpr ScratchSizes AttendScratch(std::int64_t heads, std::int64_t keys, std::int64_t dim) noexcept {
  return {kernels::AttendScratchFloats(heads, keys, dim), 0, keys + 16};
}

/// Puts a sequence's rows of a step into its window ring, as Attend does after it (§7.2: rows that come from elsewhere).
struct KeepRows {
  CacheView cache;
  const std::byte* step_rows = nullptr;  // [rows, RowBytes]
  KvRowLayout layout;
};

/// Chooses experts_per_token experts per row and their weights (§6.1), ids ascending.
struct Route {
  float* scores = nullptr;                  // [rows, experts]: logits on entry, scores afterwards
  std::int64_t rows = 0, experts = 0, per_token = 0;
  const float* bias = nullptr;              // [experts], score-routed layers
  const std::byte* token_experts = nullptr; // [vocab, per_token] ids, hash-routed layers
  bool token_experts_are_64_bit = true;
  std::span<const std::int32_t> tokens;
  float route_scale = 1;
  std::int32_t* chosen = nullptr;           // [rows, per_token]
  float* weights = nullptr;                 // [rows, per_token]
};

/// The three matrices of an expert (§6.2).
struct ExpertWeights {
  Matrix gate, up, down;  // w1, w3, w2
};

/// How an expert's hidden numbers meet its down projection: as they are; as e4m3 (official arithmetic) or as bytes (fast), both
/// before FP8 and FP4.
enum class HiddenForm : std::uint8_t { kPlain, kCodes, kBytes };

/// y = round(Σ_e down_e(weight·swiglu(gate_e x, up_e x)) + shared(x)): experts in ascending id, then the shared one, fp32 (§6.3).
struct RunExperts {
  const ExpertWeights* experts = nullptr;  // [expert_count], the shared expert last
  std::int64_t expert_count = 0;           // routed + 1
  Numbers x;
  std::int64_t rows = 0, per_token = 0, intermediate = 0, d = 0;
  const std::int32_t* chosen = nullptr;
  const float* weights = nullptr;
  float limit = 0;
  HiddenForm hidden = HiddenForm::kPlain;  // what down projections multiply where their weights take it
  std::int32_t* pair_row = nullptr;        // [rows·(per_token + 1)] scratch
  std::int32_t* pair_of = nullptr;         // [rows·(per_token + 1)] scratch
  std::int64_t* expert_begin = nullptr;    // [expert_count + 1] scratch
  std::int32_t* active = nullptr;          // [expert_count] scratch
  float* gate = nullptr;                   // [pairs, intermediate] scratch
  float* up = nullptr;                     // [pairs, intermediate] scratch
  float* hidden_scales = nullptr;          // [pairs, ceil(intermediate/128)] scratch
  float* out = nullptr;                    // [pairs, d] scratch
  float* y = nullptr;                      // [rows, d]
  ExpandStreams expand;                    // by y, each row as soon as its sum is there
  Rounding rounding = Rounding::kNone;
};

}  // namespace baleen::backend

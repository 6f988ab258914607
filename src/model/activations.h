#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/model_config.h"
#include "model/layer_plan.h"
#include "model/step.h"
#include "tensor/arena.h"

namespace baleen::model {

/// The largest step that a model is prepared for.
struct Limits {
  std::int64_t rows = 256;         // of one step
  std::int64_t context = 0;        // tokens of one sequence
  std::int64_t logit_rows = 1;     // rows_wanted of one step
  std::int64_t segments = 1;       // sequences of one step
  bool with_mtp = false;
};

/// Plain numbers and, in official arithmetic, their e4m3 form (§9.2).
struct QuantizedBuffer {
  float* x = nullptr;
  float* codes = nullptr;   // null in exact arithmetic
  float* scales = nullptr;
};

/// A segment with its place: what attention needs to know of one sequence's rows.
struct SegmentRows {
  kvcache::Sequence* sequence = nullptr;
  std::int64_t first_position = 0, rows = 0, first_row = 0;
};

/// The rows that a block works on: tokens, positions, sequences and the rotations of both θ.
struct Rows {
  std::int64_t count = 0, segment_count = 0;
  std::int32_t* tokens = nullptr;
  std::int64_t* positions = nullptr;
  SegmentRows* segments = nullptr;
  float *plain_cosine = nullptr, *plain_sine = nullptr;            // [rows, rope_dim / 2]
  float *compressed_cosine = nullptr, *compressed_sine = nullptr;

  std::span<const std::int32_t> TokenSpan() const noexcept { return {tokens, static_cast<std::size_t>(count)}; }
  std::span<const std::int64_t> PositionSpan() const noexcept { return {positions, static_cast<std::size_t>(count)}; }
};

/// Every buffer of a step, sized once for the limits; nothing is allocated while a step runs.
struct Activations {
  Rows rows, draft_rows;
  float *streams = nullptr, *draft_streams = nullptr;  // [rows, n, d]
  float *mix_raw = nullptr, *mix = nullptr;            // [rows, (2 + n)·n]
  QuantizedBuffer x;                                   // [rows, d]: what a half of a block reads
  float* y = nullptr;                                  // [rows, d]: what it gives
  QuantizedBuffer query_low;                           // [rows, q_lora]
  float *query = nullptr, *attended = nullptr;         // [rows, H·D]
  float* kv = nullptr;                                 // [rows, D]
  std::byte* kv_rows = nullptr;
  float *compressor_value = nullptr, *compressor_gate = nullptr;  // [rows, channels]
  float *index_query = nullptr, *index_weights = nullptr, *index_score = nullptr;
  std::int64_t index_score_rows = 0, index_score_stride = 0;
  std::int32_t* chosen_rows = nullptr;                 // [rows, top_k]
  QuantizedBuffer output_low;                          // [rows, G·R]
  float* router_scores = nullptr;                      // [rows, E]
  std::int32_t* chosen_experts = nullptr;              // [rows, per_token]
  float* expert_weights = nullptr;
  std::int32_t *pair_row = nullptr, *pair_of = nullptr, *active_experts = nullptr;
  std::int64_t* expert_begin = nullptr;
  float *expert_gate = nullptr, *expert_up = nullptr, *expert_scales = nullptr, *expert_out = nullptr;
  QuantizedBuffer draft_input;                         // [rows·n, d]
  std::int32_t* draft_chosen = nullptr;                // [rows]
  float *head_raw = nullptr, *head_y = nullptr;        // [logit_rows, n], [logit_rows, d]
  float* logits = nullptr;                             // [logit_rows, vocab]

  /// Takes every buffer from the arena; with a counting arena it says how much they need.
  void Take(tensor::Arena& arena, const checkpoint::ModelConfig& config, Arithmetic arithmetic, const Limits& limits) noexcept;
};

/// Threads' scratch for the limits.
backend::ScratchSizes ScratchFor(const checkpoint::ModelConfig& config, const Limits& limits) noexcept;

}  // namespace baleen::model

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
  std::int64_t draft_tokens = 0;   // proposed to a sequence at most; 0 = the drafter is not loaded. A block of DSpark bounds it further
  // DSpark proposes no token whose draft is accepted whole up to it with a smaller probability by its own confidences. A further row in a
  // step costs about a third of the first (on V4-Flash the routed experts' bytes, which rows seldom share, against all that a row reads).
  float least_confidence = 0.3f;
};

/// Plain numbers and, in official arithmetic, their e4m3 form (§9.2).
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
  bool blocks = false;             // segments are a drafter's blocks: their rows see each other and are not kept (§7.2)
  float *plain_cosine = nullptr, *plain_sine = nullptr;            // [rows, rope_dim / 2]
  float *compressed_cosine = nullptr, *compressed_sine = nullptr;

  void Clear() noexcept { count = segment_count = 0, blocks = false; }
  std::span<const std::int32_t> TokenSpan() const noexcept { return {tokens, static_cast<std::size_t>(count)}; }
  std::span<const std::int64_t> PositionSpan() const noexcept { return {positions, static_cast<std::size_t>(count)}; }
};

/// What a Propose fills: a row per drafted token, rows of one place in the draft together.
struct DraftBuffers {
  float* logits = nullptr;             // [segments·draft_tokens, vocab]
  std::int32_t* logit_row = nullptr;   // [segments, draft_tokens] rows of `logits`, -1 = not computed
  std::int32_t *owner = nullptr;       // [segments] proposals that are still being drafted for
  // DSpark
  float* head_y = nullptr;             // [segments·draft_tokens, d], the hyper head's output normalised
  std::int32_t* previous = nullptr;    // [segments] the token before the drafted one
  float* markov = nullptr;             // [segments, rank] its embedding
  float* correction = nullptr;         // [segments, vocab]
  float* confidence_input = nullptr;   // [segments, d + rank]
  float* confidence = nullptr;         // [segments]
  float* reached = nullptr;            // [segments] product of the confidences so far, by proposal
};

/// Every buffer of a step, sized once for the limits; nothing is allocated while a step runs.
struct Activations {
  Rows rows, draft_rows;
  float *streams = nullptr, *draft_streams = nullptr;  // [rows, n, d]
  float *mix_raw = nullptr, *mix = nullptr;            // [rows, (2 + n)·n]
  backend::QuantizedBuffer x;                          // [rows, d]: what a half of a block reads
  float* y = nullptr;                                  // [rows, d]: what it gives
  backend::QuantizedBuffer query_low;                  // [rows, q_lora]
  float* query = nullptr;                              // [rows, H·D]
  backend::QuantizedBuffer attended;                   // [rows, groups, H·D / groups]
  float* kv = nullptr;                                 // [rows, D]
  std::byte* kv_rows = nullptr;
  float *compressor_value = nullptr, *compressor_gate = nullptr;  // [rows, channels]
  float *index_query = nullptr, *index_weights = nullptr, *index_score = nullptr;
  std::int64_t index_score_rows = 0, index_score_stride = 0;
  std::int32_t* chosen_rows = nullptr;                 // [rows, top_k]
  backend::QuantizedBuffer output_low;                 // [rows, G·R]
  float* router_scores = nullptr;                      // [rows, E]
  std::int32_t* chosen_experts = nullptr;              // [rows, per_token]
  float* expert_weights = nullptr;
  std::int32_t *pair_row = nullptr, *pair_of = nullptr, *active_experts = nullptr;
  std::int64_t* expert_begin = nullptr;
  float *expert_gate = nullptr, *expert_up = nullptr, *expert_scales = nullptr, *expert_out = nullptr;
  backend::QuantizedBuffer draft_input;                // [rows·n, d], MTP
  backend::QuantizedBuffer features;                   // [rows, targets·d], DSpark: what the drafter reads of the backbone's layers
  std::int32_t* draft_chosen = nullptr;                // [rows]
  DraftBuffers draft;
  float *head_raw = nullptr, *head_y = nullptr;        // [logit rows, n], [logit rows, d]
  float* logits = nullptr;                             // [logit_rows, vocab]

  /// Takes every buffer from the arena; with a counting arena it says how much they need.
  void Take(tensor::Arena& arena, const checkpoint::ModelConfig& config, Arithmetic arithmetic, const Limits& limits) noexcept;
};

/// Threads' scratch for the limits.
backend::ScratchSizes ScratchFor(const checkpoint::ModelConfig& config, const Limits& limits) noexcept;

/// Bytes of the activations of such steps.
std::uint64_t ActivationBytes(const checkpoint::ModelConfig& config, Arithmetic arithmetic, const Limits& limits) noexcept;

/// Tokens of a prompt that a step should take: the more, the more rows an expert's weights meet when they are read, up to 2,048; so few that the
/// activations take at most `bytes`, but no fewer than 256. Never more than `tokens`, those of the prompt at most.
std::int64_t ChunkRows(const checkpoint::ModelConfig& config, Arithmetic arithmetic, std::int64_t tokens, std::uint64_t bytes) noexcept;

}  // namespace baleen::model

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "diagnostics/result.h"

namespace baleen::engine {

/// How the next token is chosen.
struct Sampling {
  double temperature = 1;  // >= 0; 0 = the largest logit
  double top_p = 1;        // (0, 1]: the fewest likeliest tokens whose probabilities reach it, never none
  std::uint64_t seed = 0;
};

/// Chooses tokens from logits. The choice depends on the logits, the settings and the index alone, so a run can be repeated anywhere.
class Sampler {
 public:
  /// allowed: [vocab] 0 = never chosen; empty = every id may be. Takes all memory that Choose needs.
  /// Errors: a temperature below 0 or not finite, top_p outside (0, 1], a mask of another length or without an allowed id.
  static Result<Sampler> Create(const Sampling& sampling, std::int64_t vocab_size, std::vector<std::uint8_t> allowed = {});

  /// The token at place `index` of its sequence, for [vocab] logits. Ties: the lower id is likelier to be kept, and wins at temperature 0.
  /// Order: probabilities in double, candidates by falling logit, then rising id.
  /// Errors: a logit of an allowed token that is NaN or infinite.
  Result<std::int32_t> Choose(std::span<const float> logits, std::uint64_t index);

  const Sampling& sampling() const noexcept { return sampling_; }

 private:
  struct Candidate {
    float logit;
    std::int32_t id;
    double weight;  // exp((logit - largest) / temperature)
  };

  Sampler(const Sampling& sampling, std::vector<std::uint8_t> allowed) : sampling_(sampling), allowed_(std::move(allowed)) {}
  bool Allowed(std::size_t id) const noexcept { return allowed_.empty() || allowed_[id] != 0; }
  Result<std::int32_t> Largest(std::span<const float> logits) const;
  std::int32_t Draw(double uniform);
  void SortTo(std::size_t count);

  Sampling sampling_;
  std::vector<std::uint8_t> allowed_;
  std::vector<Candidate> candidates_;
  std::size_t sorted_ = 0;  // so many candidates at the front are in their final order
};

}  // namespace baleen::engine

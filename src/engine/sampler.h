#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "diagnostics/result.h"
#include "engine/penalties.h"

namespace baleen::engine {

/// Added to the logit of a token; -100 forbids it.
struct LogitBias {
  std::int32_t id = 0;
  double bias = 0;  // [-100, 100]
};

/// How the next token is chosen. The order is fixed: masks, logit_bias, penalties; then at temperature 0 the largest, else temperature,
/// top_k, min_p, top_p and a draw among what is left, each token as often as its probability.
struct Sampling {
  double temperature = 1;       // >= 0; 0 = the largest logit, the lower id of a tie
  double top_p = 1;             // [0, 1]: the fewest likeliest tokens whose probabilities reach it, never none
  std::uint64_t seed = 0;
  std::int64_t top_k = 0;       // so many of the likeliest, of a tie the lower ids; 0 = all
  double min_p = 0;             // [0, 1]: tokens at least so many times as likely as the likeliest
  double frequency_penalty = 0;  // [-2, 2]: taken off for every time the token stands in the answer
  double presence_penalty = 0;   // [-2, 2]: taken off once if it stands there
  std::vector<LogitBias> logit_bias;  // no id twice

  bool Penalizes() const noexcept { return frequency_penalty != 0 || presence_penalty != 0; }
};

/// Errors: a number outside its range, a bias for an id outside the vocabulary, two for one id; the message begins with the field's name.
Status CheckSampling(const Sampling& sampling, std::int64_t vocab_size);

/// What one choice depends on; nothing else matters, so a run can be repeated anywhere, in any company.
struct Choice {
  std::span<const float> logits;              // [vocab]
  const Sampling* sampling = nullptr;         // passed CheckSampling
  const TokenCounts* counts = nullptr;        // of the answer so far; null = no token yet
  std::span<const std::uint8_t> allowed;      // [vocab] 0 = never chosen; empty = every id
  std::span<const std::uint32_t> constraint;  // [ceil(vocab / 32)] bit id mod 32 of word id / 32: 0 = not now; empty = every id
  std::uint64_t index = 0;                    // the token's place in its sequence: which number of the seed's stream is drawn
};

/// Chooses tokens for any number of requests, one after the other: it holds working memory and no state. One per thread.
class Chooser {
 public:
  /// Takes all memory that Choose needs: 22 bytes for each token of the vocabulary.
  explicit Chooser(std::int64_t vocab_size);

  /// The token, and nothing is allocated. Probabilities are in double; tokens e^64 times less likely than the likeliest are not drawn.
  /// Errors: the logit of a token that the masks leave is NaN or infinite; masks and biases leave no token. The next choice is not
  /// touched by an error.
  Result<std::int32_t> Choose(const Choice& choice);

 private:
  struct Candidate {
    float logit;
    std::int32_t id;
  };
  /// The first tokens in the order of falling logit, then rising id: all of the buckets before `bucket` and in_bucket of that one.
  struct Front {
    std::size_t bucket = 0, in_bucket = 0;
    double mass = 0;  // their weights together
  };

  Result<std::span<const float>> Adjust(const Choice& choice);
  void Weigh(std::span<const float> logits, double largest, double smallest, const Sampling& sampling);
  std::span<const Candidate> Sorted(std::span<const float> logits, std::size_t bucket);
  Front Likeliest(std::span<const float> logits, std::int64_t count);
  template <typename Reached>
  Front Shortest(std::span<const float> logits, const Front& within, Reached reached);
  std::int32_t Draw(std::span<const float> logits, const Sampling& sampling, std::uint64_t index);

  std::vector<float> adjusted_;         // [vocab] logits behind masks, biases and penalties; -infinity = not allowed
  std::vector<double> weights_;         // [vocab] exp((logit - largest) / temperature)
  std::vector<std::uint16_t> buckets_;  // [vocab]
  std::vector<std::uint32_t> counts_;   // [buckets, and places for what is cut]
  std::vector<double> masses_;          // the same places: the weights' sums
  std::vector<Candidate> candidates_;   // of the bucket sorted_, in order
  std::size_t sorted_ = 0;
};

/// A Chooser for one conversation, with its settings and the counts of its answer.
class Sampler {
 public:
  /// allowed: [vocab] 0 = never chosen; empty = every id may be. Takes all memory that Choose needs.
  /// Errors: those of CheckSampling, a mask of another length or without an allowed id.
  static Result<Sampler> Create(const Sampling& sampling, std::int64_t vocab_size, std::vector<std::uint8_t> allowed = {});

  /// A new answer: its penalties count from here.
  void BeginAnswer() noexcept { counts_.Clear(); }

  /// The token at place `index` of its sequence, for [vocab] logits; it is counted as part of the answer. Errors: those of Chooser::Choose.
  Result<std::int32_t> Choose(std::span<const float> logits, std::uint64_t index);

  const Sampling& sampling() const noexcept { return sampling_; }

 private:
  Sampler(const Sampling& sampling, std::int64_t vocab_size, std::vector<std::uint8_t> allowed)
      : sampling_(sampling), allowed_(std::move(allowed)), chooser_(vocab_size) {}

  Sampling sampling_;
  std::vector<std::uint8_t> allowed_;
  TokenCounts counts_;
  Chooser chooser_;
};

}  // namespace baleen::engine

#include "engine/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "diagnostics/check.h"
#include "engine/counter_random.h"
#include "engine/softmax.h"

namespace baleen::engine {

using diagnostics::InvalidInput;

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();
constexpr std::size_t kBuckets = 4096;
constexpr std::size_t kCut = 8;  // places behind them for what is cut; one alone would be a chain of additions
constexpr std::size_t kBlock = 512;  // tokens whose masks and weights are made together

std::string Number(double value) {
  std::string text = std::to_string(value);
  return text.size() > 40 ? "a number of " + std::to_string(text.size()) + " characters" : text;
}

Status CheckRange(const char* field, double value, double least, double most) {
  if (value >= least && value <= most) return {};
  return InvalidInput(std::string(field) + ": expected a number from " + std::to_string(static_cast<int>(least)) + " to " +
                      std::to_string(static_cast<int>(most)) + ", found " + Number(value));
}

Status CheckBias(const std::vector<LogitBias>& biases, std::int64_t vocab_size) {
  std::vector<std::int32_t> ids;
  ids.reserve(biases.size());
  for (const LogitBias& bias : biases) {
    if (bias.id < 0 || bias.id >= vocab_size) {
      return InvalidInput("logit_bias: expected ids from 0 to " + std::to_string(vocab_size - 1) + " (the vocabulary), found " + std::to_string(bias.id));
    }
    TRY(CheckRange(("logit_bias: token " + std::to_string(bias.id)).c_str(), bias.bias, -100, 100));
    ids.push_back(bias.id);
  }
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice != ids.end()) return InvalidInput("logit_bias: expected each id once, found " + std::to_string(*twice) + " twice; leave one bias");
  return {};
}

// masks[i]: all bits, if both masks leave token begin + i, else none. begin is a multiple of 32.
void JoinMasks(const Choice& choice, std::size_t begin, std::span<std::uint32_t> masks) {
  if (choice.constraint.empty()) {
    std::fill(masks.begin(), masks.end(), ~std::uint32_t{0});
  } else {
    for (std::size_t first = 0; first < masks.size(); first += 32) {
      const std::uint32_t word = choice.constraint[(begin + first) / 32];
      std::array<std::uint32_t, 32> bits;
      for (std::uint32_t bit = 0; bit < 32; ++bit) bits[bit] = (word & std::uint32_t{1} << bit) != 0 ? ~std::uint32_t{0} : 0;
      std::copy_n(bits.begin(), std::min<std::size_t>(32, masks.size() - first), masks.begin() + static_cast<std::ptrdiff_t>(first));
    }
  }
  if (choice.allowed.empty()) return;
  const std::uint8_t* allowed = choice.allowed.data() + begin;
  for (std::size_t i = 0; i < masks.size(); ++i) masks[i] &= allowed[i] != 0 ? ~std::uint32_t{0} : 0;
}

// Copies the logits that the masks leave, and kForbidden for the others. Whether all those are finite.
bool CopyMasked(std::span<const float> logits, std::span<const std::uint32_t> masks, float* to) {
  constexpr std::uint32_t kExponent = 0x7f800000;  // all of its bits are set in NaN and infinity alone
  std::uint32_t broken = 0;
  for (std::size_t i = 0; i < masks.size(); ++i) {
    const std::uint32_t left = std::bit_cast<std::uint32_t>(logits[i]) & masks[i];
    to[i] = std::bit_cast<float>(left | (std::bit_cast<std::uint32_t>(kForbidden) & ~masks[i]));
    broken |= (left & kExponent) == kExponent ? ~std::uint32_t{0} : 0;
  }
  return broken == 0;
}

bool Adjusts(const Choice& choice) {
  return !choice.allowed.empty() || !choice.constraint.empty() || !choice.sampling->logit_bias.empty() ||
         (choice.sampling->Penalizes() && choice.counts != nullptr && !choice.counts->entries().empty());
}

void AddBiasAndPenalties(const Choice& choice, std::span<float> logits) {
  for (const auto& [id, bias] : choice.sampling->logit_bias) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = bias <= -100 ? kForbidden : static_cast<float>(logit + bias);
  }
  if (!choice.sampling->Penalizes() || choice.counts == nullptr) return;
  for (const auto& [id, count] : choice.counts->entries()) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = static_cast<float>(logit - choice.sampling->frequency_penalty * count - choice.sampling->presence_penalty);
  }
}

}  // namespace

Status CheckSampling(const Sampling& sampling, std::int64_t vocab_size) {
  if (!std::isfinite(sampling.temperature) || sampling.temperature < 0) {
    return InvalidInput("temperature: expected a number from 0 up, found " + Number(sampling.temperature) + "; 0 always takes the likeliest token");
  }
  TRY(CheckRange("top_p", sampling.top_p, 0, 1));
  if (sampling.top_k < 0) return InvalidInput("top_k: expected a whole number from 0 up, found " + std::to_string(sampling.top_k) + "; 0 keeps every token");
  TRY(CheckRange("min_p", sampling.min_p, 0, 1));
  TRY(CheckRange("frequency_penalty", sampling.frequency_penalty, -2, 2));
  TRY(CheckRange("presence_penalty", sampling.presence_penalty, -2, 2));
  return CheckBias(sampling.logit_bias, vocab_size);
}

Chooser::Chooser(std::int64_t vocab_size) {
  CHECK(vocab_size > 0 && vocab_size <= std::numeric_limits<std::int32_t>::max());
  const auto vocab = static_cast<std::size_t>(vocab_size);
  adjusted_.resize(vocab);
  weights_.resize(vocab);
  buckets_.resize(vocab);
  counts_.resize(kBuckets + kCut);
  masses_.resize(kBuckets + kCut);
  candidates_.reserve(vocab);
}

Result<std::span<const float>> Chooser::Adjust(const Choice& choice) {
  const std::span<const float> logits = choice.logits;
  const std::span<float> adjusted(adjusted_);
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    std::array<std::uint32_t, kBlock> block;
    const std::span<std::uint32_t> masks = std::span(block).first(std::min(kBlock, logits.size() - begin));
    JoinMasks(choice, begin, masks);
    if (CopyMasked(logits.subspan(begin, masks.size()), masks, adjusted.data() + begin)) continue;
    for (std::size_t i = 0; i < masks.size(); ++i) {
      if (masks[i] != 0 && !std::isfinite(logits[begin + i])) return NotFinite(begin + i, logits[begin + i]);
    }
  }
  AddBiasAndPenalties(choice, adjusted);
  return std::span<const float>(adjusted);
}

Result<std::int32_t> Chooser::Choose(const Choice& choice) {
  const std::size_t vocab = adjusted_.size();
  CHECK(choice.sampling != nullptr && choice.logits.size() == vocab);
  CHECK(choice.allowed.empty() || choice.allowed.size() == vocab);
  CHECK(choice.constraint.empty() || choice.constraint.size() == (vocab + 31) / 32);
  std::span<const float> logits = choice.logits;
  const bool adjusts = Adjusts(choice);
  if (adjusts) {
    TRY_ASSIGN(logits, Adjust(choice));
  }
  const LogitRange range = RangeOf(logits);
  if (!adjusts && !range.finite) {
    const auto at = std::find_if_not(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); });
    return NotFinite(static_cast<std::size_t>(at - logits.begin()), *at);
  }
  if (range.largest == kForbidden) {
    return diagnostics::Unsupported("no token may be chosen: the constraint, the tokenizer's ids and logit_bias leave none; loosen one of them");
  }
  if (choice.sampling->temperature == 0) return range.largest_id;
  Weigh(logits, range.largest, range.smallest, *choice.sampling);
  return Draw(logits, *choice.sampling, choice.index);
}

// Buckets are stretches of equal width along the falling logits, so that only the few are sorted in which a cut or the draw falls. All
// cuts keep the front of one order: falling logit, then rising id.
void Chooser::Weigh(std::span<const float> logits, double largest, double smallest, const Sampling& sampling) {
  const double temperature = sampling.temperature;
  const double least = sampling.min_p > 0 ? std::max(kLeastExponent, std::log(sampling.min_p)) : kLeastExponent;
  const double width = std::min(-least, (largest - smallest) / temperature);
  const double scale = width > 1e-300 ? kBuckets / width : 0;
  std::fill(counts_.begin(), counts_.end(), 0);
  std::fill(masses_.begin(), masses_.end(), 0.0);
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const std::size_t size = std::min(kBlock, logits.size() - begin);
    std::array<std::int32_t, kBlock> places;
    const float* from = logits.data() + begin;
    double* weights = weights_.data() + begin;
    for (std::size_t i = 0; i < size; ++i) {
      const double x = (from[i] - largest) / temperature;
      const double inside = x > least ? x : least;
      const double weight = Exponential(inside);
      const double place = std::min(-inside * scale, kBuckets - 1.0);
      weights[i] = weight;
      places[i] = static_cast<std::int32_t>(x >= least ? place : kBuckets);
    }
    for (std::size_t i = 0; i < size; ++i) {
      auto place = static_cast<std::size_t>(places[i]);
      if (place == kBuckets) place += i % kCut;
      buckets_[begin + i] = static_cast<std::uint16_t>(place);
      ++counts_[place];
      masses_[place] += weights[i];
    }
  }
  sorted_ = kBuckets;
}

std::span<const Chooser::Candidate> Chooser::Sorted(std::span<const float> logits, std::size_t bucket) {
  if (sorted_ == bucket) return candidates_;
  candidates_.clear();
  for (std::size_t id = 0; candidates_.size() < counts_[bucket]; ++id) {
    if (buckets_[id] == bucket) candidates_.push_back({logits[id], static_cast<std::int32_t>(id)});
  }
  const auto before = [](const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; };
  if (!std::is_sorted(candidates_.begin(), candidates_.end(), before)) std::sort(candidates_.begin(), candidates_.end(), before);
  sorted_ = bucket;
  return candidates_;
}

Chooser::Front Chooser::Likeliest(std::span<const float> logits, std::int64_t count) {
  Front front;
  std::size_t left = count == 0 ? logits.size() : static_cast<std::size_t>(count);
  for (std::size_t bucket = 0; bucket < kBuckets && left > 0; ++bucket) {
    if (counts_[bucket] == 0) continue;
    front.bucket = bucket;
    front.in_bucket = std::min<std::size_t>(left, counts_[bucket]);
    left -= front.in_bucket;
    if (front.in_bucket == counts_[bucket]) {
      front.mass += masses_[bucket];
    } else {
      for (const Candidate& candidate : Sorted(logits, bucket).first(front.in_bucket)) front.mass += weights_[static_cast<std::size_t>(candidate.id)];
    }
  }
  return front;
}

template <typename Reached>
Chooser::Front Chooser::Shortest(std::span<const float> logits, const Front& within, Reached reached) {
  Front front;
  for (std::size_t bucket = 0; bucket <= within.bucket; ++bucket) {
    if (counts_[bucket] == 0) continue;
    const bool last = bucket == within.bucket;
    if (!last && !reached(front.mass + masses_[bucket])) {
      front.mass += masses_[bucket];
      continue;
    }
    front.bucket = bucket;
    front.in_bucket = 0;
    for (const Candidate& candidate : Sorted(logits, bucket).first(last ? within.in_bucket : counts_[bucket])) {
      front.mass += weights_[static_cast<std::size_t>(candidate.id)];
      ++front.in_bucket;
      if (reached(front.mass)) return front;
    }
  }
  return front;  // rounding: the sum in another order was a little larger
}

std::int32_t Chooser::Draw(std::span<const float> logits, const Sampling& sampling, std::uint64_t index) {
  Front kept = Likeliest(logits, sampling.top_k);
  if (sampling.top_p < 1) {
    const double wanted = sampling.top_p * kept.mass;
    kept = Shortest(logits, kept, [wanted](double mass) { return mass >= wanted; });
  }
  const double target = UniformAt(sampling.seed, index) * kept.mass;
  const Front drawn = Shortest(logits, kept, [target](double mass) { return mass > target; });
  return Sorted(logits, drawn.bucket)[drawn.in_bucket - 1].id;
}

Result<Sampler> Sampler::Create(const Sampling& sampling, std::int64_t vocab_size, std::vector<std::uint8_t> allowed) {
  CHECK(vocab_size > 0);
  TRY(CheckSampling(sampling, vocab_size));
  const auto vocab = static_cast<std::size_t>(vocab_size);
  if (!allowed.empty() && (allowed.size() != vocab || std::find_if(allowed.begin(), allowed.end(), [](auto a) { return a != 0; }) == allowed.end())) {
    return InvalidInput("no token of the model's vocabulary may be chosen; tokenizer and model do not belong together");
  }
  Sampler sampler(sampling, vocab_size, std::move(allowed));
  if (sampling.Penalizes()) sampler.counts_.Reserve(vocab);
  return sampler;
}

Result<std::int32_t> Sampler::Choose(std::span<const float> logits, std::uint64_t index) {
  TRY_ASSIGN(const std::int32_t token,
             chooser_.Choose({.logits = logits, .sampling = &sampling_, .counts = &counts_, .allowed = allowed_, .constraint = {}, .index = index}));
  if (sampling_.Penalizes()) counts_.Add(token);
  return token;
}

}  // namespace baleen::engine

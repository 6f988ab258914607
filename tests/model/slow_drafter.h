#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace baleen::golden {

using Numbers64 = std::vector<double>;

/// The drafters of §7 written a second time, from the specification alone: double precision, plain loops, one row after another, exact
/// arithmetic. Slow; only for tests.
class SlowDrafter {
 public:
  explicit SlowDrafter(const checkpoint::Checkpoint& checkpoint) : checkpoint_(&checkpoint), c_(checkpoint.config()) {}

  /// What one drafted token was chosen by.
  struct Place {
    Numbers64 logits;
    double confidence = 0;  // DSpark
    std::int32_t token = 0;
  };

  /// MTP: drafts `count` tokens behind streams [n·d] of every position, tokens[i] standing at position i + 1.
  std::vector<Place> DraftMtp(const std::vector<Numbers64>& streams, const std::vector<std::int32_t>& tokens, std::int64_t count);

  /// DSpark: drafts the whole block behind features [targets·d] of every position; `next` is the token behind the last one.
  std::vector<Place> DraftDspark(const std::vector<Numbers64>& features, std::int32_t next);

 private:
  struct Dense {
    std::int64_t n = 0, k = 0;
    Numbers64 w;
  };

  const Dense& Weight(const std::string& name);
  Numbers64 Linear(const std::string& name, std::span<const double> x);
  Numbers64 Norm(const std::string& name, std::span<const double> x);
  Numbers64 Embedding(const std::string& name, std::int32_t token);
  void Rotate(std::span<double> x, std::int64_t position, double direction) const;
  Numbers64 KvRow(const std::string& prefix, std::span<const double> x, std::int64_t position);
  Numbers64 Attention(const std::string& prefix, std::span<const double> x, std::int64_t position, const std::vector<const Numbers64*>& keys);
  Numbers64 Expert(const std::string& prefix, std::span<const double> x, double weight);
  Numbers64 Experts(const std::string& prefix, std::span<const double> x);
  Numbers64 Mix(const std::string& site, std::span<const double> streams, std::int64_t outputs);
  Numbers64 HyperHead(const std::string& prefix, std::span<const double> streams);
  /// A window-only block over rows at `first`, first + 1, …: behind `past` (KV rows of positions 0 … first − 1) causally, or seeing each
  /// other. Causal rows join `past`.
  void Block(const std::string& prefix, std::vector<Numbers64>& rows, std::int64_t first, std::vector<Numbers64>& past, bool see_each_other);

  const checkpoint::Checkpoint* checkpoint_;
  checkpoint::ModelConfig c_;
  std::map<std::string, Dense> weights_;
};

}  // namespace baleen::golden

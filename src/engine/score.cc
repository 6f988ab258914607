#include "engine/score.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "engine/likeliest.h"
#include "kvcache/sequence.h"

namespace baleen::engine {

using diagnostics::InvalidInput;

Result<double> LogProbability(std::span<const float> logits, std::int32_t id) { return Likeliest(logits, id, {}); }

Result<std::vector<double>> LogProbabilities(model::Transformer& model, std::span<const std::int32_t> tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count < 2) return InvalidInput("expected at least two tokens to score, found " + std::to_string(count));
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= model.config().vocab_size) {
      return InvalidInput("expected ids from 0 to " + std::to_string(model.config().vocab_size - 1) + ", found " + std::to_string(token) +
                          "; tokenizer and model do not belong together");
    }
  }
  const std::int64_t scored = count - 1;  // the last token predicts nothing that is known
  if (scored > model.limits().context) {
    return InvalidInput("expected at most " + std::to_string(model.limits().context + 1) + " tokens (the context), found " + std::to_string(count) +
                        "; split the text");
  }
  TRY_ASSIGN(kvcache::Sequence sequence, kvcache::Sequence::Create(model.cache_layout(), scored));
  const std::int64_t most_rows = std::min(model.limits().rows, model.limits().logit_rows);
  std::vector<std::int32_t> wanted(static_cast<std::size_t>(most_rows));
  std::iota(wanted.begin(), wanted.end(), 0);
  std::vector<double> all;
  all.reserve(static_cast<std::size_t>(scored));
  for (std::int64_t begin = 0; begin < scored;) {
    const std::int64_t rows = std::min(most_rows, scored - begin);
    const model::Segment segment{&sequence, rows};
    const auto size = static_cast<std::size_t>(rows);
    model.Forward({tokens.subspan(static_cast<std::size_t>(begin), size), {&segment, 1}, {wanted.data(), size}, {}});
    for (std::int64_t r = 0; r < rows; ++r) {
      TRY_ASSIGN(const double value, LogProbability(model.Logits(r), tokens[static_cast<std::size_t>(begin + r + 1)]));
      all.push_back(value);
    }
    begin += rows;
  }
  return all;
}

}  // namespace baleen::engine

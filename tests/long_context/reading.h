#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/device.h"
#include "backend/ops.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/temporary_folder.h"
#include "constructed.h"
#include "model/transformer.h"

namespace baleen::long_context {

/// A question and the one right answer.
struct Question {
  std::int32_t ask = 0, answer = 0;
  std::int64_t position = 0;  // of the needle's first token, for messages
};

/// A prompt of fillers with needles.
class Prompt {
 public:
  Prompt(std::int64_t tokens, std::uint64_t seed);

  /// Overwrites the tokens from `position` on and remembers the question.
  void Plant(std::int64_t position, std::initializer_list<std::int32_t> needle, std::int32_t ask, std::int32_t answer);

  /// Whether [position − 12, position + 16) holds fillers only: compressed windows then hold one needle each.
  bool IsFree(std::int64_t position) const;

  const std::vector<std::int32_t>& tokens() const noexcept { return tokens_; }
  const std::vector<Question>& questions() const noexcept { return questions_; }
  std::int64_t size() const noexcept { return static_cast<std::int64_t>(tokens_.size()); }

 private:
  std::vector<std::int32_t> tokens_;
  std::vector<Question> questions_;
};

/// Which operations a prompt is fed with (README.md says why the second and third leave the same state as the first).
enum class Filling {
  kWhole,       // all of them
  kAskersOnly,  // rows that ask nothing look at no index keys and at no entries of 128: their choices and findings are known
  kStates,      // no row looks back: only what makes the sequence's state
};

/// How a prompt is fed.
struct Feeding {
  std::int64_t chunk = 0;            // rows of a step; 0: as many as the model takes
  Filling filling = Filling::kWhole;
  std::vector<std::int64_t> wanted;  // whose logits are wanted, by their place among the tokens, rising
};

struct ReaderOptions {
  std::int64_t context = 0, rows = 512;
  model::Arithmetic arithmetic = model::Arithmetic::kOfficial;
  double yarn_factor = 32;
  int threads = 2;
  std::int64_t segments = 1;
};

/// What one row of one layer has chosen.
struct Choice {
  std::int64_t layer_call = 0;  // 0: the first CSA layer, 1: the second
  std::int64_t position = 0;
  std::vector<std::int32_t> rows;

  bool operator==(const Choice&) const = default;
};

/// The constructed model in a folder of its own, loaded on the best instruction set.
class Reader {
 public:
  explicit Reader(const ReaderOptions& options);
  ~Reader();

  kvcache::Sequence Begin(std::int64_t capacity) const;

  /// The operations of whoever runs the model without Feed, which always ends with all of them.
  void Use(Filling filling) noexcept;

  /// Continues the sequence and returns the logits wanted, one row after another.
  std::vector<float> Feed(kvcache::Sequence& sequence, std::span<const std::int32_t> tokens, const Feeding& feeding = {});

  /// The most likely token of each row of logits.
  std::vector<std::int32_t> Argmax(std::span<const float> logits) const;

  /// Asks everything in one step behind the prompt and gives the number of right answers; says which are wrong.
  std::int64_t CountRight(kvcache::Sequence& sequence, const std::vector<Question>& questions, std::string& wrong);

  /// Choices of every step from now on are kept here, until it is set to null.
  void Watch(std::vector<Choice>* choices) noexcept;

  model::Transformer& model() noexcept { return *model_; }
  backend::Device& device() noexcept { return *device_; }

 private:
  checkpoint::TemporaryFolder folder_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<backend::Device> device_;
  std::unique_ptr<model::Transformer> model_;
  std::int64_t most_rows_;
  const backend::Ops* all_ops_;
  backend::Ops askers_only_, states_only_, watching_;
};

/// The places [first, first + count).
std::vector<std::int64_t> Places(std::int64_t first, std::int64_t count);

/// Needles of every kind around the boundaries that matter: multiples of 4, of 128, of `chunk`, a little before and after; as many as there are
/// keys, spread over the whole prompt. The first and last usable places are always among them.
void PlantAroundBoundaries(Prompt& prompt, std::int64_t chunk, std::uint64_t seed);

}  // namespace baleen::long_context

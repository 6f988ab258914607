#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backend/device.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"

namespace baleen::engine {

/// The bundled model.
std::filesystem::path Plankton();

/// Prompts in the model's own format, of its reference conversations, by name.
std::vector<std::vector<std::int32_t>> ReferencePrompts();

/// Ids that depend on nothing but their place and the seed; special tokens are left out.
std::vector<std::int32_t> Ids(std::int64_t count, std::uint64_t seed);

/// What a request gave: every token with its scores, and how it ended; how often on_end was called.
struct Answer {
  std::vector<std::int32_t> tokens;
  std::vector<double> log_probabilities;       // of the tokens
  std::vector<std::int32_t> likeliest;         // ids, all events one after another
  std::vector<double> likeliest_log_probabilities;
  Ending ending;
  int ends = 0;

  /// Tokens and scores, bit for bit, and the reason for the end.
  bool SameAs(const Answer& other) const;
};

/// An engine with its model. One at a time is cheap on the bundled model.
struct Machine {
  std::unique_ptr<checkpoint::Checkpoint> checkpoint;
  std::unique_ptr<backend::Device> device;
  std::unique_ptr<model::Transformer> transformer;
  std::unique_ptr<Engine> engine;

  /// Runs until nothing is left to do.
  void Drain();
};

Machine Start(Options options, int threads = 2, hardware::Isa isa = hardware::BestIsa(), const std::filesystem::path& folder = Plankton());

/// A request whose events go to `answer`, which must outlive it. Greedy, five alternatives.
Request Asking(std::vector<std::int32_t> prompt, std::int64_t max_tokens, Answer& answer);

/// Submits everything at once and drains.
std::vector<Answer> AnswersTo(Machine& machine, const std::vector<std::vector<std::int32_t>>& prompts, std::int64_t max_tokens, const Sampling& sampling);

inline constexpr std::int64_t kContext = 2048;

}  // namespace baleen::engine

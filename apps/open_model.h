#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>

#include "diagnostics/result.h"
#include "library/open_model.h"

namespace baleen::apps {

/// The flags that every command with a model understands.
struct ModelFlags {
  std::string model;                     // folder or hub id; empty = the bundled model where the command allows it
  std::string arithmetic = "auto";       // exact | official | fast | auto
  int threads = 0;                       // 0 = BALEEN_THREADS, else every core
  std::string pin;                       // auto | on | off; empty = BALEEN_PIN, else auto
  std::string weights;                   // auto | mapped | packed; empty = BALEEN_WEIGHTS, else auto
  bool verify = true;                    // look for NaN codes and scales before the first token
  bool verbose = false;                  // print the memory plan
};

/// What --arithmetic calls it.
const char* ArithmeticName(model::Arithmetic arithmetic) noexcept;

/// Adds --model, --arithmetic, --threads, --pin, --weights, --no-verify and --verbose. has_default_model: --model may be left out.
void AddModelFlags(CLI::App& command, ModelFlags& flags, bool has_default_model);

/// --model as a folder: a path, a hub id of the local cache, or (empty) the bundled model.
Result<std::filesystem::path> ModelFolder(const ModelFlags& flags);

/// First half: library::OpenModel with these flags; transformer is still null. Says so where the weights are too many to be verified.
Result<library::OpenedModel> OpenCheckpoint(const ModelFlags& flags);

/// Second half: takes the memory for `limits` and prints the plan for `sequences` sequences to standard error, in one line or (--verbose)
/// item by item. For one sequence that the model continues itself: says so where a DSpark drafter will not be used.
Status LoadTransformer(library::OpenedModel& opened, const ModelFlags& flags, const model::Limits& limits, std::int64_t sequences = 1);

/// model::ChunkRows for prompts of at most so many tokens, with a sixteenth of the memory that is available.
std::int64_t PrefillRows(const library::OpenedModel& opened, std::int64_t tokens) noexcept;

}  // namespace baleen::apps

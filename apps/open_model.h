#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "backend/device.h"
#include "checkpoint/checkpoint.h"
#include "diagnostics/result.h"
#include "model/transformer.h"

namespace baleen::apps {

/// The flags that every command with a model understands.
struct ModelFlags {
  std::string model;                     // folder or hub id; empty = the bundled model where the command allows it
  std::string arithmetic = "official";   // exact | official
  int threads = 0;                       // 0 = BALEEN_THREADS, else every core
  bool verify = true;                    // look for NaN codes and scales before the first token
  bool verbose = false;                  // print the memory plan
};

/// Adds --model, --arithmetic, --threads, --no-verify and --verbose. has_default_model: --model may be left out.
void AddModelFlags(CLI::App& command, ModelFlags& flags, bool has_default_model);

/// --model as a folder: a path, a hub id of the local cache, or (empty) the bundled model.
Result<std::filesystem::path> ModelFolder(const ModelFlags& flags);

/// A model ready to run, with everything that must outlive it. Moves as a whole.
struct OpenModel {
  std::filesystem::path folder;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint;
  std::unique_ptr<backend::Device> device;
  std::unique_ptr<model::Transformer> transformer;
  model::Arithmetic arithmetic = model::Arithmetic::kOfficial;
};

/// First half: flags checked, folder found, checkpoint opened and verified, threads started; transformer is still null. A checkpoint of
/// more bytes than the machine's memory is not verified, which is said; so is a drafter that will not be used.
Result<OpenModel> OpenCheckpoint(const ModelFlags& flags);

/// Second half: takes the memory for `limits` and prints the plan for `sequences` sequences to standard error, in one line or (--verbose)
/// item by item.
Status LoadTransformer(OpenModel& opened, const ModelFlags& flags, const model::Limits& limits, std::int64_t sequences = 1);

/// Rows a step that make a good prefill without large buffers.
inline constexpr std::int64_t kPrefillRows = 256;

}  // namespace baleen::apps

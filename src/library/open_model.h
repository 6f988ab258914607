#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backend/device.h"
#include "checkpoint/checkpoint.h"
#include "diagnostics/result.h"
#include "model/transformer.h"

namespace baleen::library {

inline constexpr int kMostThreads = 1024;

/// Whether the threads of a team are held where they are.
enum class Pin {
  kAuto,  // on one of several NUMA nodes; not at all where there is one
  kOn,    // each on a processor of its own, which no other team should be pinned to
  kOff,
};

/// Where weights are read.
enum class WeightsChoice {
  kAuto,    // packed on several NUMA nodes, if there is room for them; else mapped
  kMapped,  // where they lie in the checkpoint
  kPacked,  // copied at the start: see model::PackWeights
};

struct ModelSettings {
  std::string model;  // folder or hub id
  std::optional<model::Arithmetic> arithmetic;  // missing = model::DefaultArithmetic
  int threads = 0;     // 0 = BALEEN_THREADS, else every core
  std::optional<Pin> pin;  // missing = BALEEN_PIN, else kAuto
  std::optional<WeightsChoice> weights;  // missing = BALEEN_WEIGHTS, else kAuto
  bool verify = true;  // look for NaN codes and scales before the first token
};

/// A model with everything that must outlive it. Moves as a whole.
struct OpenedModel {
  std::filesystem::path folder;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint;
  std::unique_ptr<backend::Device> device;
  model::Arithmetic arithmetic = model::Arithmetic::kOfficial;
  model::WeightsPlace place = model::WeightsPlace::kMapped;  // for Transformer::Load
  bool verified = false;  // false too for a checkpoint of more bytes than the machine's memory
  std::unique_ptr<model::Transformer> transformer;
};

/// How many threads `wanted` means: itself, or for 0 the environment's BALEEN_THREADS, else every core. Errors: no number from 1 to kMostThreads.
Result<int> ThreadsOf(int wanted);

/// What `wanted` means: itself, or if it is missing the environment's BALEEN_PIN, else kAuto. Errors: BALEEN_PIN is not auto, on or off.
Result<Pin> PinOf(std::optional<Pin> wanted);

/// auto, on or off; nullopt for anything else.
std::optional<Pin> PinNamed(std::string_view name);

/// What `wanted` means: itself, or if it is missing the environment's BALEEN_WEIGHTS, else kAuto. Errors: BALEEN_WEIGHTS is not auto, mapped or packed.
Result<WeightsChoice> WeightsOf(std::optional<WeightsChoice> wanted);

/// auto, mapped or packed; nullopt for anything else.
std::optional<WeightsChoice> WeightsNamed(std::string_view name);

/// Finds the folder, opens and verifies the checkpoint and starts the threads; transformer is still null. Errors: settings or environment
/// out of range, those of FindModel, Checkpoint::Open and the verification.
Result<OpenedModel> OpenModel(const ModelSettings& settings);

}  // namespace baleen::library

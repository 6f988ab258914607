#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/device.h"
#include "checkpoint/checkpoint.h"
#include "model/transformer.h"

namespace baleen::golden {

/// A reference tensor as floats.
struct Reference {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// tests/golden/checkpoints/NAME, or another folder of the repository.
std::filesystem::path CaseFolder(const std::string& name);

std::map<std::string, Reference> ReadReference(const std::filesystem::path& file);
std::vector<std::int32_t> ReadTokens(const std::filesystem::path& file);

/// How a prompt is fed: pieces of `chunk` tokens, then from `decode_from` on one by one.
struct Feeding {
  std::int64_t chunk = 0;
  std::int64_t decode_from = INT64_MAX;
};

/// Everything that a run of a prompt gives.
struct Outcome {
  std::vector<float> logits;             // [T, V]
  std::vector<float> mtp_logits;         // [T-1, V] or empty
  std::vector<float> stream_mean_abs;    // [L, T, n]
  std::vector<float> stream_probe;       // [L, T, 4]
};

/// A model loaded for tests with room for whole prompts.
class Runner {
 public:
  Runner(const std::filesystem::path& folder, hardware::Isa isa, int threads, model::Arithmetic arithmetic, std::int64_t context, std::int64_t rows,
         std::int64_t draft_tokens = 1);

  Runner(const std::filesystem::path& folder, hardware::Isa isa, int threads, model::Arithmetic arithmetic, const model::Limits& limits);

  Outcome Feed(const std::vector<std::int32_t>& tokens, const Feeding& feeding);

  model::Transformer& model() { return *model_; }
  backend::Device& device() { return *device_; }

 private:
  checkpoint::Checkpoint checkpoint_;
  std::unique_ptr<backend::Device> device_;
  std::unique_ptr<model::Transformer> model_;
};

/// The instruction sets of this machine, the reference first.
std::vector<hardware::Isa> Isas();

/// Largest |a − b|; infinite where a size differs or a number is NaN.
double LargestDifference(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace baleen::golden

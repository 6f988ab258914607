// config.json of either kind: what is accepted is written and read back to the same value.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/model_config.h"
#include "checkpoint/tensor_list.h"
#include "diagnostics/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baleen;
  const auto config = checkpoint::ParseModelConfig(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config) {
    CHECK(!config.error().message.empty());
    return 0;
  }
  CHECK(config->hash_layers <= config->layers && config->heads % config->output_groups == 0);
  CHECK(static_cast<std::int64_t>(config->compress_ratios.size()) == config->layers);
  const auto again = checkpoint::ParseModelConfig(checkpoint::WriteModelConfig(*config));
  CHECK(again.has_value() && *again == *config);
  checkpoint::ForEachTensor(*config, 1, [](const checkpoint::TensorSpec& spec) {
    for (const std::int64_t extent : spec.shape) CHECK(extent > 0);
    return true;
  });
  return 0;
}

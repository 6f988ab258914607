// model.safetensors.index.json: accepted file names stay inside the folder.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "checkpoint/shards.h"
#include "diagnostics/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baleen;
  const auto index = checkpoint::ParseShardIndex(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!index) {
    CHECK(!index.error().message.empty());
    return 0;
  }
  CHECK(!index->files_by_tensor.empty());
  for (const auto& [name, file] : index->files_by_tensor) {
    const std::filesystem::path inside = (std::filesystem::path("/folder") / file).lexically_normal();
    CHECK(inside.string().starts_with("/folder/"));
  }
  return 0;
}

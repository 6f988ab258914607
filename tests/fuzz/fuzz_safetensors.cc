// A whole safetensors file: what is accepted must have ranges inside the file that fit their shapes.
#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/safetensors.h"
#include "diagnostics/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baleen;
  const auto parsed = checkpoint::ParseSafetensors(std::as_bytes(std::span(data, size)));
  if (!parsed) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  std::uint64_t covered = 0;
  for (const checkpoint::StoredTensor& stored : parsed->tensors) {
    CHECK(stored.begin <= stored.end && stored.end <= size);
    const auto bytes = checkpoint::TensorBytes(stored.dtype, stored.shape);
    CHECK(bytes.has_value() && *bytes == stored.end - stored.begin);
    covered += *bytes;
  }
  CHECK(covered <= size);
  return 0;
}

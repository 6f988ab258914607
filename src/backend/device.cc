#include "backend/device.h"

#include <algorithm>
#include <utility>

#include "backend/cpu/families.h"

namespace baleen::backend {
namespace {

std::uint64_t Padded(std::uint64_t bytes) noexcept { return (bytes + 63) / 64 * 64; }

}  // namespace

ScratchSizes ScratchSizes::Max(const ScratchSizes& other) const noexcept {
  return {std::max(floats_per_thread, other.floats_per_thread), std::max(integers_per_thread, other.integers_per_thread),
          std::max(pointers_per_thread, other.pointers_per_thread)};
}

std::uint64_t ScratchSizes::BytesPerThread() const noexcept {
  return Padded(4 * static_cast<std::uint64_t>(floats_per_thread)) + Padded(4 * static_cast<std::uint64_t>(integers_per_thread)) +
         Padded(8 * static_cast<std::uint64_t>(pointers_per_thread));
}

Device::Device(hardware::Isa isa, int threads, std::vector<hardware::Placement> placements)
    : ops_(&cpu::Table()), kernels_(&kernels::TableFor(isa)), workers_(std::make_unique<hardware::Workers>(threads, std::move(placements))), isa_(isa) {}

Status Device::Reserve(const ScratchSizes& sizes) {
  const ScratchSizes wanted = sizes_.Max(sizes);
  const std::uint64_t bytes = wanted.BytesPerThread() * static_cast<std::uint64_t>(workers_->threads());
  if (bytes > scratch_.size()) {
    TRY_ASSIGN(scratch_, hardware::Region::Allocate(bytes, "the scratch of the threads"));
  }
  sizes_ = wanted;
  return {};
}

float* Device::ThreadFloats(int thread) noexcept {
  return reinterpret_cast<float*>(scratch_.data() + sizes_.BytesPerThread() * static_cast<std::uint64_t>(thread));
}

std::int32_t* Device::ThreadIntegers(int thread) noexcept {
  return reinterpret_cast<std::int32_t*>(reinterpret_cast<std::byte*>(ThreadFloats(thread)) + Padded(4 * static_cast<std::uint64_t>(sizes_.floats_per_thread)));
}

const std::byte** Device::ThreadPointers(int thread) noexcept {
  return reinterpret_cast<const std::byte**>(reinterpret_cast<std::byte*>(ThreadIntegers(thread)) + Padded(4 * static_cast<std::uint64_t>(sizes_.integers_per_thread)));
}

}  // namespace baleen::backend

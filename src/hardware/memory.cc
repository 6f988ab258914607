#include "hardware/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "hardware/cpu.h"

namespace baleen::hardware {

Result<Region> Region::Allocate(std::uint64_t bytes, std::string_view purpose) {
  if (bytes == 0) return Region();
  const std::string what = std::string(purpose) + " needs " + std::to_string(bytes) + " bytes";
  if (bytes > PhysicalMemoryBytes()) {
    return diagnostics::ResourceError(what + ", this machine has " + std::to_string(PhysicalMemoryBytes()) + "; ask for a shorter context or fewer rows a step");
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return diagnostics::ResourceError(what + ", which the system refuses: " + std::strerror(errno));
  madvise(data, bytes, MADV_HUGEPAGE);
  if (madvise(data, bytes, MADV_POPULATE_WRITE) != 0 && errno == ENOMEM) {
    munmap(data, bytes);
    return diagnostics::ResourceError(what + ", which is more than is free; ask for a shorter context or fewer rows a step");
  }
  return Region(static_cast<std::byte*>(data), bytes);
}

Region::~Region() {
  if (data_ != nullptr) munmap(data_, size_);
}

Region::Region(Region&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Region& Region::operator=(Region&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace baleen::hardware

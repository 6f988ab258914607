#include "hardware/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "hardware/cpu.h"

namespace baleen::hardware {

namespace {

constexpr const char* kAskForLess = "ask for less attention memory, a shorter context or fewer rows a step";

std::string Needs(std::string_view purpose, std::uint64_t bytes) { return std::string(purpose) + " needs " + std::to_string(bytes) + " bytes"; }

}  // namespace

std::uint64_t AvailableMemoryBytes() noexcept {
  std::ifstream info("/proc/meminfo");
  std::string line;
  while (std::getline(info, line)) {
    if (line.rfind("MemAvailable:", 0) == 0) return 1024 * std::strtoull(line.c_str() + 13, nullptr, 10);
  }
  return PhysicalMemoryBytes();
}

void ForgetPages(const std::byte* data, std::uint64_t bytes) noexcept {
  constexpr std::uintptr_t kPage = 4096;
  const auto first = (reinterpret_cast<std::uintptr_t>(data) + kPage - 1) / kPage * kPage, end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / kPage * kPage;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

Result<Region> Region::Reserve(std::uint64_t bytes, std::string_view purpose, std::string_view otherwise) {
  if (bytes == 0) return Region();
  const std::uint64_t available = AvailableMemoryBytes();
  if (bytes > available) {
    return diagnostics::ResourceError(Needs(purpose, bytes) + ", this machine has " + std::to_string(available) + " available; " + std::string(otherwise));
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return diagnostics::ResourceError(Needs(purpose, bytes) + ", which the system refuses: " + std::strerror(errno) + "; " + std::string(otherwise));
  madvise(data, bytes, MADV_HUGEPAGE);
  return Region(static_cast<std::byte*>(data), bytes);
}

Result<Region> Region::Allocate(std::uint64_t bytes, std::string_view purpose) {
  if (bytes == 0) return Region();
  const std::string what = Needs(purpose, bytes);
  if (bytes > PhysicalMemoryBytes()) {
    return diagnostics::ResourceError(what + ", this machine has " + std::to_string(PhysicalMemoryBytes()) + "; " + kAskForLess);
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return diagnostics::ResourceError(what + ", which the system refuses: " + std::strerror(errno));
  madvise(data, bytes, MADV_HUGEPAGE);
  if (madvise(data, bytes, MADV_POPULATE_WRITE) != 0 && errno == ENOMEM) {
    munmap(data, bytes);
    return diagnostics::ResourceError(what + ", which is more than is free; " + kAskForLess);
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

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::hardware {

/// How much memory the system can give without writing anything to disk first: free pages and those of files that it can read again.
std::uint64_t AvailableMemoryBytes() noexcept;

/// Lets the system take these pages of a mapped file back; whoever touches them reads the file again. Only whole pages.
void ForgetPages(const std::byte* data, std::uint64_t bytes) noexcept;

/// Zeroed anonymous memory taken at once (its pages are present when Allocate returns), given back by the destructor.
class Region {
 public:
  /// `purpose` stands in the error. Errors: the machine cannot give that much.
  static Result<Region> Allocate(std::uint64_t bytes, std::string_view purpose);
  /// The same without taking the pages: each comes when it is first touched, on the touching thread's NUMA node. `otherwise`: what the error tells
  /// to do. Errors: more than the system has available.
  static Result<Region> Reserve(std::uint64_t bytes, std::string_view purpose, std::string_view otherwise);
  Region() = default;
  ~Region();
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;

  std::byte* data() const noexcept { return data_; }
  std::uint64_t size() const noexcept { return size_; }

 private:
  Region(std::byte* data, std::uint64_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace baleen::hardware

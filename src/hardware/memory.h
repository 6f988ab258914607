#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "diagnostics/result.h"

namespace baleen::hardware {

/// Zeroed anonymous memory taken at once (its pages are present when Allocate returns), given back by the destructor.
class Region {
 public:
  /// `purpose` stands in the error. Errors: the machine cannot give that much.
  static Result<Region> Allocate(std::uint64_t bytes, std::string_view purpose);
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

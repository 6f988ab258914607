#pragma once

#include <cstddef>
#include <cstdint>

namespace baleen::tensor {

/// Hands out pieces of one planned block, each aligned to 64 bytes. Without a block it only counts, so that the same code that takes
/// the pieces also says how much they need.
class Arena {
 public:
  explicit Arena(std::byte* block = nullptr) noexcept : block_(block) {}

  template <typename T>
  T* Take(std::int64_t count) noexcept {
    const std::uint64_t begin = used_bytes_;
    used_bytes_ += (static_cast<std::uint64_t>(count) * sizeof(T) + 63) / 64 * 64;
    return block_ == nullptr ? nullptr : reinterpret_cast<T*>(block_ + begin);
  }

  std::uint64_t used_bytes() const noexcept { return used_bytes_; }

 private:
  std::byte* block_;
  std::uint64_t used_bytes_ = 0;
};

}  // namespace baleen::tensor

#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/amx/tiles.h"

namespace baleen::kernels::amx {
namespace {

/// HardwareTiles in plain C++, so that the matrix kernel can be tested on machines without AMX. TDPBF16PS: the even and the odd products
/// of a column are summed apart by FMA, added, and added to the sum; rounding to nearest even, denormal operands and results are zero.
class EmulatedTiles {
 public:
  explicit EmulatedTiles(int columns = 16) noexcept : columns_(columns) {}
  template <int kTile> void Zero() noexcept { __builtin_memset(tiles_[kTile], 0, sizeof(tiles_[kTile])); }
  template <int kTile> void Load(const void* p, std::ptrdiff_t stride) noexcept {
    for (int row = 0; row < 16; ++row) __builtin_memcpy(tiles_[kTile][row], static_cast<const std::byte*>(p) + row * stride, RowBytes(kTile));
  }
  template <int kTile> void LoadOnce(const void* p, std::ptrdiff_t stride) noexcept { Load<kTile>(p, stride); }
  template <int kTile> void Store(void* p, std::ptrdiff_t stride) noexcept {
    for (int row = 0; row < 16; ++row) __builtin_memcpy(static_cast<std::byte*>(p) + row * stride, tiles_[kTile][row], RowBytes(kTile));
  }
  template <int kSums, int kA, int kB> void DpBf16() noexcept {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < columns_; ++n) {
        float even = 0.0f, odd = 0.0f;
        for (int k = 0; k < 16; ++k) {
          const std::uint32_t a = tiles_[kA][m][k], b = tiles_[kB][k][n];
          even = Flushed(__builtin_fmaf(Number(a << 16), Number(b << 16), even));
          odd = Flushed(__builtin_fmaf(Number(a & 0xFFFF0000u), Number(b & 0xFFFF0000u), odd));
        }
        const float sum = Flushed(Flushed(Number(tiles_[kSums][m][n])) + Flushed(even + odd));
        __builtin_memcpy(&tiles_[kSums][m][n], &sum, 4);
      }
    }
  }
  template <int kSums, int kA, int kB> void DpInt8() noexcept {
    for (int m = 0; m < 16; ++m) {
      for (int k = 0; k < 16; ++k) {
        for (int n = 0; n < columns_; ++n) {
          for (int b = 0; b < 4; ++b) tiles_[kSums][m][n] += static_cast<std::uint32_t>(Byte(tiles_[kA][m][k], b) * Byte(tiles_[kB][k][n], b));
        }
      }
    }
  }

 private:
  std::size_t RowBytes(int tile) const noexcept { return IsRight(tile) ? 4 * static_cast<std::size_t>(columns_) : 64; }
  static int Byte(std::uint32_t word, int b) noexcept { return static_cast<std::int8_t>(word >> (8 * b)); }
  static float Flushed(float x) noexcept { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x; }
  static float Number(std::uint32_t bits) noexcept {
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return Flushed(x);
  }

  int columns_;
  std::uint32_t tiles_[8][16][16] = {};
};

}  // namespace
}  // namespace baleen::kernels::amx

#pragma once

#include <cstddef>
#include <cstdint>

// The tile registers of AMX, as the matrix kernel needs them: eight tiles of 16 rows × 64 bytes. tiles_emulated.h has the same members in
// plain C++. Included inside an unnamed namespace's file; every member is always inlined.

namespace baleen::kernels::amx {
namespace {

/// The operand of ldtilecfg.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// Tiles 0 to 3 are sums and 6 and 7 what they take from the right; 4 and 5 from the left.
inline constexpr bool IsRight(int tile) noexcept { return tile != 4 && tile != 5; }

/// Configures the tiles of this thread for its lifetime. columns: of sums, 16 at most; fewer for kernels that keep to IsRight. Own assembly:
/// g++ 12's intrinsics name too little of the memory they read, and stores to it are dropped.
class HardwareTiles {
 public:
  [[gnu::always_inline]] explicit HardwareTiles(int columns = 16) noexcept {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) config.row_bytes[tile] = static_cast<std::uint16_t>(IsRight(tile) ? 4 * columns : 64);
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  [[gnu::always_inline]] ~HardwareTiles() { asm volatile("tilerelease" ::: "memory"); }
  HardwareTiles(const HardwareTiles&) = delete;
  HardwareTiles& operator=(const HardwareTiles&) = delete;

  template <int kTile> [[gnu::always_inline]] void Zero() noexcept { asm volatile("tilezero %%tmm%c0" ::"i"(kTile)); }
  /// Sixteen rows of 64 bytes, stride bytes apart.
  template <int kTile> [[gnu::always_inline]] void Load(const void* p, std::ptrdiff_t stride) noexcept {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  /// The same of what is read once: it need not stay in the first level of the cache.
  template <int kTile> [[gnu::always_inline]] void LoadOnce(const void* p, std::ptrdiff_t stride) noexcept {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile> [[gnu::always_inline]] void Store(void* p, std::ptrdiff_t stride) noexcept {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
  }
  /// sums[m][n] += Σ_k a[m][2k]·b[k][2n] + a[m][2k + 1]·b[k][2n + 1]: bf16 products, fp32 sums.
  template <int kSums, int kA, int kB> [[gnu::always_inline]] void DpBf16() noexcept {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA), "i"(kB));
  }
  /// sums[m][n] += Σ_k Σ_b a[m][4k + b]·b[k][4n + b]: signed bytes, 32-bit sums.
  template <int kSums, int kA, int kB> [[gnu::always_inline]] void DpInt8() noexcept {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA), "i"(kB));
  }
};

}  // namespace
}  // namespace baleen::kernels::amx

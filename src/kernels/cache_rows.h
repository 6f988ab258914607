#pragma once

#include "kernels/matrix.h"

namespace baleen::kernels {

/// How cached rows are stored: as fp32 (exact arithmetic), or in the packed form that is lossless for official arithmetic (§10.1).
enum class RowFormat : std::uint8_t { kF32, kPacked };

/// One KV row. Packed: (dim − rope_dim) e4m3 codes, rope_dim bf16, one e8m0 per 64 codes, zeros to a multiple of 8 bytes
/// (512/64: 448 + 128 + 7 + 1 = 584 bytes).
struct KvRowLayout {
  RowFormat format = RowFormat::kF32;
  std::int64_t dim = 0, rope_dim = 0;

  [[gnu::always_inline]] constexpr std::int64_t CodeBytes() const noexcept { return dim - rope_dim; }
  [[gnu::always_inline]] constexpr std::int64_t Groups() const noexcept { return (CodeBytes() + kKvGroup - 1) / kKvGroup; }
  [[gnu::always_inline]] constexpr std::int64_t ScaleOffset() const noexcept { return CodeBytes() + 2 * rope_dim; }
  [[gnu::always_inline]] constexpr std::int64_t RowBytes() const noexcept { return format == RowFormat::kF32 ? 4 * dim : (ScaleOffset() + Groups() + 7) / 8 * 8; }
};

/// One indexer key. Packed: dim/2 bytes of e2m1 pairs (low nibble first), one e8m0 per 32 codes (128: 64 + 4 = 68 bytes).
struct IndexRowLayout {
  RowFormat format = RowFormat::kF32;
  std::int64_t dim = 0;

  [[gnu::always_inline]] constexpr std::int64_t Groups() const noexcept { return (dim + kIndexGroup - 1) / kIndexGroup; }
  [[gnu::always_inline]] constexpr std::int64_t RowBytes() const noexcept { return format == RowFormat::kF32 ? 4 * dim : dim / 2 + Groups(); }
};

/// One kind of one layer's compressed entries, which lie in the blocks of a sequence.
struct EntryTable {
  std::byte* const* blocks = nullptr;
  std::int64_t per_block = 0;        // entries of a block
  std::int64_t offset = 0;           // bytes from a block's beginning to the entries

  [[gnu::always_inline]] std::byte* Row(std::int64_t entry, std::int64_t row_bytes) const noexcept {
    return blocks[entry / per_block] + offset + entry % per_block * row_bytes;
  }
};

/// Stores one KV row: packed rows quantise the first dim − rope_dim channels (§3.2) and keep bf16 of the rest.
struct PackKvArgs {
  KvRowLayout layout;
  const float* x = nullptr;   // [dim]
  std::byte* row = nullptr;   // [layout.RowBytes()]
};

/// row → [dim] floats, exactly.
struct UnpackKvArgs {
  KvRowLayout layout;
  const std::byte* row = nullptr;
  float* x = nullptr;
};

/// x[v] = Hadamard(x[v]) · dim^-0.5 rounded to bf16, then e2m1 round trip in groups of 32 (§5, A.3, A.5), for index queries. In place.
struct IndexQuantizeArgs {
  float* x = nullptr;  // [vectors, dim]; dim is a power of two
  std::int64_t vectors = 0, dim = 0;
};

/// Stores one index key: kF32 as it is; kPacked after the same Hadamard and e2m1 rounding as IndexQuantizeArgs.
struct PackIndexArgs {
  IndexRowLayout layout;
  const float* x = nullptr;   // [dim]
  std::byte* row = nullptr;
  float* scratch = nullptr;   // [dim]
};

}  // namespace baleen::kernels

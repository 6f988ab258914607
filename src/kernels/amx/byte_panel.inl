// Matrix times rows of bytes on tiles: sums of whole numbers, whose order is free, so the bits are those of wide/byte_linear.inl. Included inside
// an unnamed namespace after avx512/transpose.inl, wide/math.inl and amx/byte_decoders.inl. Tiles is HardwareTiles or EmulatedTiles.
//
// Thirty-two outputs times thirty-two rows are four tiles of sums. Their weights pass through a ring of two steps of 128 columns: while the tiles
// multiply one step, the other instructions decode the next one. Many rows share decoded blocks instead (byte_blocks.inl). An FP4 row's block of
// kByteGroup columns is folded into whole numbers of eight bits, twice an e2m1 value, at most 12, shifted left by up to 3; a block whose exponents lie
// further apart takes a pass for each four exponents. kFp8 is folded as wide/fp8_fold.inl says.

using ByteTile = std::uint8_t[kTileBytes];
using TileOfInts = std::int32_t[kSide][kSide];  // [output][row]
using TileOfSums = float[kSide][kSide];

struct ByteTileScratch {
  alignas(64) ByteTile x[kXSlots][kStepTiles];  // [tile of rows · steps + step]: words of four columns by rows
  alignas(64) float x_scale[kXSlots][kSide];    // [tile of rows · blocks + block]
  alignas(64) ByteTile ring[2][kStepTiles][2];
  alignas(64) TileOfInts block[4], pass[4];  // [2 · tile of outputs + tile of rows]
  alignas(64) TileOfSums sum[4];
  alignas(64) std::uint8_t shift[2][kPanel][kBlockGroups];  // of even and of odd blocks: kFp4 times 16, kFp8 as FoldFp8Rows gives them
  alignas(64) float weight_scale[2][kPanel];
  alignas(64) std::byte rest[kPanel][kStepColumns];  // a last step that is not whole
  alignas(64) ByteTile weight[kPasses][kBlockSteps][kStepTiles][2];  // a decoded block
  alignas(64) TileOfSums sums[kMostRowTiles][2];                     // of tiles of rows and of outputs
  alignas(64) TileOfInts wholes[kMostRowTiles][2];                   // kInt8
};
static_assert(sizeof(ByteTileScratch) + 48 * 1024 <= kStackBytes);

/// Rows of a call that are multiplied together, and how long they are.
struct ByteTileRange {
  std::int64_t first_row, rows, steps, blocks;  // blocks: of x scales
  std::int64_t RowTiles() const noexcept { return (rows + kSide - 1) / kSide; }
};

/// Thirty-two outputs: where their codes and scales begin. The last one is repeated.
struct BytePanel {
  std::int64_t n;
  const std::byte* codes[kPanel];
  const std::byte* rest[kPanel];  // of the last step where it is not whole
};

[[gnu::always_inline]] inline bool ModerateByteScale(float scale) noexcept {
  const auto field = static_cast<int>(__builtin_bit_cast(std::uint32_t, scale) >> 23);
  return field >= 127 - kModerateByteExponent && field <= 127 + kModerateByteExponent;
}
[[gnu::always_inline]] inline __mmask64 FirstBytes(std::int64_t count) noexcept {
  return count >= kLine ? ~__mmask64{0} : count > 0 ? (__mmask64{1} << count) - 1 : 0;
}

/// The word of four columns that dword j of a packed register is.
template <Format kFormat>
[[gnu::always_inline]] inline constexpr std::int64_t WordOf(std::int64_t j) noexcept {
  return kFormat != Format::kFp4 ? j : j % 4 / 2 * 8 + j / 4 * 2 + j % 2;
}

/// 128 columns of sixteen rows: the first 64 and the others; kFp4 the even ones and the odd ones, as the codes' nibbles lie.
template <Format kFormat>
[[gnu::always_inline]] inline void PackByteStep(const std::int8_t* const (&x)[kSide], std::int64_t rows, std::int64_t at, std::int64_t columns,
                                                std::uint8_t (*packed)[kTileBytes]) noexcept {
  __m512i first[kSide], second[kSide];
  const __m512i low = _mm512_set1_epi16(0x00FF);
#pragma GCC unroll 16
  for (std::int64_t r = 0; r < kSide; ++r) {
    const std::int64_t left = r < rows ? columns - at : 0;
    const __m512i a = _mm512_maskz_loadu_epi8(FirstBytes(left), x[r] + at), b = _mm512_maskz_loadu_epi8(FirstBytes(left - kLine), x[r] + at + kLine);
    if constexpr (kFormat != Format::kFp4) {
      first[r] = a;
      second[r] = b;
    } else {
      first[r] = _mm512_packus_epi16(_mm512_and_si512(a, low), _mm512_and_si512(b, low));
      second[r] = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
    }
  }
  Transpose(first);
  Transpose(second);
#pragma GCC unroll 16
  for (std::int64_t j = 0; j < kSide; ++j) {
    _mm512_store_si512(packed[0] + WordOf<kFormat>(j) * kLine, first[j]);
    _mm512_store_si512(packed[1] + WordOf<kFormat>(j) * kLine, second[j]);
  }
}

/// Brings the range's x into the scratch, zeros beyond its rows. False where a scale is too near the ends of fp32.
template <Format kFormat>
[[gnu::always_inline]] inline bool PackByteRows(const ByteLinearArgs& args, const ByteTileRange& range, ByteTileScratch& scratch) noexcept {
  bool moderate = true;
  for (std::int64_t first = 0, tile = 0; first < range.rows; first += kSide, ++tile) {
    const std::int64_t rows = range.rows - first < kSide ? range.rows - first : kSide;
    const std::int8_t* x[kSide];
    for (std::int64_t r = 0; r < kSide; ++r) {
      const std::int64_t row = range.first_row + first + (r < rows ? r : 0), source = args.x_rows != nullptr ? args.x_rows[row] : row;
      x[r] = args.x + source * args.x_stride;
      for (std::int64_t block = 0; block < range.blocks; ++block) {
        const float scale = args.x_scales[source * args.scale_stride + block];
        moderate = moderate && ModerateByteScale(scale);
        scratch.x_scale[tile * range.blocks + block][r] = scale;
      }
    }
    for (std::int64_t step = 0; step < range.steps; ++step) {
      PackByteStep<kFormat>(x, rows, step * kStepColumns, args.weight.k, scratch.x[tile * range.steps + step]);
    }
  }
  return moderate;
}

/// Where the outputs from n on lie, and a copy of their last columns.
template <Format kFormat>
[[gnu::always_inline]] inline void OpenPanel(const ByteLinearArgs& args, std::int64_t n, const ByteTileRange& range, BytePanel& panel, ByteTileScratch& scratch) noexcept {
  const std::int64_t row_bytes = RowBytes(kFormat, args.weight.k), whole = RowBytes(kFormat, kStepColumns) * (range.steps - 1);
  const bool partial = args.weight.k % kStepColumns != 0;
  panel.n = n;
  for (std::int64_t o = 0; o < kPanel; ++o) {
    const std::int64_t row = n + o < args.row_end ? n + o : args.row_end - 1;
    panel.codes[o] = args.weight.data + row * row_bytes;
    panel.rest[o] = panel.codes[o] + whole;
    if (!partial) continue;
    __builtin_memset(scratch.rest[o], 0, sizeof(scratch.rest[o]));
    __builtin_memcpy(scratch.rest[o], panel.codes[o] + whole, static_cast<std::size_t>(row_bytes - whole));
    panel.rest[o] = scratch.rest[o];
  }
}

/// The scale codes of four outputs' block, the first one repeated past the end.
[[gnu::always_inline]] inline __m512i LoadScales(const std::uint8_t* const (&scales)[4], std::int64_t groups) noexcept {
  __m128i codes[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    if (groups >= kBlockGroups) {
      codes[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales[i]));
      continue;
    }
    alignas(16) std::uint8_t padded[kBlockGroups];
    __builtin_memset(padded, scales[i][0], sizeof(padded));
    __builtin_memcpy(padded, scales[i], static_cast<std::size_t>(groups));
    codes[i] = _mm_load_si128(reinterpret_cast<const __m128i*>(padded));
  }
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(codes[1], codes[0])), _mm256_set_m128i(codes[3], codes[2]), 1);
}

/// Shifts and scales of the panel's kFp8 block. False where a scale is too near the ends of fp32.
[[gnu::noinline]] inline bool FoldFp8Block(const ByteLinearArgs& args, const BytePanel& panel, std::int64_t block, ByteTileScratch& scratch) noexcept {
  const std::int64_t at = block * kByteGroup, columns = args.weight.k - at < kByteGroup ? args.weight.k - at : kByteGroup;
  Folded folded = Folded::kPlain;
  for (std::int64_t o = 0; o < kPanel; o += kFp8Fold) {
    const std::uint8_t *rows[kFp8Fold], *scales[kFp8Fold];
    for (std::int64_t i = 0; i < kFp8Fold; ++i) {
      OpenFp8Row(args.weight, panel.n + o + i < args.row_end ? panel.n + o + i : args.row_end - 1, at, rows[i], scales[i]);
    }
    folded = Worse(folded, FoldFp8Rows(rows, scales, columns, scratch.shift[block % 2] + o, scratch.weight_scale[block % 2] + o));
  }
  return folded != Folded::kNot;
}

/// Shifts of `pass` and scales of the panel's block; how many passes it takes, or 0: more than there are, or scales too far out.
template <Format kFormat>
[[gnu::always_inline]] inline int FoldBlock(const ByteLinearArgs& args, const BytePanel& panel, std::int64_t block, int pass, ByteTileScratch& scratch) noexcept {
  if constexpr (kFormat == Format::kFp8) return FoldFp8Block(args, panel, block, scratch) ? 1 : 0;
  const std::int64_t groups = (args.weight.k + kGroupColumns - 1) / kGroupColumns, at = block * kBlockGroups, left = groups - at;
  std::uint8_t(*shift)[kBlockGroups] = scratch.shift[block % 2];
  __m512i least = _mm512_set1_epi8(-1), most = _mm512_setzero_si512(), spread = _mm512_setzero_si512();
  for (std::int64_t o = 0; o < kPanel; o += 4) {
    const std::uint8_t* scales[4];
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < 4; ++i) {
      const std::int64_t row = panel.n + o + i < args.row_end ? panel.n + o + i : args.row_end - 1;
      scales[i] = args.weight.scales + row * groups + at;
    }
    const __m512i codes = LoadScales(scales, left);
    __m512i lowest = _mm512_min_epu8(codes, _mm512_shuffle_epi32(codes, _MM_PERM_BADC));
    lowest = _mm512_min_epu8(lowest, _mm512_shuffle_epi32(lowest, _MM_PERM_CDAB));
    lowest = _mm512_min_epu8(lowest, _mm512_rol_epi32(lowest, 16));
    lowest = _mm512_min_epu8(lowest, _mm512_rol_epi32(lowest, 8));
    const __m512i relative = _mm512_sub_epi8(codes, lowest);
    least = _mm512_min_epu8(least, lowest);
    most = _mm512_max_epu8(most, lowest);
    spread = _mm512_max_epu8(spread, relative);
    const __m512i of_pass = _mm512_sub_epi8(relative, _mm512_set1_epi8(static_cast<char>(pass * kPassShifts)));
    const __mmask64 other = _mm512_test_epi8_mask(of_pass, _mm512_set1_epi8(static_cast<char>(~(kPassShifts - 1))));
    const __m512i shifts = _mm512_slli_epi16(_mm512_and_si512(of_pass, _mm512_set1_epi8(kPassShifts - 1)), 4);
    _mm512_store_si512(shift[o], _mm512_mask_mov_epi8(shifts, other, _mm512_set1_epi8(static_cast<char>(kLeftOut))));
    // The weights are twice their values.
    const __m128i exponent = _mm_and_si128(_mm512_castsi512_si128(_mm512_maskz_compress_epi32(0x1111, lowest)), _mm_set1_epi32(0xFF));
    _mm_store_si128(reinterpret_cast<__m128i*>(scratch.weight_scale[block % 2] + o), _mm_slli_epi32(_mm_sub_epi32(exponent, _mm_set1_epi32(1)), 23));
  }
  const auto beyond = [](__m512i a, int limit) { return _mm512_cmpgt_epu8_mask(a, _mm512_set1_epi8(static_cast<char>(limit))) != 0; };
  if (_mm512_cmplt_epu8_mask(least, _mm512_set1_epi8(127 - kModerateByteExponent)) != 0 || beyond(most, 127 + kModerateByteExponent)) return 0;
  return beyond(spread, kMostSpread) ? 0 : beyond(spread, 2 * kPassShifts - 1) ? 3 : beyond(spread, kPassShifts - 1) ? 2 : 1;
}

/// sums 0 … 3 (two tiles of outputs by kRowTiles of rows) += one step; meanwhile decodes `next`.
template <int kRowTiles, class Tiles, class Next>
[[gnu::always_inline]] inline void MultiplyStep(Tiles& tiles, const std::uint8_t (*weight)[2][kTileBytes], const std::uint8_t (*x)[kTileBytes],
                                                std::int64_t tile_slots, const Next& next) noexcept {
  constexpr std::int64_t kShare = kPanel / (kStepTiles * 2 * kRowTiles);
  std::int64_t o = 0;
  const auto decode = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < kShare; ++i) next.Decode(o++);
  };
#pragma GCC unroll 2
  for (std::int64_t half = 0; half < kStepTiles; ++half) {
    tiles.template Load<4>(weight[half][0], kLine);
    tiles.template LoadOnce<6>(x[half], kLine);
    tiles.template DpInt8<0, 4, 6>();
    decode();
    if constexpr (kRowTiles == 2) {
      tiles.template LoadOnce<7>(x[tile_slots * kStepTiles + half], kLine);
      tiles.template DpInt8<1, 4, 7>();
      decode();
    }
    tiles.template Load<5>(weight[half][1], kLine);
    tiles.template DpInt8<2, 5, 6>();
    decode();
    if constexpr (kRowTiles == 2) {
      tiles.template DpInt8<3, 5, 7>();
      decode();
    }
  }
}

template <int kRowTiles, class Tiles>
[[gnu::always_inline]] inline void ZeroSums(Tiles& tiles) noexcept {
  tiles.template Zero<0>();
  tiles.template Zero<2>();
  if constexpr (kRowTiles == 2) {
    tiles.template Zero<1>();
    tiles.template Zero<3>();
  }
}
template <int kRowTiles, class Tiles>
[[gnu::always_inline]] inline void StoreSums(Tiles& tiles, std::int32_t (&block)[4][kSide][kSide]) noexcept {
  tiles.template Store<0>(block[0], kLine);
  tiles.template Store<2>(block[2], kLine);
  if constexpr (kRowTiles == 2) {
    tiles.template Store<1>(block[1], kLine);
    tiles.template Store<3>(block[3], kLine);
  }
}

/// scratch.block += what a pass found.
template <int kRowTiles>
[[gnu::always_inline]] inline void AddPass(int pass, ByteTileScratch& scratch) noexcept {
  for (std::int64_t i = 0; i < 4; i += 3 - kRowTiles) {
    for (std::int64_t o = 0; o < kSide; ++o) {
      const Ints part = LoadInts(scratch.pass[i][o]), shifted = pass == 1 ? ShiftLeft<kPassShifts>(part) : ShiftLeft<2 * kPassShifts>(part);
      _mm512_store_si512(scratch.block[i][o], AddInts(LoadInts(scratch.block[i][o]), shifted).v);
    }
  }
}

/// What the passes after the first one add to scratch.block, whose steps are [begin, end); `ring` is free.
template <int kRowTiles, class Tiles>
[[gnu::noinline]] void AddPasses(Tiles& tiles, const ByteLinearArgs& args, const ByteTileRange& range, const BytePanel& panel, std::int64_t tile,
                                 std::int64_t begin, std::int64_t end, int passes, std::uint8_t (*ring)[2][kTileBytes], ByteTileScratch& scratch) noexcept {
  const std::int64_t block = begin / kBlockSteps;
  for (int pass = 1; pass < passes; ++pass) {
    FoldBlock<Format::kFp4>(args, panel, block, pass, scratch);
    ZeroSums<kRowTiles>(tiles);
    for (std::int64_t step = begin; step < end; ++step) {
      const bool last = step + 1 == range.steps;
      const Fp4Step<false> decoder{last ? panel.rest : panel.codes, last ? 0 : step * kLine, 0, ring,
                                   reinterpret_cast<const std::uint8_t(*)[kBlockGroups]>(scratch.shift[block % 2][0] + (step - begin) * kStepGroups),
                                   _mm512_load_si512(kShiftedE2m1<0>.byte), _mm512_set1_epi8(0x0F),
                                   Quarters()};
      for (std::int64_t o = 0; o < kPanel; ++o) decoder.Decode(o);
      MultiplyStep<kRowTiles>(tiles, ring, scratch.x[tile * range.steps + step], range.steps, NothingMore{});
    }
    StoreSums<kRowTiles>(tiles, scratch.pass);
    AddPass<kRowTiles>(pass, scratch);
  }
}

/// sum = fma(block, x scale · weight scale, sum).
template <int kRowTiles>
[[gnu::always_inline]] inline void AddByteBlock(const ByteTileRange& range, std::int64_t tile, std::int64_t block, ByteTileScratch& scratch) noexcept {
  for (std::int64_t outputs = 0; outputs < 2; ++outputs) {
    for (std::int64_t rows = 0; rows < kRowTiles; ++rows) {
      const std::int64_t i = 2 * outputs + rows;
      const Lanes x_scale = Load(scratch.x_scale[(tile + rows) * range.blocks + block]);
#pragma GCC unroll 4
      for (std::int64_t o = 0; o < kSide; ++o) {
        const Lanes scale = Mul(x_scale, Set1(scratch.weight_scale[block % 2][outputs * kSide + o]));
        const Lanes whole{_mm512_cvtepi32_ps(_mm512_load_si512(scratch.block[i][o]))};
        Store(scratch.sum[i][o], Fma(whole, scale, Load(scratch.sum[i][o])));
      }
    }
  }
}

/// The sums of a tile of outputs from `first` on and of the tile of rows `tile` on to y; kInt8: those in `whole`.
template <Format kFormat>
[[gnu::always_inline]] inline void WriteByteTile(const ByteLinearArgs& args, const ByteTileRange& range, std::int64_t first, std::int64_t tile,
                                                 const TileOfSums& sum, const TileOfInts& whole, const float* x_scale) noexcept {
  const std::int64_t row = tile * kSide;
  if (first >= args.row_end || row >= range.rows) return;
  const std::int64_t outputs = args.row_end - first < kSide ? args.row_end - first : kSide, rows = range.rows - row < kSide ? range.rows - row : kSide;
  __m512i sums[kSide];
#pragma GCC unroll 16
  for (std::int64_t o = 0; o < kSide; ++o) {
    Lanes value = Load(sum[o]);
    if constexpr (kFormat == Format::kInt8) {
      const float scale = args.weight.row_scales[first + (o < outputs ? o : 0)];
      value = Mul({_mm512_cvtepi32_ps(_mm512_load_si512(whole[o]))}, Mul(Load(x_scale), Set1(scale)));
    }
    sums[o] = Bits(RoundAs(value, args.rounding)).v;
  }
  Transpose(sums);
  float* y = args.y + (range.first_row + row) * args.y_stride + first - args.row_begin;
#pragma GCC unroll 16
  for (std::int64_t r = 0; r < kSide; ++r) {
    if (r < rows) StorePart(y + r * args.y_stride, FromBits({sums[r]}), outputs);
  }
}

template <int kRowTiles, Format kFormat>
[[gnu::always_inline]] inline void WriteBytePanel(const ByteLinearArgs& args, const ByteTileRange& range, std::int64_t n, std::int64_t tile,
                                                  const ByteTileScratch& scratch) noexcept {
  for (std::int64_t i = 0; i < 4; i += 3 - kRowTiles) {
    WriteByteTile<kFormat>(args, range, n + i / 2 * kSide, tile + i % 2, scratch.sum[i], scratch.block[i], scratch.x_scale[tile + i % 2]);
  }
}

/// The panel's outputs of the tiles of rows from `tile` on. False where a block cannot be folded.
template <int kRowTiles, Format kFormat, class Tiles>
[[gnu::noinline]] bool MultiplyBytePanel(Tiles& tiles, const ByteLinearArgs& args, const ByteTileRange& range, const BytePanel& panel, std::int64_t tile,
                                         ByteTileScratch& scratch) noexcept {
  constexpr bool kBlocks = kFormat != Format::kInt8;
  const std::int64_t bytes = RowBytes(kFormat, kStepColumns), ahead = kPanel * RowBytes(kFormat, args.weight.k);
  const __m512i table = _mm512_load_si512(kShiftedE2m1<0>.byte), nibble = _mm512_set1_epi8(0x0F), quarters = Quarters();
  int passes = 1, next_passes = 1;
  /// body(decoder) of a step.
  const auto with_step = [&](std::int64_t step, const auto& body) __attribute__((always_inline)) {
    const bool last = step + 1 == range.steps;
    const std::byte* const* codes = last ? panel.rest : panel.codes;
    const std::int64_t at = last ? 0 : step * bytes;
    if constexpr (kBlocks) {
      const auto* shift = reinterpret_cast<const std::uint8_t(*)[kBlockGroups]>(scratch.shift[step / kBlockSteps % 2][0] + step % kBlockSteps * kStepGroups);
      if constexpr (kFormat == Format::kFp8) {
        body(Fp8Step{codes, at, ahead, scratch.ring[step % 2], shift});
      } else if (next_passes == 1) {
        body(Fp4Step<true>{codes, at, ahead, scratch.ring[step % 2], shift, table, nibble, quarters});
      } else {
        body(Fp4Step<false>{codes, at, ahead, scratch.ring[step % 2], shift, table, nibble, quarters});
      }
    } else {
      body(Int8Step{codes, at, ahead, scratch.ring[step % 2]});
    }
  };
  if constexpr (kBlocks) {
    next_passes = FoldBlock<kFormat>(args, panel, 0, 0, scratch);
    if (next_passes == 0) return false;
    __builtin_memset(scratch.sum, 0, sizeof(scratch.sum));
  }
  with_step(0, [&](const auto& first) __attribute__((always_inline)) {
    for (std::int64_t o = 0; o < kPanel; ++o) first.Decode(o);
  });
  ZeroSums<kRowTiles>(tiles);
  for (std::int64_t step = 0; step < range.steps; ++step) {
    const std::int64_t next = step + 1;
    const bool ends = next == range.steps || (kBlocks && next % kBlockSteps == 0);
    if (step == 0 || (kBlocks && step % kBlockSteps == 0)) passes = next_passes;
    const auto* x = scratch.x[tile * range.steps + step];
    if (next == range.steps) {
      MultiplyStep<kRowTiles>(tiles, scratch.ring[step % 2], x, range.steps, NothingMore{});
    } else {
      if (ends) next_passes = FoldBlock<kFormat>(args, panel, next / kBlockSteps, 0, scratch);
      if (next_passes == 0) return false;
      with_step(next, [&](const auto& decoder) __attribute__((always_inline)) {
        MultiplyStep<kRowTiles>(tiles, scratch.ring[step % 2], x, range.steps, decoder);
      });
    }
    if (!ends) continue;
    StoreSums<kRowTiles>(tiles, scratch.block);
    if constexpr (kBlocks) {
      const std::int64_t block = step / kBlockSteps;
      if (passes > 1) AddPasses<kRowTiles>(tiles, args, range, panel, tile, block * kBlockSteps, next, passes, scratch.ring[step % 2], scratch);
      ZeroSums<kRowTiles>(tiles);
      AddByteBlock<kRowTiles>(range, tile, block, scratch);
    }
  }
  WriteBytePanel<kRowTiles, kFormat>(args, range, panel.n, tile, scratch);
  return true;
}

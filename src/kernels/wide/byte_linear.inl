// Matrix times rows of bytes: sums of whole numbers, whose order is free. Included inside an unnamed namespace after lanes.inl, math.inl and the
// instruction set's bytes.inl. The order of what is rounded stands at ByteLinearArgs.
//
// The exponents of a kFp4 row's block of kByteGroup columns are folded into whole numbers of eight bits: twice an e2m1 value, at most 12, shifted
// left by up to 3. A block whose exponents lie further apart is computed in passes, one for each four exponents, and the passes' sums are added.

inline constexpr std::int64_t kByteBlock = kByteGroup, kFp4Group = 32, kBlockGroups = kByteBlock / kFp4Group;
inline constexpr std::int64_t kByteOutputs = 16;  // that are decoded together
inline constexpr std::int64_t kByteSlots = 256 / kByteTileRows;  // tiles of rows times blocks: what is held of x
inline constexpr std::int64_t kByteRows = 64;                    // of x that are held, at most

// So far apart may a block's exponents be: |Σ| <= 512 · 12 · 127 · 2^11 fits 32 bits.
inline constexpr int kPassShifts = 4, kPasses = 3, kMostSpread = kPassShifts * kPasses - 1;

inline constexpr std::int64_t kFp8ShiftBytes = kBlockGroups / kFp8Blocks;

struct ByteScratch {
  alignas(64) std::int8_t x[kByteSlots][kByteTileRows][kByteBlock];
  alignas(64) std::int32_t start[kByteSlots][kLanes];  // of each sum of a tile: −offset·Σx of its row
  alignas(64) float x_scale[kByteSlots][kLanes];
  alignas(64) std::uint8_t weight[kPasses][kByteOutputs][kByteBlock];  // decoded
  alignas(64) std::uint8_t shift[kPasses][kByteOutputs][kBlockGroups];  // of kFp8, kFp8ShiftBytes for each 128 columns: see Fp8Weights
  alignas(64) float weight_scale[kByteOutputs + kLanes];
  alignas(64) float sum[kByteRows / kByteTileRows][kByteOutputs / kByteTileOutputs][kLanes];  // of a tile; whole numbers for kInt8
};

/// Columns of a step: two registers, of kFp4 the even columns and the odd ones, as its nibbles lie.
inline constexpr std::int64_t kStepColumns = 2 * kByteColumns;

/// Columns of the block from `at`, and the steps that hold them.
[[gnu::always_inline]] inline std::int64_t ColumnsFrom(std::int64_t at, std::int64_t k) noexcept { return k - at < kByteBlock ? k - at : kByteBlock; }
[[gnu::always_inline]] inline std::int64_t StepsFrom(std::int64_t at, std::int64_t k) noexcept { return (ColumnsFrom(at, k) + kStepColumns - 1) / kStepColumns; }

/// Rows of a call that are computed together.
struct ByteRange {
  std::int64_t first_row, rows, blocks;
};

[[gnu::always_inline]] inline const std::int8_t* ByteRow(const ByteLinearArgs& args, std::int64_t r) noexcept {
  return args.x + (args.x_rows != nullptr ? args.x_rows[r] : r) * args.x_stride;
}
[[gnu::always_inline]] inline const float* ByteScales(const ByteLinearArgs& args, std::int64_t r) noexcept {
  return args.x_scales + (args.x_rows != nullptr ? args.x_rows[r] : r) * args.scale_stride;
}
[[gnu::always_inline]] inline bool ModerateByteScale(float scale) noexcept {
  const auto field = static_cast<int>(__builtin_bit_cast(std::uint32_t, scale) >> 23);
  return field >= 127 - kModerateByteExponent && field <= 127 + kModerateByteExponent;
}

/// Brings the range's x into the scratch. False where a scale is too near the ends of fp32.
template <Format kFormat>
[[gnu::always_inline]] inline bool PackByteRows(const ByteLinearArgs& args, const ByteRange& range, ByteScratch& scratch) noexcept {
  const std::int64_t k = args.weight.k;
  bool moderate = true;
  for (std::int64_t i = 0; i < range.rows; ++i) {
    const std::int64_t tile = i / kByteTileRows, r = i % kByteTileRows;
    const std::int64_t together = range.rows - tile * kByteTileRows < kByteTileRows ? range.rows - tile * kByteTileRows : kByteTileRows;
    const std::int8_t* x = ByteRow(args, range.first_row + i);
    const float* scales = ByteScales(args, range.first_row + i);
    for (std::int64_t block = 0; block < range.blocks; ++block) {
      const std::int64_t slot = tile * range.blocks + block, columns = ColumnsFrom(block * kByteBlock, k);
      const std::int64_t padded = StepsFrom(block * kByteBlock, k) * kStepColumns;
      std::int8_t* packed = scratch.x[slot][r];
      if (columns < padded) __builtin_memset(packed + padded - kStepColumns, 0, kStepColumns);
      __builtin_memcpy(packed, x + block * kByteBlock, static_cast<std::size_t>(columns));
      for (std::int64_t c = 0; kFormat == Format::kFp4 && c < padded; c += kStepColumns) SeparateBytes(packed + c);
      std::int32_t sum = 0;
      if constexpr (kWeightOffset != 0) {
        alignas(64) static constexpr auto kOnes = [] {
          struct { std::int8_t byte[kByteColumns]; } ones{};
          for (std::int8_t& one : ones.byte) one = 1;
          return ones;
        }();
        ByteSums sums = NoByteSums();
        for (std::int64_t c = 0; c < padded; c += kByteColumns) sums = DotBytes(LoadBytes(kOnes.byte), LoadBytes(packed + c), sums);
        sum = SumBytes(sums);
      }
      const float scale = scales[kFormat == Format::kInt8 ? 0 : block];
      moderate = moderate && ModerateByteScale(scale);
      for (std::int64_t lane = r; lane < kLanes; lane += together) {
        scratch.start[slot][lane] = -kWeightOffset * sum;
        scratch.x_scale[slot][lane] = scale;
      }
    }
  }
  return moderate;
}

// Where the weights of a block come from. Row n + o, the last one repeated; from column `at` on.

/// Straight from the matrix, which also fetches what stands kAhead rows on, into the second cache. kAll: one pass takes every group.
template <Format kFormat, bool kAll, int kAhead = kByteOutputs>
struct CodedBytes {
  const std::byte* begin;
  std::int64_t row_bytes, last, columns;
  const std::uint8_t (*shift)[kBlockGroups];

  [[gnu::always_inline]] CodedBytes(const ByteLinearArgs& args, std::int64_t n, std::int64_t at, const std::uint8_t (*shifts)[kBlockGroups]) noexcept
      : begin(args.weight.data + n * RowBytes(kFormat, args.weight.k) + RowBytes(kFormat, at)), row_bytes(RowBytes(kFormat, args.weight.k)),
        last(args.row_end - 1 - n), columns(args.weight.k - at), shift(shifts) {}

  [[gnu::always_inline]] const std::byte* Row(std::int64_t o) const noexcept { return begin + (o < last ? o : last) * row_bytes; }
  [[gnu::always_inline]] void Open(std::int64_t) const noexcept {}
  template <bool kWhole>
  [[gnu::always_inline]] void Load(std::int64_t o, std::int64_t step, Bytes (&w)[2]) const noexcept {
    constexpr std::int64_t kStepBytes = RowBytes(kFormat, kStepColumns);
    const std::byte* codes = Row(o) + step * kStepBytes;
    if constexpr (kAll) {
      if (kStepBytes >= 64 || step * kStepBytes % 64 == 0) __builtin_prefetch(codes + kAhead * row_bytes, 0, 2);
      if (kStepBytes >= 128) __builtin_prefetch(codes + kAhead * row_bytes + 64, 0, 2);
    }
    alignas(64) std::byte rest[kStepColumns];
    if (const std::int64_t left = columns - step * kStepColumns; !kWhole && left < kStepColumns) {
      __builtin_memset(rest, 0, sizeof(rest));
      if (left > 0) __builtin_memcpy(rest, codes, static_cast<std::size_t>(RowBytes(kFormat, left)));
      codes = rest;
    }
    if constexpr (kFormat == Format::kFp4) {
      Fp4Weights<kAll>(codes, shift[o] + step * kStepColumns / kFp4Group, w);
    } else if constexpr (kFormat == Format::kFp8) {
      const std::uint8_t* of_block = shift[o] + step * kStepColumns / kActivationGroup * kFp8ShiftBytes;
      w[0] = Fp8Weights(codes, of_block);
      w[1] = Fp8Weights(codes + kByteColumns, of_block);
    } else {
      w[0] = Int8Weights(codes);
      w[1] = Int8Weights(codes + kByteColumns);
    }
  }
};
struct PanelBytes {
  const std::uint8_t (*weight)[kByteBlock];
  [[gnu::always_inline]] void Open(std::int64_t) const noexcept {}
  template <bool>
  [[gnu::always_inline]] void Load(std::int64_t o, std::int64_t step, Bytes (&w)[2]) const noexcept {
    w[0] = LoadBytes(weight[o] + step * kStepColumns);
    w[1] = LoadBytes(weight[o] + step * kStepColumns + kByteColumns);
  }
};

/// Sum o · kRows + r of a block's first `steps` steps: output first + o, row r of x. The lanes of what the tile does not fill are zero.
template <int kRows, int kOut, bool kWhole, class Source>
[[gnu::always_inline]] inline Ints ByteTile(const Source& source, std::int64_t first, std::int64_t steps, const std::int8_t (*x)[kByteBlock]) noexcept {
  ByteSums sums[kByteTileSums];
#pragma GCC unroll 16
  for (ByteSums& sum : sums) sum = NoByteSums();
  if constexpr (kRows < kByteTileRows) {
    // Sums of one output at a time: decoding is most of the work.
#pragma GCC unroll 16
    for (int o = 0; o < kOut; ++o) {
      source.Open(first + o);
#pragma GCC unroll 4
      for (std::int64_t step = 0; step < steps; ++step) {
        Bytes weight[2];
        source.template Load<kWhole>(first + o, step, weight);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const std::int8_t* xs = x[r] + step * kStepColumns;
          sums[o * kRows + r] = DotBytes(weight[1], LoadBytes(xs + kByteColumns), DotBytes(weight[0], LoadBytes(xs), sums[o * kRows + r]));
        }
      }
    }
  } else {
    for (std::int64_t step = 0; step < steps; ++step) {
      Bytes weight[kOut][2];
#pragma GCC unroll 4
      for (int o = 0; o < kOut; ++o) source.template Load<kWhole>(first + o, step, weight[o]);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const Bytes xs = LoadBytes(x[r] + step * kStepColumns + half * kByteColumns);
#pragma GCC unroll 4
          for (int o = 0; o < kOut; ++o) sums[o * kRows + r] = DotBytes(weight[o][half], xs, sums[o * kRows + r]);
        }
      }
    }
  }
  return SumEachBytes(sums);
}

/// The least and the largest of `groups` scale codes, and what each must be shifted left by.
struct BlockShifts {
  __m128i shift;
  int least, spread;
};
[[gnu::always_inline]] inline BlockShifts ShiftsOf(const std::uint8_t* scales, std::int64_t groups) noexcept {
  alignas(16) std::uint8_t padded[kBlockGroups];
  if (groups < kBlockGroups) {
    __builtin_memset(padded, scales[0], sizeof(padded));
    __builtin_memcpy(padded, scales, static_cast<std::size_t>(groups));
    scales = padded;
  }
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
  const __m128i pairs = _mm_min_epu8(codes, _mm_srli_epi16(codes, 8));
  const int least = _mm_extract_epi16(_mm_minpos_epu16(pairs), 0);
  const __m128i shift = _mm_sub_epi8(codes, _mm_set1_epi8(static_cast<char>(least)));
  const __m128i inverse = _mm_xor_si128(shift, _mm_set1_epi8(-1)), inverse_pairs = _mm_min_epu8(inverse, _mm_srli_epi16(inverse, 8));
  return {shift, least, 255 - _mm_extract_epi16(_mm_minpos_epu16(inverse_pairs), 0)};
}

/// The same of the kFp8Fold rows from n + o. False where a scale is too near the ends of fp32.
[[gnu::always_inline]] inline bool FoldFp8Outputs(const ByteLinearArgs& args, std::int64_t n, std::int64_t o, std::int64_t at, ByteScratch& scratch) noexcept {
  const std::uint8_t *rows[kFp8Fold], *scales[kFp8Fold];
  for (std::int64_t i = 0; i < kFp8Fold; ++i) OpenFp8Row(args.weight, n + o + i < args.row_end ? n + o + i : args.row_end - 1, at, rows[i], scales[i]);
  return FoldFp8Rows(rows, scales, ColumnsFrom(at, args.weight.k), scratch.shift[0] + o, scratch.weight_scale + o);
}

/// kFp8 that is folded where it is read, while its codes are in the first cache.
template <int kAhead>
struct FoldedFp8Bytes {
  CodedBytes<Format::kFp8, true, kAhead> codes;
  const ByteLinearArgs& args;
  std::int64_t n, at;
  ByteScratch& scratch;
  bool& moderate;

  [[gnu::always_inline]] void Open(std::int64_t o) const noexcept {
    if (o % kFp8Fold == 0) moderate = FoldFp8Outputs(args, n, o, at, scratch) && moderate;
  }
  template <bool kWhole>
  [[gnu::always_inline]] void Load(std::int64_t o, std::int64_t step, Bytes (&w)[2]) const noexcept { codes.template Load<kWhole>(o, step, w); }
};

/// Shifts and scales of `outputs` rows from n in the block of column `at`; how many passes it takes, or 0: more than there are, or scales too far out.
template <Format kFormat>
[[gnu::always_inline]] inline int BlockPasses(const ByteLinearArgs& args, std::int64_t n, std::int64_t outputs, std::int64_t at, ByteScratch& scratch) noexcept {
  if constexpr (kFormat == Format::kInt8) return 1;
  if constexpr (kFormat == Format::kFp8) {
    bool moderate = true;
    for (std::int64_t o = 0; o < outputs; o += kFp8Fold) moderate = FoldFp8Outputs(args, n, o, at, scratch) && moderate;
    return moderate ? 1 : 0;
  }
  const std::int64_t groups = (args.weight.k + kFp4Group - 1) / kFp4Group, left = groups - at / kFp4Group;
  __m128i shifts[kByteOutputs];
  int spread = 0, least = 255, most = 0;
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int64_t row = n + o < args.row_end ? n + o : args.row_end - 1;
    const BlockShifts block = ShiftsOf(args.weight.scales + row * groups + at / kFp4Group, left < kBlockGroups ? left : kBlockGroups);
    shifts[o] = block.shift;
    spread = block.spread > spread ? block.spread : spread;
    least = block.least < least ? block.least : least;
    most = block.least > most ? block.least : most;
    _mm_store_si128(reinterpret_cast<__m128i*>(scratch.shift[0][o]), _mm_slli_epi16(block.shift, 4));
    scratch.weight_scale[o] = __builtin_bit_cast(float, static_cast<std::uint32_t>(block.least - 1) << 23);  // the weights are twice their values
  }
  if (spread > kMostSpread || least < 127 - kModerateByteExponent || most > 127 + kModerateByteExponent) return 0;
  if (spread < kPassShifts) return 1;
  for (int pass = 0; pass <= spread / kPassShifts; ++pass) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      const __m128i relative = _mm_sub_epi8(shifts[o], _mm_set1_epi8(static_cast<char>(pass * kPassShifts)));
      const __m128i taken = _mm_cmpeq_epi8(_mm_and_si128(relative, _mm_set1_epi8(static_cast<char>(~(kPassShifts - 1)))), _mm_setzero_si128());
      const __m128i shift = _mm_blendv_epi8(_mm_set1_epi8(static_cast<char>(kLeftOut)), _mm_slli_epi16(_mm_and_si128(relative, taken), 4), taken);
      _mm_store_si128(reinterpret_cast<__m128i*>(scratch.shift[pass][o]), shift);
    }
  }
  return spread / kPassShifts + 1;
}

/// sum + the block's t, in the order of the format.
template <Format kFormat>
[[gnu::always_inline]] inline Lanes AddByteBlock(Ints t, Lanes x_scale, Lanes weight_scale, Lanes sum) noexcept {
  if constexpr (kFormat == Format::kInt8) return FromBits(AddInts(Bits(sum), t));
  return Fma(ToFloats(t), Mul(x_scale, weight_scale), sum);
}
/// Writes the sums of kRows rows from first_row and the outputs [n, n + kOut) that there are, up to `end`.
template <Format kFormat, int kRows, int kOut>
[[gnu::always_inline]] inline void WriteByteTile(const ByteLinearArgs& args, std::int64_t first_row, std::int64_t n, std::int64_t end,
                                                 Lanes sum, Lanes x_scale) noexcept {
  const std::int64_t left = (end < args.row_end ? end : args.row_end) - n, outputs = left < kOut ? left : kOut;
  if constexpr (kFormat == Format::kInt8) {
    alignas(64) float weight_scale[kLanes] = {};
    for (std::int64_t o = 0; o < outputs; ++o) weight_scale[o] = args.weight.row_scales[n + o];
    sum = Mul(ToFloats(Bits(sum)), Mul(x_scale, ForRowsOf<kRows>(weight_scale)));
  }
  alignas(64) float y[kLanes];
  Store(y, RoundAs(sum, args.rounding));
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (int r = 0; r < kRows; ++r) args.y[(first_row + r) * args.y_stride + n + o - args.row_begin] = y[o * kRows + r];
  }
}

/// What a block adds to a tile's sums before it is scaled: tile(pass) of every pass.
template <class Tile>
[[gnu::always_inline]] inline Ints AddPasses(int passes, const std::int32_t* start, const Tile& tile) noexcept {
  Ints t = AddInts(LoadInts(start), tile(0));
  for (int pass = 1; pass < passes; ++pass) {
    const Ints part = AddInts(LoadInts(start), tile(pass));
    t = AddInts(t, pass == 1 ? ShiftLeft<kPassShifts>(part) : ShiftLeft<2 * kPassShifts>(part));
  }
  return t;
}

/// The outputs [n, n + kOut) of few rows, decoded where they are multiplied. False where a block cannot be folded.
template <Format kFormat, int kRows, int kOut>
[[gnu::always_inline]] inline bool FewByteRows(const ByteLinearArgs& args, const ByteRange& range, std::int64_t n, ByteScratch& scratch) noexcept {
  Lanes sum = Zero();
  for (std::int64_t block = 0; block < range.blocks; ++block) {
    const std::int64_t at = block * kByteBlock, steps = StepsFrom(at, args.weight.k);
    if constexpr (kFormat == Format::kFp8 && kRows < kByteTileRows) {
      if (ColumnsFrom(at, args.weight.k) == kByteBlock) {
        bool moderate = true;
        const FoldedFp8Bytes<kOut> source{{args, n, at, scratch.shift[0]}, args, n, at, scratch, moderate};
        const Ints t = AddInts(LoadInts(scratch.start[block]), ByteTile<kRows, kOut, true>(source, 0, kByteBlock / kStepColumns, scratch.x[block]));
        if (!moderate) return false;
        sum = AddByteBlock<kFormat>(t, Load(scratch.x_scale[block]), ForRowsOf<kRows>(scratch.weight_scale), sum);
        continue;
      }
    }
    const int passes = BlockPasses<kFormat>(args, n, kOut, at, scratch);
    if (passes == 0) return false;
    Ints t;
    if (passes == 1 && ColumnsFrom(at, args.weight.k) == kByteBlock) {
      const CodedBytes<kFormat, true, kOut> source(args, n, at, scratch.shift[0]);
      t = AddInts(LoadInts(scratch.start[block]), ByteTile<kRows, kOut, true>(source, 0, kByteBlock / kStepColumns, scratch.x[block]));
    } else if (passes == 1 && ColumnsFrom(at, args.weight.k) % kStepColumns == 0) {
      const CodedBytes<kFormat, true, kOut> source(args, n, at, scratch.shift[0]);
      t = AddInts(LoadInts(scratch.start[block]), ByteTile<kRows, kOut, true>(source, 0, steps, scratch.x[block]));
    } else {
      t = AddPasses(passes, scratch.start[block], [&](int pass) __attribute__((noinline)) {
        return ByteTile<kRows, kOut, false>(CodedBytes<kFormat, false>(args, n, at, scratch.shift[pass]), 0, steps, scratch.x[block]);
      });
    }
    sum = AddByteBlock<kFormat>(t, Load(scratch.x_scale[block]), ForRowsOf<kRows>(scratch.weight_scale), sum);
  }
  WriteByteTile<kFormat, kRows, kOut>(args, range.first_row, n, n + kOut, sum, Load(scratch.x_scale[0]));
  return true;
}

/// Outputs of one tile of kRows rows out of a panel.
template <int kRows>
inline constexpr int kPanelOut = kRows == 3 ? kByteTileOutputs : kByteTileSums / kRows;

/// Adds what a block of a decoded panel gives a tile of rows.
template <Format kFormat, int kRows>
[[gnu::always_inline]] inline void AddPanelBlock(std::int64_t tile, std::int64_t slot, std::int64_t steps, int passes, ByteScratch& scratch) noexcept {
  for (int first = 0; first < kByteOutputs; first += kPanelOut<kRows>) {
    const Ints t = AddPasses(passes, scratch.start[slot], [&](int pass) __attribute__((always_inline)) {
      return ByteTile<kRows, kPanelOut<kRows>, true>(PanelBytes{scratch.weight[pass]}, first, steps, scratch.x[slot]);
    });
    float* sum = scratch.sum[tile][first / kPanelOut<kRows>];
    Store(sum, AddByteBlock<kFormat>(t, Load(scratch.x_scale[slot]), ForRowsOf<kRows>(scratch.weight_scale + first), Load(sum)));
  }
}
template <Format kFormat, int kRows>
[[gnu::always_inline]] inline void WritePanelTile(const ByteLinearArgs& args, const ByteRange& range, std::int64_t tile, std::int64_t n,
                                                  const ByteScratch& scratch) noexcept {
  for (int first = 0; first < kByteOutputs && n + first < args.row_end; first += kPanelOut<kRows>) {
    const Lanes sum = Load(scratch.sum[tile][first / kPanelOut<kRows>]), x_scale = Load(scratch.x_scale[tile * range.blocks]);
    WriteByteTile<kFormat, kRows, kPanelOut<kRows>>(args, range.first_row + tile * kByteTileRows, n + first, n + kByteOutputs, sum, x_scale);
  }
}

/// body.operator()<rows>(tile) for every tile of the range's rows.
template <class Body>
[[gnu::always_inline]] inline void ForByteTiles(const ByteRange& range, const Body& body) noexcept {
  const std::int64_t whole = range.rows / kByteTileRows;
  for (std::int64_t tile = 0; tile < whole; ++tile) body.template operator()<kByteTileRows>(tile);
  switch (range.rows % kByteTileRows) {
    case 1: return body.template operator()<1>(whole);
    case 2:
      if constexpr (kByteTileRows > 2) body.template operator()<2>(whole);
      return;
    case 3:
      if constexpr (kByteTileRows > 3) body.template operator()<3>(whole);
      return;
    default: return;
  }
}

template <bool kAll, bool kWhole, Format kFormat>
[[gnu::always_inline]] inline void DecodeByteBlock(const CodedBytes<kFormat, kAll>& source, std::int64_t steps, std::uint8_t (*weight)[kByteBlock]) noexcept {
  for (std::int64_t o = 0; o < kByteOutputs; ++o) {
#pragma GCC unroll 4
    for (std::int64_t step = 0; step < steps; ++step) {
      Bytes w[2];
      source.template Load<kWhole>(o, step, w);
      StoreByteColumns(weight[o] + step * kStepColumns, w[0]);
      StoreByteColumns(weight[o] + step * kStepColumns + kByteColumns, w[1]);
    }
  }
}

/// The outputs [n, n + kByteOutputs) of many rows: decoded once, then multiplied with every tile. False where a block cannot be folded.
template <Format kFormat>
[[gnu::always_inline]] inline bool ManyByteRows(const ByteLinearArgs& args, const ByteRange& range, std::int64_t n, ByteScratch& scratch) noexcept {
  __builtin_memset(scratch.sum, 0, static_cast<std::size_t>((range.rows + kByteTileRows - 1) / kByteTileRows) * sizeof(scratch.sum[0]));
  for (std::int64_t block = 0; block < range.blocks; ++block) {
    const std::int64_t at = block * kByteBlock, steps = StepsFrom(at, args.weight.k);
    const int passes = BlockPasses<kFormat>(args, n, kByteOutputs, at, scratch);
    if (passes == 0) return false;
    if (passes == 1 && ColumnsFrom(at, args.weight.k) % kStepColumns == 0) {
      DecodeByteBlock<true, true>(CodedBytes<kFormat, true>(args, n, at, scratch.shift[0]), steps, scratch.weight[0]);
    } else {
      for (int pass = 0; pass < passes; ++pass) {
        DecodeByteBlock<false, false>(CodedBytes<kFormat, false>(args, n, at, scratch.shift[pass]), steps, scratch.weight[pass]);
      }
    }
    ForByteTiles(range, [&]<int kRows>(std::int64_t tile) __attribute__((always_inline)) {
      AddPanelBlock<kFormat, kRows>(tile, tile * range.blocks + block, steps, passes, scratch);
    });
  }
  ForByteTiles(range, [&]<int kRows>(std::int64_t tile) __attribute__((always_inline)) { WritePanelTile<kFormat, kRows>(args, range, tile, n, scratch); });
  return true;
}

/// The outputs of a range by `outputs` of them at a time; body(n) says whether it could. What it could not goes below.
template <class Body>
[[gnu::always_inline]] inline void ForByteOutputs(const ByteLinearArgs& args, const ByteRange& range, std::int64_t outputs, void (*below)(const ByteLinearArgs&) noexcept,
                                                  const Body& body) noexcept {
  for (std::int64_t n = args.row_begin; n < args.row_end; n += outputs) {
    if (body(n)) continue;
    ByteLinearArgs rest = args;
    rest.row_begin = n;
    rest.row_end = n + outputs < args.row_end ? n + outputs : args.row_end;
    if (args.x_rows != nullptr) {
      rest.x_rows += range.first_row;
    } else {
      rest.x += range.first_row * args.x_stride;
      rest.x_scales += range.first_row * args.scale_stride;
    }
    rest.rows = range.rows;
    rest.y += range.first_row * args.y_stride + n - args.row_begin;
    below(rest);
  }
}

template <Format kFormat>
[[gnu::noinline]] bool ByteLinearOf(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  ByteScratch scratch;
  const std::int64_t blocks = (args.weight.k + kByteBlock - 1) / kByteBlock;
  if (blocks > kByteSlots) return false;
  const std::int64_t tiles = kByteSlots / blocks, most = tiles * kByteTileRows < kByteRows ? tiles * kByteTileRows : kByteRows;
  for (std::int64_t first = 0; first < args.rows; first += most) {
    const ByteRange range{first, args.rows - first < most ? args.rows - first : most, blocks};
    if (!PackByteRows<kFormat>(args, range, scratch)) return false;
    if (range.rows <= kByteTileRows) {
      ForByteTiles(range, [&]<int kRows>(std::int64_t) __attribute__((always_inline)) {
        ForByteOutputs(args, range, kPanelOut<kRows>, below, [&](std::int64_t n) __attribute__((noinline)) {
          return FewByteRows<kFormat, kRows, kPanelOut<kRows>>(args, range, n, scratch);
        });
      });
    } else {
      ForByteOutputs(args, range, kByteOutputs, below, [&](std::int64_t n) __attribute__((noinline)) { return ManyByteRows<kFormat>(args, range, n, scratch); });
    }
  }
  return true;
}

/// Computes the call, or leaves it to `below`, whose bits are the same.
[[gnu::always_inline]] inline void ByteLinearOr(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  if (args.row_end <= args.row_begin || args.rows <= 0) return;
  const auto computes = [&] {
    switch (args.weight.format) {
      case Format::kFp4: return ByteLinearOf<Format::kFp4>(args, below);
      case Format::kFp8: return ByteLinearOf<Format::kFp8>(args, below);
      default: return ByteLinearOf<Format::kInt8>(args, below);
    }
  };
  if (!computes()) below(args);
}

/// The nearest whole numbers of sixteen floats, the magnitude at most 127.
[[gnu::always_inline]] inline Ints ByteCodes(Lanes x, Lanes inverse) noexcept {
  const Lanes whole = Nearest(Min(Magnitude(Mul(x, inverse)), Set1(127.0f)));
  return ToInts(FromBits(Or(Bits(whole), SignBit(x))));
}

void ByteQuantize(const ByteQuantizeArgs& args) noexcept {
  const std::int64_t groups = (args.k + args.group - 1) / args.group;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = g * args.group, count = args.k - begin < args.group ? args.k - begin : args.group;
      const float* x = args.x + r * args.k + begin;
      auto* codes = reinterpret_cast<std::byte*>(args.codes + r * args.k + begin);
      float largest = LargestMagnitude(x, count);
      largest = largest < kLeastByteMagnitude ? kLeastByteMagnitude : largest;
      largest = largest > __FLT_MAX__ ? __FLT_MAX__ : largest;
      const Lanes inverse = Set1(127.0f / largest);
      std::int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes) StoreBytes(codes + i, ByteCodes(Load(x + i), inverse));
      if (i < count) {
        std::byte rest[kLanes];
        StoreBytes(rest, ByteCodes(LoadPart(x + i, count - i), inverse));
        __builtin_memcpy(codes + i, rest, static_cast<std::size_t>(count - i));
      }
      args.scales[r * groups + g] = largest / 127.0f;
    }
  }
}

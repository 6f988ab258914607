// Few rows times weights that are decoded where they are multiplied. Included inside an unnamed namespace after byte_blocks.inl.

struct FewScratch {
  static constexpr std::int64_t kRowBlocks = 256;            // rows times blocks: what is held of x
  alignas(64) std::int8_t x[kRowBlocks][kByteBlock];         // [block · rows + row]
  alignas(64) std::int32_t start[kRowBlocks / kByteTileRows][kLanes];  // of each sum of a tile in a block: −offset·Σx of its row
  alignas(64) float x_scale[kRowBlocks / kByteTileRows][kLanes];
  ByteFold fold;
};

/// Rows of a call that are computed together, at most kMostFewRows.
struct FewRange {
  std::int64_t first_row, rows, blocks;
};

/// Brings the range's x into the scratch. False where a scale is too near the ends of fp32.
template <Format kFormat>
[[gnu::always_inline]] inline bool PackByteRows(const ByteLinearArgs& args, const FewRange& range, FewScratch& scratch) noexcept {
  const std::int64_t k = args.weight.k;
  bool moderate = true;
  for (std::int64_t r = 0; r < range.rows; ++r) {
    const std::int8_t* x = ByteRow(args, range.first_row + r);
    const float* scales = ByteScales(args, range.first_row + r);
    for (std::int64_t block = 0; block < range.blocks; ++block) {
      const std::int64_t columns = ColumnsFrom(block * kByteBlock, k), padded = StepsFrom(block * kByteBlock, k) * kStepColumns;
      std::int8_t* packed = scratch.x[block * range.rows + r];
      if (columns < padded) __builtin_memset(packed + padded - kStepColumns, 0, kStepColumns);
      __builtin_memcpy(packed, x + block * kByteBlock, static_cast<std::size_t>(columns));
      for (std::int64_t c = 0; kFormat == Format::kFp4 && c < padded; c += kStepColumns) SeparateBytes(packed + c);
      const std::int32_t start = -OffsetOf(packed, padded);
      const float scale = scales[kFormat == Format::kInt8 ? 0 : block];
      moderate = moderate && ModerateByteScale(scale);
      for (std::int64_t lane = r; lane < kLanes; lane += range.rows) {
        scratch.start[block][lane] = start;
        scratch.x_scale[block][lane] = scale;
      }
    }
  }
  return moderate;
}

/// Sum o · kRows + r of a block's first `steps` steps: output first + o, row r of x. The lanes of what the tile does not fill are zero.
template <int kRows, int kOut, bool kWhole, class Source>
[[gnu::always_inline]] inline Ints ByteTile(const Source& source, std::int64_t first, std::int64_t steps, const std::int8_t (*x)[kByteBlock]) noexcept {
  ByteSums fours[kByteTileSums / 4];
#pragma GCC unroll 4
  for (ByteSums& four : fours) four = NoByteSums();
  if constexpr (kRows < kByteTileRows && 4 % kRows == 0) {
    // An output after the other: decoding is most of the work.
#pragma GCC unroll 4
    for (int four = 0; four < kOut * kRows / 4; ++four) {
      ByteSums sums[4] = {NoByteSums(), NoByteSums(), NoByteSums(), NoByteSums()};
#pragma GCC unroll 4
      for (int i = 0; i < 4; i += kRows) {
        const std::int64_t o = first + (4 * four + i) / kRows;
#pragma GCC unroll 4
        for (std::int64_t step = 0; step < steps; ++step) {
          Bytes weight[2];
          source.template Load<kWhole>(o, step, weight);
#pragma GCC unroll 2
          for (int r = 0; r < kRows; ++r) {
            const std::int8_t* xs = x[r] + step * kStepColumns;
            sums[i + r] = DotBytes(weight[1], LoadBytes(xs + kByteColumns), DotBytes(weight[0], LoadBytes(xs), sums[i + r]));
          }
        }
      }
      fours[four] = SumFour(sums);
    }
    return JoinFours(fours);
  }
  ByteSums sums[kByteTileSums];
#pragma GCC unroll 16
  for (ByteSums& sum : sums) sum = NoByteSums();
  for (std::int64_t step = 0; step < steps; ++step) {
    Bytes weight[kOut][2];
#pragma GCC unroll 4
    for (int o = 0; o < kOut; ++o) source.template Load<kWhole>(first + o, step, weight[o]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Bytes xs = LoadBytes(x[r] + step * kStepColumns + half * kByteColumns);
#pragma GCC unroll 4
        for (int o = 0; o < kOut; ++o) sums[o * kRows + r] = DotBytes(weight[o][half], xs, sums[o * kRows + r]);
      }
    }
  }
#pragma GCC unroll 4
  for (int four = 0; four < kByteTileSums / 4; ++four) fours[four] = SumFour(sums + 4 * four);
  return JoinFours(fours);
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

/// Outputs of one register tile of kRows rows, and the tiles that are folded together: no more rows of the matrix are read side by side than a
/// processor's prefetchers follow.
template <Format kFormat, int kRows>
inline constexpr int kFewOutputs = kRows > kByteTileRows ? kByteTileSums / kRows : kFormat == Format::kFp4 && kRows == 1 ? 2 * kByteTileOutputs : kByteTileOutputs;
template <int kRows>
inline constexpr int kFewTiles = kRows > kByteTileRows ? 2 : 1;

/// What a block adds to a tile of `outputs` from n + first on.
template <Format kFormat, int kRows>
[[gnu::always_inline]] inline Ints FewBlock(const ByteLinearArgs& args, std::int64_t n, std::int64_t first, std::int64_t block, Passes passes, FewScratch& scratch) noexcept {
  constexpr int kOut = kFewOutputs<kFormat, kRows>;
  const std::int64_t at = block * kByteBlock, columns = ColumnsFrom(at, args.weight.k), steps = StepsFrom(at, args.weight.k);
  const std::int8_t(*x)[kByteBlock] = scratch.x + block * kRows;
  if (passes.plain && columns % kStepColumns == 0) {
    const CodedBytes<kFormat, true, kOut * kFewTiles<kRows>> source(args, n, at, scratch.fold.shift[0]);
    if (columns < kByteBlock) return AddInts(LoadInts(scratch.start[block]), ByteTile<kRows, kOut, true>(source, first, steps, x));
    return AddInts(LoadInts(scratch.start[block]), ByteTile<kRows, kOut, true>(source, first, kByteBlock / kStepColumns, x));
  }
  return AddPasses(passes.count, scratch.start[block], [&](int pass) __attribute__((noinline)) {
    return ByteTile<kRows, kOut, false>(CodedBytes<kFormat, false, 0>(args, n, at, scratch.fold.shift[pass]), first, steps, x);
  });
}

/// The outputs of kRows rows from n on, as many as are computed together. False where a block cannot be folded.
template <Format kFormat, int kRows>
[[gnu::always_inline]] inline bool FewByteRows(const ByteLinearArgs& args, const FewRange& range, std::int64_t n, FewScratch& scratch) noexcept {
  constexpr int kOut = kFewOutputs<kFormat, kRows>, kTiles = kFewTiles<kRows>;
  ByteFold& fold = scratch.fold;
  Lanes sum[kTiles];
  for (Lanes& of_tile : sum) of_tile = Zero();
  for (std::int64_t block = 0; block < range.blocks; ++block) {
    const std::int64_t at = block * kByteBlock;
    const Passes passes = BlockPasses<kFormat>(args, n, kOut * kTiles, at, fold);
    if (passes.count == 0) return false;
#pragma GCC unroll 1
    for (int tile = 0; tile < kTiles; ++tile) {
      const Ints t = FewBlock<kFormat, kRows>(args, n, tile * kOut, block, passes, scratch);
      sum[tile] = AddByteBlock<kFormat>(t, Load(scratch.x_scale[block]), ForRowsOf<kRows>(fold.weight_scale + tile * kOut), sum[tile]);
    }
  }
  for (int tile = 0; tile < kTiles; ++tile) {
    WriteByteTile<kFormat, kRows, kOut>(args, range.first_row, n + tile * kOut, n + kTiles * kOut, sum[tile], Load(scratch.x_scale[0]));
  }
  return true;
}

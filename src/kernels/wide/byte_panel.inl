// Many rows times weights that are decoded once: panels of sixteen outputs a group, turned so that a register holds the same four columns of every
// output, and a row's four columns meet them all at once. Included inside an unnamed namespace after byte_blocks.inl.

inline constexpr std::int64_t kWordColumns = 4, kBlockWords = kByteBlock / kWordColumns;

struct PanelScratch {
  static constexpr std::int64_t kRows = 128, kRowBlocks = 1024;  // of a range at most, and times blocks
  alignas(64) std::uint8_t weight[kPanelGroups][kBlockWords][kLanes * kWordColumns];
  alignas(64) float sum[kRows][kPanelGroups][kLanes];              // by row of a tile; whole numbers for kInt8
  alignas(64) std::int32_t part[kRows][kPanelGroups][kLanes];      // of a block that takes several passes
  alignas(64) std::int32_t start[kRowBlocks];                      // [row · blocks + block] of each sum: −offset·Σx
  alignas(64) float x_scale[kRowBlocks];
  ByteFold fold;
};

/// Rows of a call that are computed together: tiles of as many rows each, of which the last two may share some.
struct PanelRange {
  std::int64_t first_row, rows, blocks, tiles, tile_rows;

  [[gnu::always_inline]] PanelRange(std::int64_t first, std::int64_t count, std::int64_t of_blocks) noexcept
      : first_row(first), rows(count), blocks(of_blocks), tiles((count + kMostTileRows - 1) / kMostTileRows), tile_rows((count + tiles - 1) / tiles) {}
  /// The first row of a tile, counted from the range's.
  [[gnu::always_inline]] std::int64_t TileBegin(std::int64_t tile) const noexcept { return tile + 1 < tiles ? tile * tile_rows : rows - tile_rows; }
};

/// What the range's x brings into its sums. False where a scale is too near the ends of fp32.
template <Format kFormat>
[[gnu::always_inline]] inline bool OpenByteRows(const ByteLinearArgs& args, const PanelRange& range, PanelScratch& scratch) noexcept {
  bool moderate = true;
  for (std::int64_t r = 0; r < range.rows; ++r) {
    const std::int8_t* x = ByteRow(args, range.first_row + r);
    const float* scales = ByteScales(args, range.first_row + r);
    for (std::int64_t block = 0; block < range.blocks; ++block) {
      const std::int64_t at = block * kByteBlock, columns = ColumnsFrom(at, args.weight.k), whole = columns / kByteColumns * kByteColumns;
      std::int32_t offset = OffsetOf(x + at, whole);
      if (whole < columns) {
        alignas(64) std::int8_t rest[kByteColumns] = {};
        __builtin_memcpy(rest, x + at + whole, static_cast<std::size_t>(columns - whole));
        offset += OffsetOf(rest, kByteColumns);
      }
      const float scale = scales[kFormat == Format::kInt8 ? 0 : block];
      moderate = moderate && ModerateByteScale(scale);
      scratch.start[r * range.blocks + block] = -offset;
      scratch.x_scale[r * range.blocks + block] = scale;
    }
  }
  return moderate;
}

/// A word of columns from p, of which `count` are there.
[[gnu::always_inline]] inline Ints WordFrom(const std::int8_t* p, std::int64_t count) noexcept {
  std::int32_t columns = 0;
  __builtin_memcpy(&columns, p, static_cast<std::size_t>(count));
  return SetInts(columns);
}

/// sums += the word's products.
template <int kRows, int kGroups>
[[gnu::always_inline]] inline void AddWord(const PanelScratch& scratch, const std::int8_t* const (&x)[kRows], std::int64_t word, std::int64_t count,
                                           Ints (&sums)[kRows][kGroups]) noexcept {
  Ints weight[kGroups];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) weight[g] = LoadInts(scratch.weight[g][word]);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const Ints xs = WordFrom(x[r] + word * kWordColumns, count);
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) sums[r][g] = DotWords(weight[g], xs, sums[r][g]);
  }
}

/// Fetches the next panel's block into the second cache, a line at a time, each tile its share: while they multiply, the memory has nothing else to do.
template <Format kFormat>
struct PanelFetch {
  static constexpr std::int64_t kRowLines = RowBytes(kFormat, kByteBlock) / 64;
  const std::byte* begin;
  std::int64_t row_bytes, line, end;

  [[gnu::always_inline]] PanelFetch(const ByteLinearArgs& args, std::int64_t n, std::int64_t at, std::int64_t outputs, std::int64_t tile, std::int64_t tiles) noexcept
      : begin(args.weight.data + n * RowBytes(kFormat, args.weight.k) + RowBytes(kFormat, at)), row_bytes(RowBytes(kFormat, args.weight.k)),
        line(outputs * kRowLines * tile / tiles), end(outputs * kRowLines * (tile + 1) / tiles) {}
  [[gnu::always_inline]] void One() noexcept {
    if (line >= end) return;
    __builtin_prefetch(begin + line / kRowLines * row_bytes + line % kRowLines * 64, 0, 2);
    ++line;
  }
};

/// Adds one pass over a block of the panel to a tile's sums.
template <Format kFormat, int kRows, int kGroups>
[[gnu::noinline]] void AddPanelPass(const ByteLinearArgs& args, const PanelRange& range, std::int64_t n, std::int64_t tile, std::int64_t block, int pass,
                                    int passes, PanelScratch& scratch) noexcept {
  const std::int64_t at = block * kByteBlock, columns = ColumnsFrom(at, args.weight.k), begin = range.TileBegin(tile);
  const std::int8_t* x[kRows];
  Ints sums[kRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    x[r] = ByteRow(args, range.first_row + begin + r) + at;
    for (Ints& sum : sums[r]) sum = SetInts(0);
  }
  const std::int64_t next = n + kGroups * kLanes, left = args.row_end - next < kGroups * kLanes ? args.row_end - next : kGroups * kLanes;
  PanelFetch<kFormat> fetch(args, next, at, left, tile, range.tiles);
  for (std::int64_t word = 0; word < columns / kWordColumns; ++word) {
    AddWord<kRows, kGroups>(scratch, x, word, kWordColumns, sums);
    fetch.One();
    if (PanelFetch<kFormat>::kRowLines > 4) fetch.One();
  }
  if (columns % kWordColumns != 0) AddWord<kRows, kGroups>(scratch, x, columns / kWordColumns, columns % kWordColumns, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const std::int64_t slot = (begin + r) * range.blocks + block;
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
      Ints t = AddInts(SetInts(scratch.start[slot]), sums[r][g]);
      std::int32_t* part = scratch.part[tile * kRows + r][g];
      if (pass > 0) t = AddInts(LoadInts(part), pass == 1 ? ShiftLeft<kPassShifts>(t) : ShiftLeft<2 * kPassShifts>(t));
      if (pass + 1 < passes) {
        Store(reinterpret_cast<float*>(part), FromBits(t));
        continue;
      }
      float* sum = scratch.sum[tile * kRows + r][g];
      Store(sum, AddByteBlock<kFormat>(t, Set1(scratch.x_scale[slot]), Load(scratch.fold.weight_scale + g * kLanes), Load(sum)));
    }
  }
}

/// A panel's block: decoded output by output, as it lies in memory, then turned.
template <bool kPlain, bool kWhole, Format kFormat>
[[gnu::always_inline]] inline void DecodePanel(const CodedBytes<kFormat, kPlain, 0>& source, std::int64_t groups, std::int64_t steps, PanelScratch& scratch) noexcept {
  alignas(64) std::uint8_t lines[kLanes][kByteBlock];
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t o = 0; o < kLanes; ++o) {
#pragma GCC unroll 4
      for (std::int64_t step = 0; step < steps; ++step) {
        Bytes w[2];
        source.template Load<kWhole>(g * kLanes + o, step, w);
        if constexpr (kFormat == Format::kFp4) Interleave(w);
        StoreByteColumns(lines[o] + step * kStepColumns, w[0]);
        StoreByteColumns(lines[o] + step * kStepColumns + kByteColumns, w[1]);
      }
    }
    for (std::int64_t step = 0; step < steps; ++step) {
      TurnWords<kFormat == Format::kFp4>(lines[0] + step * kStepColumns, scratch.weight[g] + step * (kStepColumns / kWordColumns));
    }
  }
}

template <Format kFormat, int kRows, int kGroups>
[[gnu::always_inline]] inline void WritePanel(const ByteLinearArgs& args, const PanelRange& range, std::int64_t n, const PanelScratch& scratch) noexcept {
  for (std::int64_t tile = 0; tile < range.tiles; ++tile) {
    for (int r = 0; r < kRows; ++r) {
      float* y = args.y + (range.first_row + range.TileBegin(tile) + r) * args.y_stride + n - args.row_begin;
      for (std::int64_t g = 0; g < kGroups; ++g) {
        const std::int64_t left = args.row_end - n - g * kLanes, outputs = left < kLanes ? left : kLanes;
        Lanes sum = Load(scratch.sum[tile * kRows + r][g]);
        if constexpr (kFormat == Format::kInt8) {
          const float* scales = args.weight.row_scales + n + g * kLanes;
          sum = Mul(ToFloats(Bits(sum)), Mul(Set1(scratch.x_scale[(range.TileBegin(tile) + r) * range.blocks]), outputs < kLanes ? LoadPart(scales, outputs) : Load(scales)));
        }
        sum = RoundAs(sum, args.rounding);
        if (outputs < kLanes) {
          StorePart(y + g * kLanes, sum, outputs);
        } else {
          Store(y + g * kLanes, sum);
        }
      }
    }
  }
}

/// The outputs [n, n + kGroups · kLanes) of many rows. False where a block cannot be folded.
template <Format kFormat, int kRows, int kGroups>
[[gnu::noinline]] bool ManyByteRows(const ByteLinearArgs& args, const PanelRange& range, std::int64_t n, PanelScratch& scratch) noexcept {
  __builtin_memset(scratch.sum, 0, static_cast<std::size_t>(range.tiles * kRows) * sizeof(scratch.sum[0]));
  for (std::int64_t block = 0; block < range.blocks; ++block) {
    const std::int64_t at = block * kByteBlock, steps = StepsFrom(at, args.weight.k);
    const Passes passes = BlockPasses<kFormat>(args, n, kGroups * kLanes, at, scratch.fold);
    if (passes.count == 0) return false;
    for (int pass = 0; pass < passes.count; ++pass) {
      if (passes.plain && ColumnsFrom(at, args.weight.k) % kStepColumns == 0) {
        DecodePanel<true, true>(CodedBytes<kFormat, true, 0>(args, n, at, scratch.fold.shift[0]), kGroups, steps, scratch);
      } else {
        DecodePanel<false, false>(CodedBytes<kFormat, false, 0>(args, n, at, scratch.fold.shift[pass]), kGroups, steps, scratch);
      }
      for (std::int64_t tile = 0; tile < range.tiles; ++tile) AddPanelPass<kFormat, kRows, kGroups>(args, range, n, tile, block, pass, passes.count, scratch);
    }
  }
  WritePanel<kFormat, kRows, kGroups>(args, range, n, scratch);
  return true;
}

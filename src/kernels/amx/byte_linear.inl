// Matrix times rows of bytes on tiles: which rows and outputs share what. Included inside an unnamed namespace after amx/byte_panel.inl and
// amx/byte_blocks.inl.

/// The panel's outputs of all rows of the range, few of them. False where a block cannot be folded.
template <Format kFormat, class Tiles>
[[gnu::always_inline]] inline bool MultiplyByteSteps(Tiles& tiles, const ByteLinearArgs& args, const ByteTileRange& range, const BytePanel& panel,
                                                     ByteTileScratch& scratch) noexcept {
  bool done = true;
  for (std::int64_t tile = 0; done && tile < range.RowTiles(); tile += 2) {
    done = tile + 1 < range.RowTiles() ? MultiplyBytePanel<2, kFormat>(tiles, args, range, panel, tile, scratch)
                                       : MultiplyBytePanel<1, kFormat>(tiles, args, range, panel, tile, scratch);
  }
  return done;
}

/// The panels from n on, kPanelsPerCall at most. Bit i: panel i could not be computed.
template <Format kFormat, class Tiles>
[[gnu::noinline]] std::uint64_t MultiplyBytePanels(const ByteLinearArgs& args, const ByteTileRange& range, std::int64_t n) noexcept {
  ByteTileScratch scratch;
  if (!PackByteRows<kFormat>(args, range, scratch)) return ~std::uint64_t{0};
  std::uint64_t left = 0;
  Tiles tiles;
  for (std::int64_t i = 0; i < kPanelsPerCall && n + i * kPanel < args.row_end; ++i) {
    BytePanel panel;
    OpenPanel<kFormat>(args, n + i * kPanel, range, panel, scratch);
    const bool done = range.RowTiles() > kFewTiles<kFormat> ? MultiplyByteBlocks<kFormat>(tiles, args, range, panel, scratch)
                                                            : MultiplyByteSteps<kFormat>(tiles, args, range, panel, scratch);
    if (!done) left |= std::uint64_t{1} << i;
  }
  return left;
}

/// The outputs [n, end) of a range below.
inline void BelowTiles(const ByteLinearArgs& args, const ByteTileRange& range, std::int64_t n, std::int64_t end,
                       void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  ByteLinearArgs rest = args;
  rest.row_begin = n;
  rest.row_end = end < args.row_end ? end : args.row_end;
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

template <Format kFormat, class Tiles>
inline void ByteLinearOf(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  const std::int64_t steps = (args.weight.k + kStepColumns - 1) / kStepColumns;
  if (args.rows < kFewestByteRows || steps > kXSlots) return below(args);
  const std::int64_t blocks = kFormat == Format::kInt8 ? 1 : (steps + kBlockSteps - 1) / kBlockSteps;
  const std::int64_t fit = kXSlots / steps, most = (fit < kMostRowTiles ? fit : kMostRowTiles) * kSide;
  for (std::int64_t first = 0; first < args.rows; first += most) {
    const ByteTileRange range{first, args.rows - first < most ? args.rows - first : most, steps, blocks};
    if (range.rows < kFewestByteRows) return BelowTiles(args, range, args.row_begin, args.row_end, below);
    for (std::int64_t n = args.row_begin; n < args.row_end; n += kPanelsPerCall * kPanel) {
      std::uint64_t left = MultiplyBytePanels<kFormat, Tiles>(args, range, n);
      for (std::int64_t at = n; left != 0 && at < args.row_end; at += kPanel, left >>= 1) {
        if ((left & 1) != 0) BelowTiles(args, range, at, at + kPanel, below);
      }
    }
  }
}

/// Computes the call on tiles; what does not fit goes to `below`, whose bits are the same.
template <class Tiles>
inline void ByteLinearOnTiles(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  if (args.row_end <= args.row_begin || args.rows <= 0) return;
  switch (args.weight.format) {
    case Format::kFp4: return ByteLinearOf<Format::kFp4, Tiles>(args, below);
    case Format::kFp8: return ByteLinearOf<Format::kFp8, Tiles>(args, below);
    default: return ByteLinearOf<Format::kInt8, Tiles>(args, below);
  }
}

// Matrix times rows on tiles, where bf16 operands are exact: e4m3 activations with scales, or the bf16 activations of official arithmetic.
// Included inside an unnamed namespace after avx512/transpose.inl, wide/math.inl and amx/linear_decoders.inl. Tiles is HardwareTiles or EmulatedTiles.
//
// Order of every output, whatever the number of rows and the split of the matrix: a block of 128 columns is four dot instructions of 32 columns,
// in the order of the format's decoder, from zero; sum = fma(block, scale, sum) in ascending blocks.
//
// Thirty-two outputs times thirty-two rows are four tiles of sums. While the tiles multiply a block, the other instructions decode the next one and
// add the sums of the one before. x is brought into tiles once for all outputs of a call; a single row needs no more than to become bf16.

inline constexpr std::int64_t kXTiles = 512;                       // tiles of rows times steps: what is held of x
inline constexpr std::int64_t kRowTiles = 8;                       // of rows, that share a decoded block
inline constexpr std::int64_t kRangeColumns = kXTiles / 2 * kStep;  // of longer rows the sums wait in y meanwhile
inline constexpr std::int64_t kTileWords = kSide * kSide;

using TileOfSums = float[kSide][kSide];  // [output][row]; a single row's are in [0]: [output]

struct TileScratch {
  alignas(64) std::uint32_t x[kXTiles * kTileWords];  // [tile of rows][step][pair of columns][row]
  alignas(64) float x_scale[kXTiles / kBlockSteps][kSide];  // [tile of rows · blocks + block][row]
  WeightBlock weight[2];
  BlockScales scales[4];  // of four blocks in turn: while one is decoded, two are multiplied and added
  alignas(64) TileOfSums block[2][4];  // [turn][2 · tile of outputs + tile of rows]
  alignas(64) TileOfSums sum[kRowTiles][2];
  bool moderate_x;
};
static_assert(sizeof(TileScratch) + 48 * 1024 <= kStackBytes);

/// Rows and columns that are in the scratch.
struct LinearRange {
  std::int64_t first_row, rows, at, columns;
  std::int64_t Blocks() const noexcept { return (columns + kBlock - 1) / kBlock; }
  std::int64_t RowTiles() const noexcept { return (rows + kSide - 1) / kSide; }
};

/// Where thirty-two outputs lie beside their first one; the last one is repeated.
struct PanelRows {
  std::int64_t codes[kPanel];                     // bytes
  alignas(64) std::int32_t fp4_scales[kPanel];  // bytes
};
/// Thirty-two outputs from n on: where their codes and scales begin in the range.
struct LinearPanel {
  std::int64_t n;
  const PanelRows& rows;
  const std::byte* codes;
  const std::uint8_t* scales;  // kFp8: of the first output's 128 rows, kFp4: of the first output
};

/// The tiles of a block's weights: where those of both tiles of outputs begin.
struct WeightTiles {
  const std::byte* tile[2];
  std::ptrdiff_t step, stride;
};

template <Format kFormat>
using DecoderOf = std::conditional_t<kFormat == Format::kFp8, Fp8Decoder, std::conditional_t<kFormat == Format::kFp4, Fp4Decoder, Bf16Decoder>>;

[[gnu::always_inline]] inline int ExponentOf(float power_of_two) noexcept {
  const auto field = static_cast<int>(__builtin_bit_cast(std::uint32_t, power_of_two) >> 23 & 0xFFu);
  return field == 0 ? -127 : field - 127;
}
[[gnu::always_inline]] inline bool Moderate(int exponent) noexcept { return exponent >= -kModerateExponent && exponent <= kModerateExponent; }
[[gnu::always_inline]] inline int Bounded(int exponent) noexcept { return exponent > 126 ? 126 : exponent < -126 ? -126 : exponent; }
[[gnu::always_inline]] inline float PowerOfTwo(int exponent) noexcept { return __builtin_bit_cast(float, static_cast<std::uint32_t>(exponent + 127) << 23); }

[[gnu::always_inline]] inline Lanes LoadRest(const float* p, std::int64_t count) noexcept {
  return count >= kLanes ? Load(p) : count > 0 ? LoadPart(p, count) : Zero();
}

/// 128 columns of a row of x as bf16, in the decoder's order; zeros past `columns`.
template <class Decoder>
[[gnu::always_inline]] inline void LoadBlockOfX(const float* x, std::int64_t columns, __m512i (&line)[kBlockSteps]) noexcept {
#pragma GCC unroll 4
  for (std::int64_t step = 0; step < kBlockSteps; ++step) {
    const Lanes first = LoadRest(x + step * kStep, columns - step * kStep), second = LoadRest(x + step * kStep + kLanes, columns - step * kStep - kLanes);
    line[step] = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v));
  }
  Decoder::Arrange(line);
}

/// The rows of a tile in a block, and their scales.
template <class Decoder>
[[gnu::noinline]] void PackTileOfX(const LinearArgs& args, const LinearRange& range, std::int64_t tile, std::int64_t block, TileScratch& scratch) noexcept {
  alignas(64) std::uint32_t lines[kBlockSteps][kSide][kSide] = {};
  const std::int64_t at = range.at + block * kBlock, rows = range.rows - tile * kSide < kSide ? range.rows - tile * kSide : kSide;
  float* x_scale = scratch.x_scale[tile * range.Blocks() + block];
  Store(x_scale, Set1(1.0f));
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = range.first_row + tile * kSide + r, source = args.x_rows != nullptr ? args.x_rows[row] : row;
    __m512i line[kBlockSteps];
    LoadBlockOfX<Decoder>(args.x + source * args.x_stride + at, range.columns - block * kBlock, line);
    for (std::int64_t step = 0; step < kBlockSteps; ++step) _mm512_store_si512(lines[step][r], line[step]);
    if (args.x_scales == nullptr) continue;
    x_scale[r] = args.x_scales[source * args.scale_stride + at / kBlock];
    scratch.moderate_x &= Moderate(ExponentOf(x_scale[r]));
  }
  std::uint32_t* packed = scratch.x + (tile * range.Blocks() + block) * kBlockSteps * kTileWords;
  for (std::int64_t step = 0; step < kBlockSteps; ++step, packed += kTileWords) {
    __m512i words[kSide];
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kSide; ++i) words[i] = _mm512_load_si512(lines[step][i]);
    Transpose(words);
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kSide; ++i) _mm512_store_si512(packed + i * kSide, words[i]);
  }
}

/// Brings the range's x into the scratch, zeros beyond its rows and columns.
template <class Decoder, bool kSingle>
[[gnu::always_inline]] inline void PackX(const LinearArgs& args, const LinearRange& range, TileScratch& scratch) noexcept {
  scratch.moderate_x = true;
  if constexpr (!kSingle) {
    for (std::int64_t tile = 0; tile < range.RowTiles(); ++tile) {
      for (std::int64_t block = 0; block < range.Blocks(); ++block) PackTileOfX<Decoder>(args, range, tile, block, scratch);
    }
    return;
  }
  const std::int64_t source = args.x_rows != nullptr ? args.x_rows[range.first_row] : range.first_row;
  std::uint32_t* packed = scratch.x;
  for (std::int64_t block = 0; block < range.Blocks(); ++block) {
    const std::int64_t at = range.at + block * kBlock;
    __m512i line[kBlockSteps];
    LoadBlockOfX<Decoder>(args.x + source * args.x_stride + at, range.columns - block * kBlock, line);
    for (std::int64_t step = 0; step < kBlockSteps; ++step, packed += kSide) _mm512_store_si512(packed, line[step]);
    scratch.x_scale[block][0] = args.x_scales != nullptr ? args.x_scales[source * args.scale_stride + at / kBlock] : 1.0f;
    scratch.moderate_x &= Moderate(ExponentOf(scratch.x_scale[block][0]));
  }
}

/// Of panels with `outputs` of the matrix's outputs.
[[gnu::always_inline]] inline PanelRows RowsOfPanel(const Matrix& w, std::int64_t outputs) noexcept {
  PanelRows rows;
  const std::int64_t code_bytes = RowBytes(w.format, w.k), groups = (w.k + kStep - 1) / kStep;
  for (std::int64_t o = 0; o < kPanel; ++o) {
    const std::int64_t row = o < outputs ? o : outputs - 1;
    rows.codes[o] = row * code_bytes;
    rows.fp4_scales[o] = static_cast<std::int32_t>(row * groups);
  }
  return rows;
}

template <Format kFormat>
[[gnu::always_inline]] inline LinearPanel OpenPanel(const Matrix& w, const LinearRange& range, std::int64_t n, const PanelRows& rows) noexcept {
  const std::uint8_t* scales = nullptr;
  if constexpr (kFormat == Format::kFp8) scales = w.scales + n / kBlock * ((w.k + kBlock - 1) / kBlock) + range.at / kBlock;
  if constexpr (kFormat == Format::kFp4) scales = w.scales + n * ((w.k + kStep - 1) / kStep) + range.at / kStep;
  return {n, rows, w.data + n * RowBytes(kFormat, w.k) + RowBytes(kFormat, range.at), scales};
}

/// The scales of a panel's block.
template <Format kFormat>
[[gnu::always_inline]] inline void OpenBlock(const LinearArgs& args, const LinearPanel& panel, const LinearRange& range, std::int64_t block, TileScratch& scratch) noexcept {
  BlockScales& scales = scratch.scales[block % 4];
  if constexpr (kFormat == Format::kFp8) {
    // Outputs from `next` on have the scales of the next 128.
    const std::int64_t next = kBlock - panel.n % kBlock, more = panel.n + next < args.row_end ? (args.weight.k + kBlock - 1) / kBlock : 0;
    UseFp8Scales(panel.scales[block], panel.scales[block + more], next, scales);
  }
  if constexpr (kFormat == Format::kFp4) {
    const std::uint8_t* codes = panel.scales + block * kBlockSteps;
    if (block % (kLine / kBlockSteps) == 0) {
      const std::int64_t ahead = kPanel * ((args.weight.k + kStep - 1) / kStep);
      for (const std::int32_t row : panel.rows.fp4_scales) __builtin_prefetch(codes + ahead + row, 0, 2);
    }
    FoldFp4(codes, panel.rows.fp4_scales, (range.columns - block * kBlock + kStep - 1) / kStep, scales);
  }
}

struct NothingToDecode {
  [[gnu::always_inline]] void Decode(std::int64_t) const noexcept {}
};
/// Decodes a block of a panel, an output each time, where it is not read where it lies, and asks for the same of the panel to come.
template <Format kFormat>
struct BlockToDecode {
  const LinearPanel& panel;
  bool in_place;
  std::int64_t at, ahead;  // bytes
  BlockBytes there;
  const BlockScales& scales;
  WeightBlock& to;

  [[gnu::always_inline]] void Decode(std::int64_t o) const noexcept {
    const std::byte* codes = panel.codes + panel.rows.codes[o] + at;
    for (std::int64_t line = 0; line < RowBytes(kFormat, kBlock); line += kLine) __builtin_prefetch(codes + ahead + line, 0, 2);
    if (!in_place) DecoderOf<kFormat>::Decode(codes, there, o, scales, to);
  }
};

/// Sums 0 … 3 (two tiles of outputs by kTiles of rows) of one block; meanwhile decodes `next`. tile_words: from one tile of rows to the next.
template <int kTiles, bool kSingle, class Tiles, class Next>
[[gnu::always_inline]] inline void MultiplyBlock(Tiles& tiles, const WeightTiles& weight, const std::uint32_t* x, std::int64_t tile_words, const Next& next) noexcept {
  constexpr std::int64_t kShare = kPanel / (kBlockSteps * 2 * kTiles), kXWords = kSingle ? kSide : kTileWords;
  constexpr std::ptrdiff_t kXStride = kSingle ? 4 : kLine;
  std::int64_t o = 0;
  const auto decode = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < kShare; ++i) next.Decode(o++);
  };
  tiles.template Zero<0>();
  tiles.template Zero<2>();
  if constexpr (kTiles == 2) {
    tiles.template Zero<1>();
    tiles.template Zero<3>();
  }
  for (std::int64_t step = 0; step < kBlockSteps; ++step, x += kXWords) {
    tiles.template Load<4>(weight.tile[0] + step * weight.step, weight.stride);
    tiles.template Load<6>(x, kXStride);
    tiles.template DpBf16<0, 4, 6>();
    decode();
    if constexpr (kTiles == 2) {
      tiles.template Load<7>(x + tile_words, kXStride);
      tiles.template DpBf16<1, 4, 7>();
      decode();
    }
    tiles.template Load<5>(weight.tile[1] + step * weight.step, weight.stride);
    tiles.template DpBf16<2, 5, 6>();
    decode();
    if constexpr (kTiles == 2) {
      tiles.template DpBf16<3, 5, 7>();
      decode();
    }
  }
}
template <int kTiles, bool kSingle, class Tiles>
[[gnu::always_inline]] inline void StoreBlock(Tiles& tiles, TileOfSums (&block)[4]) noexcept {
  constexpr std::ptrdiff_t kStride = kSingle ? 4 : kLine;
  tiles.template Store<0>(block[0], kStride);
  tiles.template Store<2>(block[2], kStride);
  if constexpr (kTiles == 2) {
    tiles.template Store<1>(block[1], kStride);
    tiles.template Store<3>(block[3], kStride);
  }
}

/// sum = fma(block, 2^exponent · 2^x_exponent, sum), where the product of the two may be no number and the term one: in two steps, the second of
/// them with the rounding.
[[gnu::noinline]] inline void AddFarBlock(const float* block, const float* x_scale, int exponent, std::int64_t rows, float* sum) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    const int both = exponent + ExponentOf(x_scale[r]), last = Bounded(both);
    sum[r] = __builtin_fmaf(block[r] * PowerOfTwo(Bounded(both - last)), PowerOfTwo(last), sum[r]);
  }
}

/// Adds a block's sums of the tiles of rows from `tile` on.
template <int kTiles, bool kScaled>
[[gnu::always_inline]] inline void AddBlock(const LinearRange& range, std::int64_t tile, std::int64_t block, const TileOfSums (&found)[4], TileScratch& scratch) noexcept {
  const BlockScales& scales = scratch.scales[block % 4];
  const bool moderate = !kScaled || (scales.moderate && scratch.moderate_x);
  for (std::int64_t i = 0; i < 4; i += 3 - kTiles) {
    const float* x_scale = scratch.x_scale[(tile + i % 2) * range.Blocks() + block];
    TileOfSums& sum = scratch.sum[tile + i % 2][i / 2];
    const float* scale = scales.scale + i / 2 * kSide;
    const Lanes rows = Load(x_scale);
    if (moderate) {
#pragma GCC unroll 4
      for (std::int64_t o = 0; o < kSide; ++o) {
        const Lanes one = Load(found[i][o]);
        Store(sum[o], kScaled ? Fma(one, Mul(rows, Set1(scale[o])), Load(sum[o])) : Add(Load(sum[o]), one));
      }
      continue;
    }
    for (std::int64_t o = 0; o < kSide; ++o) AddFarBlock(found[i][o], x_scale, scales.exponent[i / 2 * kSide + o], kSide, sum[o]);
  }
}
/// The same of a single row.
template <bool kScaled>
[[gnu::always_inline]] inline void AddSingleBlock(std::int64_t block, const TileOfSums (&found)[4], TileScratch& scratch) noexcept {
  const BlockScales& scales = scratch.scales[block % 4];
  for (std::int64_t t = 0; t < 2; ++t) {
    float* sum = scratch.sum[0][t][0];
    const float* one = found[2 * t][0];
    if constexpr (!kScaled) {
      Store(sum, Add(Load(sum), Load(one)));
    } else if (scales.moderate && scratch.moderate_x) {
      Store(sum, Fma(Load(one), Mul(Set1(scratch.x_scale[block][0]), Load(scales.scale + t * kSide)), Load(sum)));
    } else {
      for (std::int64_t o = 0; o < kSide; ++o) AddFarBlock(one + o, scratch.x_scale[block], scales.exponent[t * kSide + o], 1, sum + o);
    }
  }
}

/// The range's sums of the panel: zeros, or what the ranges before left in y.
template <bool kSingle>
[[gnu::noinline]] void OpenSums(const LinearArgs& args, const LinearRange& range, std::int64_t n, TileScratch& scratch) noexcept {
  __builtin_memset(scratch.sum, 0, static_cast<std::size_t>(range.RowTiles()) * sizeof(scratch.sum[0]));
  if (range.at == 0) return;
  for (std::int64_t tile = 0; tile < range.RowTiles(); ++tile) {
    for (std::int64_t t = 0; t < 2; ++t) {
      const std::int64_t first = n + t * kSide, outputs = args.row_end - first, row = range.first_row + tile * kSide;
      if (outputs <= 0) continue;
      __m512i words[kSide];
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kSide; ++r) {
        const bool there = tile * kSide + r < range.rows;
        words[r] = Bits(there ? LoadRest(args.y + (row + r) * args.y_stride + first - args.row_begin, outputs) : Zero()).v;
      }
      if constexpr (!kSingle) Transpose(words);
#pragma GCC unroll 16
      for (std::int64_t i = 0; i < kSide; ++i) _mm512_store_si512(scratch.sum[tile][t][i], words[i]);
    }
  }
}

/// The panel's sums on to y, rounded where no columns are left.
template <bool kSingle>
[[gnu::noinline]] void WriteSums(const LinearArgs& args, const LinearRange& range, std::int64_t n, const TileScratch& scratch) noexcept {
  const Rounding rounding = range.at + range.columns >= args.weight.k ? args.rounding : Rounding::kNone;
  for (std::int64_t tile = 0; tile < range.RowTiles(); ++tile) {
    for (std::int64_t t = 0; t < 2; ++t) {
      const std::int64_t first = n + t * kSide, left = args.row_end - first, outputs = left < kSide ? left : kSide;
      if (outputs <= 0) continue;
      float* y = args.y + (range.first_row + tile * kSide) * args.y_stride + first - args.row_begin;
      if constexpr (kSingle) {
        StorePart(y, RoundAs(Load(scratch.sum[0][t][0]), rounding), outputs);
        continue;
      }
      __m512i words[kSide];
#pragma GCC unroll 16
      for (std::int64_t o = 0; o < kSide; ++o) words[o] = Bits(RoundAs(Load(scratch.sum[tile][t][o]), rounding)).v;
      Transpose(words);
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kSide; ++r) {
        if (tile * kSide + r < range.rows) StorePart(y + r * args.y_stride, FromBits({words[r]}), outputs);
      }
    }
  }
}

/// A panel's walk over the range: what is multiplied, and what waits to be added.
template <Format kFormat, bool kSingle, class Tiles>
struct PanelWalk {
  Tiles& tiles;
  const LinearArgs& args;
  const LinearRange& range;
  const LinearPanel& panel;
  TileScratch& scratch;
  std::int64_t turn = 0, waiting_tile = -1, waiting_block = 0;
  int waiting_tiles = 0;

  /// Whole bf16 tiles are read where they lie.
  [[gnu::always_inline]] bool InPlace(std::int64_t block) const noexcept {
    return kFormat == Format::kBf16 && (block + 1) * kBlock <= range.columns && panel.n + kPanel <= args.row_end;
  }
  [[gnu::always_inline]] WeightTiles Weights(std::int64_t block) const noexcept {
    if (InPlace(block)) {
      const std::int64_t at = 2 * block * kBlock;
      return {{panel.codes + at, panel.codes + panel.rows.codes[kSide] + at}, kLine, 2 * args.weight.k};
    }
    const auto* ring = reinterpret_cast<const std::byte*>(scratch.weight[block % 2].tile);
    return {{ring, ring + sizeof(scratch.weight[0].tile[0])}, kSide * kLine, kLine};
  }
  [[gnu::always_inline]] BlockToDecode<kFormat> ToDecode(std::int64_t block) const noexcept {
    return {panel,
            InPlace(block),
            RowBytes(kFormat, block * kBlock),
            kPanel * RowBytes(kFormat, args.weight.k),
            BlockBytes(RowBytes(kFormat, range.columns - block * kBlock)),
            scratch.scales[block % 4],
            scratch.weight[block % 2]};
  }
  [[gnu::always_inline]] void AddWaiting() noexcept {
    constexpr bool kScaled = DecoderOf<kFormat>::kScaled;
    if (waiting_tiles == 0) return;
    if constexpr (kSingle) {
      AddSingleBlock<kScaled>(waiting_block, scratch.block[1 - turn], scratch);
    } else if (waiting_tiles == 2) {
      AddBlock<2, kScaled>(range, waiting_tile, waiting_block, scratch.block[1 - turn], scratch);
    } else {
      AddBlock<1, kScaled>(range, waiting_tile, waiting_block, scratch.block[1 - turn], scratch);
    }
  }
  template <int kTiles, class Next>
  [[gnu::always_inline]] void Multiply(std::int64_t tile, std::int64_t block, const Next& next) noexcept {
    const std::int64_t tile_words = range.Blocks() * kBlockSteps * kTileWords;
    const std::uint32_t* x = scratch.x + tile * tile_words + block * kBlockSteps * (kSingle ? kSide : kTileWords);
    MultiplyBlock<kTiles, kSingle>(tiles, Weights(block), x, tile_words, next);
    AddWaiting();
    StoreBlock<kTiles, kSingle>(tiles, scratch.block[turn]);
    waiting_tile = tile;
    waiting_block = block;
    waiting_tiles = kTiles;
    turn = 1 - turn;
  }
  template <class Next>
  [[gnu::always_inline]] void MultiplyTiles(std::int64_t tile, std::int64_t block, const Next& next) noexcept {
    if constexpr (kSingle) {
      Multiply<1>(0, block, next);
    } else if (tile + 1 < range.RowTiles()) {
      Multiply<2>(tile, block, next);
    } else {
      Multiply<1>(tile, block, next);
    }
  }
  void Run() noexcept {
    OpenSums<kSingle>(args, range, panel.n, scratch);
    OpenBlock<kFormat>(args, panel, range, 0, scratch);
    for (std::int64_t o = 0; o < kPanel; ++o) ToDecode(0).Decode(o);
    for (std::int64_t block = 0; block < range.Blocks(); ++block) {
      if (block + 1 < range.Blocks()) {
        OpenBlock<kFormat>(args, panel, range, block + 1, scratch);
        MultiplyTiles(0, block, ToDecode(block + 1));
      } else {
        MultiplyTiles(0, block, NothingToDecode{});
      }
      for (std::int64_t tile = 2; tile < range.RowTiles(); tile += 2) MultiplyTiles(tile, block, NothingToDecode{});
    }
    AddWaiting();
    WriteSums<kSingle>(args, range, panel.n, scratch);
  }
};

template <Format kFormat, bool kSingle, class Tiles>
[[gnu::noinline]] void MultiplyOnTiles(const LinearArgs& args) noexcept {
  const std::int64_t k = args.weight.k, steps = ((k < kRangeColumns ? k : kRangeColumns) + kBlock - 1) / kBlock * kBlockSteps;
  const std::int64_t fit = kXTiles / steps, most = (fit < kRowTiles ? fit : kRowTiles) * kSide;
  const PanelRows whole = RowsOfPanel(args.weight, kPanel), last = RowsOfPanel(args.weight, (args.row_end - args.row_begin - 1) % kPanel + 1);
  TileScratch scratch;
  Tiles tiles(kSingle ? 1 : kSide);
  for (std::int64_t first = 0; first < args.rows; first += most) {
    for (std::int64_t at = 0; at < k; at += kRangeColumns) {
      const LinearRange range{first, args.rows - first < most ? args.rows - first : most, at, k - at < kRangeColumns ? k - at : kRangeColumns};
      PackX<DecoderOf<kFormat>, kSingle>(args, range, scratch);
      for (std::int64_t n = args.row_begin; n < args.row_end; n += kPanel) {
        const LinearPanel panel = OpenPanel<kFormat>(args.weight, range, n, n + kPanel <= args.row_end ? whole : last);
        PanelWalk<kFormat, kSingle, Tiles>{tiles, args, range, panel, scratch}.Run();
      }
    }
  }
}

/// Whether tiles compute this one: operands exact in bf16, so that only the order of the sums is this file's own.
[[gnu::always_inline]] inline bool FitsTiles(const LinearArgs& args) noexcept {
  if (args.x_scales != nullptr) return args.weight.format == Format::kFp8 || args.weight.format == Format::kFp4;
  return args.rounding == Rounding::kBf16 && (args.weight.format == Format::kFp8 || args.weight.format == Format::kBf16);
}

template <Format kFormat, class Tiles>
[[gnu::always_inline]] inline void LinearOf(const LinearArgs& args) noexcept {
  return args.rows == 1 ? MultiplyOnTiles<kFormat, true, Tiles>(args) : MultiplyOnTiles<kFormat, false, Tiles>(args);
}

/// Requires FitsTiles(args).
template <class Tiles>
inline void LinearOnTiles(const LinearArgs& args) noexcept {
  if (args.row_end <= args.row_begin || args.rows <= 0) return;
  switch (args.weight.format) {
    case Format::kFp8: return LinearOf<Format::kFp8, Tiles>(args);
    case Format::kFp4: return LinearOf<Format::kFp4, Tiles>(args);
    case Format::kBf16: return LinearOf<Format::kBf16, Tiles>(args);
    case Format::kF32:
    case Format::kInt8: return;
  }
}

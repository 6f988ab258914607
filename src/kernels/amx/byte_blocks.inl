// Bytes on tiles for many rows: a block of kByteGroup columns of thirty-two outputs is decoded, then multiplied with every tile of rows that x is held
// of. Included inside an unnamed namespace after amx/byte_panel.inl; the bits are the same.

/// Tiles of rows, at most, that are multiplied faster beside the decoding. kFp8 takes longer to decode.
template <Format kFormat>
inline constexpr std::int64_t kFewTiles = kFormat == Format::kFp8 ? 2 : 4;

/// The steps [begin, end) of a panel on to scratch.weight[pass], and asks for the same of the panel to come.
template <Format kFormat, bool kAll>
[[gnu::noinline]] void DecodeBlock(const ByteLinearArgs& args, const ByteTileRange& range, const BytePanel& panel, std::int64_t begin, std::int64_t end, int pass,
                                   ByteTileScratch& scratch) noexcept {
  const std::int64_t bytes = RowBytes(kFormat, kStepColumns), ahead = kPanel * RowBytes(kFormat, args.weight.k);
  const __m512i table = _mm512_load_si512(kShiftedE2m1<0>.byte), nibble = _mm512_set1_epi8(0x0F), quarters = Quarters();
  for (std::int64_t step = begin; step < end; ++step) {
    const bool last = step + 1 == range.steps;
    const std::byte* const* codes = last ? panel.rest : panel.codes;
    const std::int64_t at = last ? 0 : step * bytes;
    const auto* shift = reinterpret_cast<const std::uint8_t(*)[kBlockGroups]>(scratch.shift[begin / kBlockSteps % 2][0] + (step - begin) * kStepGroups);
    ByteTile(*to)[2] = scratch.weight[pass][step - begin];
    const auto decode = [&](const auto& decoder) __attribute__((always_inline)) {
      for (std::int64_t o = 0; o < kPanel; ++o) decoder.Decode(o);
    };
    if constexpr (kFormat == Format::kFp4) decode(Fp4Step<kAll>{codes, at, ahead, to, shift, table, nibble, quarters});
    if constexpr (kFormat == Format::kFp8) decode(Fp8Step{codes, at, ahead, to, shift});
    if constexpr (kFormat == Format::kInt8) decode(Int8Step{codes, at, ahead, to});
  }
}

/// Folds and decodes the panel's block [begin, end) of steps; how many passes it takes, 0: it cannot be folded.
template <Format kFormat>
[[gnu::always_inline]] inline int OpenBlock(const ByteLinearArgs& args, const ByteTileRange& range, const BytePanel& panel, std::int64_t begin, std::int64_t end,
                                            ByteTileScratch& scratch) noexcept {
  const std::int64_t block = begin / kBlockSteps;
  int passes = 1;
  if constexpr (kFormat != Format::kInt8) passes = FoldBlock<kFormat>(args, panel, block, 0, scratch);
  if (passes == 1) DecodeBlock<kFormat, true>(args, range, panel, begin, end, 0, scratch);
  for (int pass = 0; passes > 1 && pass < passes; ++pass) {
    if (pass > 0) FoldBlock<kFormat>(args, panel, block, pass, scratch);
    DecodeBlock<kFormat, false>(args, range, panel, begin, end, pass, scratch);
  }
  return passes;
}

/// found = `steps` of weight times x, two tiles of outputs by kRowTiles of rows. tile_slots: from one tile of rows to the next.
template <int kRowTiles, class Tiles>
[[gnu::always_inline]] inline void MultiplySteps(Tiles& tiles, const ByteTile (*weight)[kStepTiles][2], const ByteTile (*x)[kStepTiles], std::int64_t tile_slots,
                                                 std::int64_t steps, TileOfInts (&found)[4]) noexcept {
  ZeroSums<kRowTiles>(tiles);
  for (std::int64_t step = 0; step < steps; ++step) {
    MultiplyStep<kRowTiles>(tiles, weight[step], x[step], tile_slots, NothingMore{});
  }
  StoreSums<kRowTiles>(tiles, found);
}

/// sum = fma(found, x scale · weight scale, sum); kInt8: whole += found.
template <int kRowTiles, Format kFormat>
[[gnu::always_inline]] inline void AddFound(const ByteTileRange& range, std::int64_t tile, std::int64_t block, ByteTileScratch& scratch) noexcept {
  for (std::int64_t i = 0; i < 4; i += 3 - kRowTiles) {
    const std::int64_t rows = tile + i % 2, outputs = i / 2;
    const Lanes x_scale = Load(scratch.x_scale[rows * range.blocks + (kFormat == Format::kInt8 ? 0 : block)]);
#pragma GCC unroll 4
    for (std::int64_t o = 0; o < kSide; ++o) {
      const Ints found = LoadInts(scratch.block[i][o]);
      if constexpr (kFormat == Format::kInt8) {
        std::int32_t* whole = scratch.wholes[rows][outputs][o];
        _mm512_store_si512(whole, block == 0 ? found.v : AddInts(LoadInts(whole), found).v);
      } else {
        float* sum = scratch.sums[rows][outputs][o];
        const Lanes scale = Mul(x_scale, Set1(scratch.weight_scale[block % 2][outputs * kSide + o])), product = {_mm512_cvtepi32_ps(found.v)};
        Store(sum, Fma(product, scale, block == 0 ? Zero() : Load(sum)));
      }
    }
  }
}

/// A decoded block times the rows of kRowTiles tiles from `tile` on.
template <int kRowTiles, Format kFormat, class Tiles>
[[gnu::noinline]] void MultiplyByteBlock(Tiles& tiles, const ByteTileRange& range, std::int64_t tile, std::int64_t begin, std::int64_t end, int passes,
                                         ByteTileScratch& scratch) noexcept {
  const ByteTile(*x)[kStepTiles] = scratch.x + tile * range.steps + begin;
  MultiplySteps<kRowTiles>(tiles, scratch.weight[0], x, range.steps, end - begin, scratch.block);
  for (int pass = 1; pass < passes; ++pass) {
    MultiplySteps<kRowTiles>(tiles, scratch.weight[pass], x, range.steps, end - begin, scratch.pass);
    AddPass<kRowTiles>(pass, scratch);
  }
  AddFound<kRowTiles, kFormat>(range, tile, begin / kBlockSteps, scratch);
}

/// The panel's outputs of all rows of the range. False where a block cannot be folded.
template <Format kFormat, class Tiles>
[[gnu::noinline]] bool MultiplyByteBlocks(Tiles& tiles, const ByteLinearArgs& args, const ByteTileRange& range, const BytePanel& panel,
                                          ByteTileScratch& scratch) noexcept {
  for (std::int64_t begin = 0; begin < range.steps; begin += kBlockSteps) {
    const std::int64_t end = range.steps - begin < kBlockSteps ? range.steps : begin + kBlockSteps;
    const int passes = OpenBlock<kFormat>(args, range, panel, begin, end, scratch);
    if (passes == 0) return false;
    for (std::int64_t tile = 0; tile < range.RowTiles(); tile += 2) {
      if (tile + 1 < range.RowTiles()) {
        MultiplyByteBlock<2, kFormat>(tiles, range, tile, begin, end, passes, scratch);
      } else {
        MultiplyByteBlock<1, kFormat>(tiles, range, tile, begin, end, passes, scratch);
      }
    }
  }
  for (std::int64_t tile = 0; tile < range.RowTiles(); ++tile) {
    for (std::int64_t t = 0; t < 2; ++t) {
      WriteByteTile<kFormat>(args, range, panel.n + t * kSide, tile, scratch.sums[tile][t], scratch.wholes[tile][t], scratch.x_scale[tile]);
    }
  }
  return true;
}

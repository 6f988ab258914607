// Matrix times rows on tiles, where bf16 operands are exact: e4m3 activations with scales, or the bf16 activations of official arithmetic.
// Included inside an unnamed namespace after avx512/lanes.inl, avx512/transpose.inl and wide/math.inl. Tiles is HardwareTiles or EmulatedTiles.
//
// Order of every output, whatever the number of rows and the split of the matrix: a block of 128 columns is four dot instructions of 32
// columns from zero; sum = fma(block, scale, sum) in ascending blocks. Rows are padded to sixteen, so one row takes the path of many.

inline constexpr std::int64_t kBlock = 128, kStep = 32, kTileSide = 16;
inline constexpr std::int64_t kTileRows = 64, kTileOutputs = 128;  // activations and outputs that share one pass over the columns
inline constexpr int kModerateExponent = 50;

struct TileScratch {
  alignas(64) std::uint32_t x[kTileRows / kTileSide][kBlock / kStep][kTileSide][kTileSide];  // [tile][step][pair of columns][row]
  alignas(64) std::uint16_t weight[kTileSide][kBlock];
  alignas(64) float block[2][kTileSide][kTileSide];
  alignas(64) float sum[kTileOutputs][kTileRows];
  alignas(64) float x_scale[kTileRows];
  int exponent[kTileSide];  // what a weight row's block must still be multiplied with, as a power of two
  bool moderate_x, moderate_weight;
};

[[gnu::always_inline]] inline int ExponentOf(float power_of_two) noexcept {
  const auto field = static_cast<int>(__builtin_bit_cast(std::uint32_t, power_of_two) >> 23 & 0xFFu);
  return field == 0 ? -127 : field - 127;
}
[[gnu::always_inline]] inline bool Moderate(int exponent) noexcept { return exponent >= -kModerateExponent && exponent <= kModerateExponent; }
[[gnu::always_inline]] inline int Bounded(int exponent) noexcept { return exponent > 126 ? 126 : exponent < -126 ? -126 : exponent; }
[[gnu::always_inline]] inline float PowerOfTwo(int exponent) noexcept { return __builtin_bit_cast(float, static_cast<std::uint32_t>(exponent + 127) << 23); }

// How a row of weights becomes bf16: Decode writes 32 from 32 codes; Bytes is the length of `columns` codes; Exponent is the power of two
// of the block that starts at `at`.

struct Bf16Tile {
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return 2 * columns; }
  [[gnu::always_inline]] static int Exponent(const std::uint8_t*, std::int64_t, std::int64_t) noexcept { return 0; }
  [[gnu::always_inline]] static __m512i Decode(const std::byte* codes, int) noexcept { return _mm512_loadu_si512(codes); }
  [[gnu::always_inline]] static int Relative(const std::uint8_t*, std::int64_t, int) noexcept { return 0; }
};

struct Fp8Tile {
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return columns; }
  [[gnu::always_inline]] static int Exponent(const std::uint8_t* scales, std::int64_t at, std::int64_t) noexcept { return scales[at / kBlock] - 127; }
  [[gnu::always_inline]] static int Relative(const std::uint8_t*, std::int64_t, int) noexcept { return 0; }
  [[gnu::always_inline]] static __m512i Decode(const std::byte* codes, int) noexcept {
    const __m512i code = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
    const __m512i shifted = _mm512_and_si512(_mm512_slli_epi16(code, 4), _mm512_set1_epi16(0x07F0));
    const __m512i normal = _mm512_add_epi16(shifted, _mm512_set1_epi16(120 << 7));
    // The subnormals 0 … 7 times 2^-9 by a table: their exponent bits are zero, so the code's low bits are the index.
    const __m512i subnormals = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 0x3B00, 0x3B80, 0x3BC0, 0x3C00, 0x3C20, 0x3C40, 0x3C60));
    const __mmask32 small = _mm512_testn_epi16_mask(code, _mm512_set1_epi16(0x78));
    const __m512i magnitude = _mm512_mask_permutexvar_epi16(normal, small, code, subnormals);
    return _mm512_or_si512(magnitude, _mm512_and_si512(code, _mm512_set1_epi16(static_cast<short>(0x8000))));
  }
};

/// Groups of a block are scaled relative to the middle of their exponents, exactly in bf16.
struct Fp4Tile {
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return columns / 2; }
  [[gnu::always_inline]] static int Exponent(const std::uint8_t* scales, std::int64_t at, std::int64_t columns) noexcept {
    int lowest = 255, highest = 0;
    for (std::int64_t i = at; i < at + columns; i += kStep) {
      const int code = scales[i / kStep];
      lowest = code < lowest ? code : lowest;
      highest = code > highest ? code : highest;
    }
    return (lowest + highest) / 2 - 127;
  }
  [[gnu::always_inline]] static int Relative(const std::uint8_t* scales, std::int64_t at, int middle) noexcept { return scales[at / kStep] - 127 - middle; }
  [[gnu::always_inline]] static __m512i Decode(const std::byte* codes, int relative) noexcept {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)), nibble = _mm_set1_epi8(15);
    const __m128i low = _mm_and_si128(packed, nibble), high = _mm_and_si128(_mm_srli_epi16(packed, 4), nibble);
    const __m256i order = _mm256_set_m128i(_mm_unpackhi_epi8(low, high), _mm_unpacklo_epi8(low, high));
    const __m256i values = _mm256_setr_epi16(0, 0x3F00, 0x3F80, 0x3FC0, 0x4000, 0x4040, 0x4080, 0x40C0, static_cast<short>(0x8000), static_cast<short>(0xBF00),
                                             static_cast<short>(0xBF80), static_cast<short>(0xBFC0), static_cast<short>(0xC000), static_cast<short>(0xC040),
                                             static_cast<short>(0xC080), static_cast<short>(0xC0C0));
    const __m512i value = _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(order), _mm512_broadcast_i64x4(values));
    const __mmask32 nonzero = _mm512_test_epi16_mask(value, _mm512_set1_epi16(0x7FFF));
    return _mm512_mask_add_epi16(value, nonzero, value, _mm512_set1_epi16(static_cast<short>(relative * 128)));
  }
};

/// scratch.weight = bf16 of sixteen matrix rows from n (the last one repeated past row_end) in the block at `at`, zeros past the row.
template <class Tile>
[[gnu::always_inline]] inline void DecodeTile(const LinearArgs& args, std::int64_t n, std::int64_t at, std::int64_t columns, TileScratch& scratch) noexcept {
  const Matrix& w = args.weight;
  scratch.moderate_weight = true;
  for (std::int64_t o = 0; o < kTileSide; ++o) {
    const std::int64_t row = n + o < args.row_end ? n + o : args.row_end - 1;
    const std::byte* codes = w.data + row * RowBytes(w.format, w.k) + Tile::Bytes(at);
    const std::uint8_t* scales = w.scales == nullptr       ? nullptr
                                 : w.format == Format::kFp8 ? w.scales + row / 128 * ((w.k + 127) / 128)
                                                            : w.scales + row * ((w.k + 31) / 32);
    for (std::int64_t line = 0; line < Tile::Bytes(kBlock); line += 64) __builtin_prefetch(codes + line + 1024);
    scratch.exponent[o] = Tile::Exponent(scales, at, columns);
    scratch.moderate_weight &= Moderate(scratch.exponent[o]);
    for (std::int64_t i = 0; i < kBlock; i += kStep) {
      __m512i weight = _mm512_setzero_si512();
      if (i + kStep <= columns) {
        weight = Tile::Decode(codes + Tile::Bytes(i), Bounded(Tile::Relative(scales, at + i, scratch.exponent[o])));
      } else if (i < columns) {
        alignas(64) std::byte part[64] = {};
        __builtin_memcpy(part, codes + Tile::Bytes(i), static_cast<std::size_t>(Tile::Bytes(columns - i)));
        weight = Tile::Decode(part, Bounded(Tile::Relative(scales, at + i, scratch.exponent[o])));
      }
      _mm512_store_si512(scratch.weight[o] + i, weight);
    }
  }
}

/// The high halves of 32 numbers that are rounded to bf16, in order.
[[gnu::always_inline]] inline __m512i PackBf16(Lanes a, Lanes b) noexcept {
  const __m256i low = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(a.v), 16));
  const __m256i high = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(b.v), 16));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
[[gnu::always_inline]] inline Lanes LoadRest(const float* p, std::int64_t count) noexcept {
  return count >= kLanes ? Load(p) : count > 0 ? LoadPart(p, count) : Zero();
}

/// scratch.x and x_scale of `rows` rows from `first` in the block at `at`. e4m3 values and official activations are bf16 already.
inline void PackRows(const LinearArgs& args, std::int64_t first, std::int64_t rows, std::int64_t at, std::int64_t columns, TileScratch& scratch) noexcept {
  scratch.moderate_x = true;
  for (std::int64_t tile = 0; tile * kTileSide < rows; ++tile) {
    const float* x[kTileSide];
    for (std::int64_t r = 0; r < kTileSide; ++r) {
      const std::int64_t wanted = tile * kTileSide + r, row = first + (wanted < rows ? wanted : rows - 1);
      const std::int64_t source = args.x_rows != nullptr ? args.x_rows[row] : row;
      x[r] = args.x + source * args.x_stride + at;
      const float scale = args.x_scales != nullptr ? args.x_scales[source * args.scale_stride + at / kBlock] : 1.0f;
      scratch.x_scale[wanted] = scale;
      scratch.moderate_x &= Moderate(ExponentOf(scale));
    }
    for (std::int64_t step = 0; step < kBlock / kStep; ++step) {
      const std::int64_t i = step * kStep;
      __m512i pairs[kTileSide];
      for (std::int64_t r = 0; r < kTileSide; ++r) {
        pairs[r] = PackBf16(RoundBf16(LoadRest(x[r] + i, columns - i)), RoundBf16(LoadRest(x[r] + i + kLanes, columns - i - kLanes)));
      }
      Transpose(pairs);
      for (std::int64_t p = 0; p < kTileSide; ++p) _mm512_store_si512(scratch.x[tile][step][p], pairs[p]);
    }
  }
}

/// sum[first + o][rows of the tile] += block[o]·scale, one rounding.
[[gnu::always_inline]] inline void AddBlock(const float (&block)[kTileSide][kTileSide], std::int64_t first, std::int64_t tile, TileScratch& scratch) noexcept {
  const Lanes x_scale = Load(scratch.x_scale + tile * kTileSide);
  const bool moderate = scratch.moderate_x && scratch.moderate_weight;
  for (std::int64_t o = 0; o < kTileSide; ++o) {
    float* sum = scratch.sum[first + o] + tile * kTileSide;
    if (moderate) {
      Store(sum, Fma(Load(block[o]), Mul(x_scale, Set1(PowerOfTwo(scratch.exponent[o]))), Load(sum)));
      continue;
    }
    // The product of the scales may be no number where the term is one: two steps, the second of them with the rounding.
    for (std::int64_t r = 0; r < kTileSide; ++r) {
      const int exponent = scratch.exponent[o] + ExponentOf(scratch.x_scale[tile * kTileSide + r]), last = Bounded(exponent);
      sum[r] = __builtin_fmaf(block[o][r] * PowerOfTwo(Bounded(exponent - last)), PowerOfTwo(last), sum[r]);
    }
  }
}

/// The sixteen outputs from `first` of the scratch's weights with all its rows.
template <class Tiles>
[[gnu::always_inline]] inline void MultiplyTile(Tiles& tiles, std::int64_t first, std::int64_t rows, TileScratch& scratch) noexcept {
  constexpr std::ptrdiff_t kWeightStride = sizeof(scratch.weight[0]), kXStride = sizeof(scratch.x[0][0][0]), kSumStride = sizeof(scratch.block[0][0]);
  tiles.template Load<4>(scratch.weight[0], kWeightStride);
  tiles.template Load<5>(scratch.weight[0] + kStep, kWeightStride);
  tiles.template Load<6>(scratch.weight[0] + 2 * kStep, kWeightStride);
  tiles.template Load<7>(scratch.weight[0] + 3 * kStep, kWeightStride);
  for (std::int64_t tile = 0; tile * kTileSide < rows; tile += 2) {
    const bool two = (tile + 1) * kTileSide < rows;
    const auto step = [&]<int kA>(std::int64_t s) __attribute__((always_inline)) {
      tiles.template Load<2>(scratch.x[tile][s], kXStride);
      tiles.template DpBf16<0, kA, 2>();
      if (!two) return;
      tiles.template Load<3>(scratch.x[tile + 1][s], kXStride);
      tiles.template DpBf16<1, kA, 3>();
    };
    tiles.template Zero<0>();
    tiles.template Zero<1>();
    step.template operator()<4>(0);
    step.template operator()<5>(1);
    step.template operator()<6>(2);
    step.template operator()<7>(3);
    tiles.template Store<0>(scratch.block[0], kSumStride);
    AddBlock(scratch.block[0], first, tile, scratch);
    if (two) {
      tiles.template Store<1>(scratch.block[1], kSumStride);
      AddBlock(scratch.block[1], first, tile + 1, scratch);
    }
  }
}

template <class Tiles, class Tile>
inline void MultiplyOnTiles(Tiles& tiles, const LinearArgs& args, TileScratch& scratch) noexcept {
  const std::int64_t k = args.weight.k;
  for (std::int64_t first = 0; first < args.rows; first += kTileRows) {
    const std::int64_t rows = args.rows - first < kTileRows ? args.rows - first : kTileRows;
    for (std::int64_t n = args.row_begin; n < args.row_end; n += kTileOutputs) {
      const std::int64_t outputs = args.row_end - n < kTileOutputs ? args.row_end - n : kTileOutputs;
      __builtin_memset(scratch.sum, 0, sizeof(scratch.sum));
      for (std::int64_t at = 0; at < k; at += kBlock) {
        const std::int64_t columns = k - at < kBlock ? k - at : kBlock;
        PackRows(args, first, rows, at, columns, scratch);
        for (std::int64_t o = 0; o < outputs; o += kTileSide) {
          DecodeTile<Tile>(args, n + o, at, columns, scratch);
          MultiplyTile(tiles, o, rows, scratch);
        }
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        float* y = args.y + (first + r) * args.y_stride + n - args.row_begin;
        for (std::int64_t o = 0; o < outputs; ++o) y[o] = RoundOne(scratch.sum[o][r], args.rounding);
      }
    }
  }
}

/// Whether tiles compute this one: operands exact in bf16, so that only the order of the sums is this file's own.
[[gnu::always_inline]] inline bool FitsTiles(const LinearArgs& args) noexcept {
  if (args.x_scales != nullptr) return args.weight.format == Format::kFp8 || args.weight.format == Format::kFp4;
  return args.rounding == Rounding::kBf16 && (args.weight.format == Format::kFp8 || args.weight.format == Format::kBf16);
}

/// Requires FitsTiles(args).
template <class Tiles>
inline void LinearOnTiles(const LinearArgs& args) noexcept {
  if (args.row_end <= args.row_begin || args.rows <= 0) return;
  TileScratch scratch;
  Tiles tiles;
  switch (args.weight.format) {
    case Format::kFp8: return MultiplyOnTiles<Tiles, Fp8Tile>(tiles, args, scratch);
    case Format::kFp4: return MultiplyOnTiles<Tiles, Fp4Tile>(tiles, args, scratch);
    case Format::kBf16: return MultiplyOnTiles<Tiles, Bf16Tile>(tiles, args, scratch);
    case Format::kF32:
    case Format::kInt8: return;
  }
}

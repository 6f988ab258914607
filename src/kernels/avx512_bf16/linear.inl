// Rows on the dot instruction of bf16 pairs, where both operands are exact in bf16. Included inside an unnamed namespace after
// pairs.inl.
//
// The bits are those of wide/linear.inl. The instruction adds the product of a lane's high halves and then that of its low halves, each by one
// FMA; the halves hold the columns in the order in which that file takes them. It reads and writes denormals as zero, so operands must keep
// every sum away from them: e4m3 codes with moderate scales do, and other numbers are looked at (kSmallest, kLargest). Where they do not fit,
// the call is left to the kernel below.

inline constexpr int kDotOutputs = 4, kDotRows = 4;  // of one register block: sixteen sums
// Of rows longer than kPackColumns, x is packed once for kSumOutputs, whose sums are kept meanwhile: with 32 of them that took a fifth of the time.
inline constexpr std::int64_t kPackRows = 32, kPackColumns = 1024, kSumOutputs = 128;
inline constexpr std::int64_t kFewColumns = kPackRows * kPackColumns / kDotRows;  // of so few rows as one tile holds

// Sums are kept relative to the scales of a row's first block, which multiply what is left of them at the end: all are powers of two. So far
// apart may scales be that sums of 2^9 blocks stay normal numbers.
inline constexpr int kScaleSpan = 40;

// Vectors of a tile's rows, and of the outputs that meet them, lie side by side: vector 0 of each, then vector 1 of each, so that a register
// block reads both from one end to the other.
struct DotScratch {
  alignas(64) std::uint32_t x[kPackRows * kPackColumns / 2];
  alignas(64) float first_scale[kPackRows + kLanes];                   // of each row's x, in its first block
  alignas(64) float relative_scale[kFewColumns / kBlock][kPackRows];  // of each block and row, to the first block's
  alignas(64) float block_scale[kFewColumns / kBlock][kPackRows];     // the same, times the weights' scale, where that stands at the block
  alignas(64) std::uint32_t weight[kDotOutputs * kPackColumns / 2];
  alignas(64) float sum[kSumOutputs / kDotOutputs][kPackRows][kDotOutputs][kLanes];  // between the column ranges of a long row
};

static_assert(sizeof(DotScratch) + 48 * 1024 <= kStackBytes);

/// The columns [at, at + columns) of a row group: what one filling of the scratch holds.
struct DotRange {
  std::int64_t first_row, rows, at, columns;
  std::int64_t Stride() const noexcept { return (columns + kStep - 1) / kStep * (kStep / 2); }  // words of a packed row
};

/// scratch.x = the range's x as pairs. False where a number is not exact in bf16 or too far from one.
template <class Row>
[[gnu::always_inline]] inline bool PackX(const LinearArgs& args, const DotRange& range, DotScratch& scratch) noexcept {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF), one = _mm512_set1_epi32(1);
  __m512i bits = _mm512_setzero_si512(), largest = bits, least = _mm512_set1_epi32(-1);  // least: less one, so that zeros are out of the way
  for (std::int64_t r = 0; r < range.rows; ++r) {
    const float* x = XRow(args, range.first_row + r) + range.at;
    const std::int64_t tile = r / kDotRows * kDotRows, beside = range.rows - tile < kDotRows ? range.rows - tile : kDotRows;
    std::uint32_t* packed = scratch.x + tile * range.Stride() + (r - tile) * kLanes;
    for (std::int64_t i = 0; i < 2 * range.Stride(); i += kPair, packed += beside * kLanes) {
      Lanes xs[2];
      LoadX<Row>(x + i, range.columns - i, xs);
      if (args.x_scales == nullptr) {
        for (const Lanes& part : xs) {
          const __m512i m = _mm512_and_si512(Bits(part).v, magnitude);
          bits = _mm512_or_si512(bits, m);
          largest = _mm512_max_epu32(largest, m);
          least = _mm512_min_epu32(least, _mm512_sub_epi32(m, one));
        }
      }
      StoreInts(packed, PackPairs(xs[0], xs[1]));
    }
  }
  const auto far = _mm512_cmpgt_epu32_mask(largest, _mm512_castps_si512(_mm512_set1_ps(kLargest))) |
                   _mm512_cmplt_epu32_mask(least, _mm512_sub_epi32(_mm512_castps_si512(_mm512_set1_ps(kSmallest)), one));
  return far == 0 && _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0xFFFF)) == 0;
}

/// The range's scales of x, as the sums take them.
[[gnu::always_inline]] inline void PackScales(const LinearArgs& args, const DotRange& range, DotScratch& scratch) noexcept {
  for (std::int64_t r = 0; r < range.rows; ++r) {
    const float* scales = XScales(args, range.first_row + r);
    const float first = scales == nullptr ? 1.0f : scales[0];
    scratch.first_scale[r] = first;
    const float inverse = PowerOfTwo(static_cast<std::uint8_t>(127 - ExponentOf(first)));
    for (std::int64_t block = 0; block * kBlock < range.columns; ++block) {
      scratch.relative_scale[block][r] = scales == nullptr ? 1.0f : scales[range.at / kBlock + block] * inverse;
    }
  }
}

/// scratch.block_scale for outputs that share the weight scales w_scales.
[[gnu::always_inline]] inline void ScaleBlocks(const DotRange& range, const std::uint8_t* w_scales, DotScratch& scratch) noexcept {
  for (std::int64_t block = 0; block * kBlock < range.columns; ++block) {
    const float w_scale = PowerOfTwo(static_cast<std::uint8_t>(127 + w_scales[range.at / kBlock + block] - w_scales[0]));
    for (std::int64_t r = 0; r < range.rows; r += kLanes) {
      Store(scratch.block_scale[block] + r, Mul(Load(scratch.relative_scale[block] + r), Set1(w_scale)));
    }
  }
}

/// Where the weights of kOutputs outputs are: the matrix rows [n, n + outputs), the last one repeated. They are decoded for one tile of rows
/// where there is no other, else read from the scratch. kWhole: the range has whole blocks only.
template <class Row, bool kWhole, int kOutputs>
struct CodedWeights {
  static constexpr bool kBlocks = kWhole && Row::kScale == ScalePlace::kAtWeight;
  const std::byte* w[kOutputs];
  const std::uint8_t* scales[kOutputs];
  std::int64_t at, columns, ahead;
  Ints* least;

  [[gnu::always_inline]] CodedWeights(const LinearArgs& args, std::int64_t n, std::int64_t outputs, const DotRange& range, Ints* least_weight) noexcept
      : at(range.at), columns(range.columns), ahead(RowBytes(args.weight.format, args.weight.k)), least(least_weight) {
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      const std::int64_t row = n + (o < outputs ? o : outputs - 1);
      w[o] = WeightRow(args.weight, row);
      scales[o] = WeightScales(args.weight, row);
    }
  }
  [[gnu::always_inline]] void Load(int o, std::int64_t word, Ints (&out)[2]) const noexcept {
    if constexpr (kWhole) {
      const std::byte* next = w[o] + kOutputs * ahead + Row::Bytes(at + 2 * word);
      for (std::int64_t line = 0; line < Row::Bytes(kStep); line += 64) __builtin_prefetch(next + line, 0, 2);
    }
    PackWeights<Row, kWhole>(w[o], scales[o], at + 2 * word, columns - 2 * word, *least, out);
  }
  [[gnu::always_inline]] void LoadBlock(int o, std::int64_t word, Ints (&out)[4]) const noexcept {
    const std::int64_t column = at + 2 * word;
    __builtin_prefetch(w[o] + kOutputs * ahead + Row::Bytes(column), 0, 2);  // of the next outputs, which the first cache has no room for
    PackE2m1Block(w[o] + Row::Bytes(column), scales[o] + column / kWeightGroup, out);
  }
};
struct PackedWeights {
  static constexpr bool kBlocks = false;
  const std::uint32_t* w;

  [[gnu::always_inline]] void Load(int o, std::int64_t word, Ints (&out)[2]) const noexcept {
    out[0] = LoadInts(w + kDotOutputs * word + o * kLanes);
    out[1] = LoadInts(w + kDotOutputs * word + (kDotOutputs + o) * kLanes);
  }
};

template <class Weights>
inline constexpr bool kPacked = std::is_same_v<Weights, PackedWeights>;

/// sum[r][o] += x[r]·w[first + o] over the words [begin, end) of a tile's packed rows.
template <int kRows, int kOut, class Weights>
[[gnu::always_inline]] inline void DotWords(const Weights& weights, int first, const std::uint32_t* x, std::int64_t begin, std::int64_t end,
                                            Lanes (&sum)[kRows][kOut]) noexcept {
  if constexpr (Weights::kBlocks) {
    // x stays in registers while the outputs take turns.
    for (std::int64_t i = begin; i < end; i += 4 * kLanes) {
#pragma GCC unroll 4
      for (int o = 0; o < kOut; ++o) {
        Ints weight[4];
        weights.LoadBlock(first + o, i, weight);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) sum[r][o] = Dot(weight[v], LoadInts(x + kRows * i + (v * kRows + r) * kLanes), sum[r][o]);
        }
      }
    }
    return;
  }
  for (std::int64_t i = begin; i < end; i += 2 * kLanes) {
    Ints weight[kOut][2];
#pragma GCC unroll 4
    for (int o = 0; o < kOut; ++o) weights.Load(first + o, i, weight[o]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Ints pairs = LoadInts(x + kRows * i + (half * kRows + r) * kLanes);
#pragma GCC unroll 4
        for (int o = 0; o < kOut; ++o) sum[r][o] = Dot(weight[o][half], pairs, sum[r][o]);
      }
    }
  }
}

/// Adds the range's columns to sum[r][o] of kRows rows from r and kOut outputs from `first`.
template <class Row, bool kWhole, int kRows, int kOut, class Weights>
[[gnu::always_inline]] inline void DotRowsOf(const DotRange& range, const DotScratch& scratch, std::int64_t r, const Weights& weights, int first,
                                             Lanes (&sum)[kRows][kOut]) noexcept {
  const std::int64_t stride = range.Stride();
  const std::uint32_t* x = scratch.x + r * stride;
  if constexpr (Row::kScale == ScalePlace::kNone) {
    DotWords<kRows, kOut>(weights, first, x, 0, stride, sum);
    return;
  }
  constexpr std::int64_t kWords = kBlock / 2;
  constexpr int kTurn = kRows <= 2 ? kOut : 2;  // outputs whose blocks are held at once
  std::int64_t begin = 0;
  if (range.at == 0) {
    begin = kWhole || stride >= kWords ? kWords : stride;
    DotWords<kRows, kOut>(weights, first, x, 0, begin, sum);
  }
  for (; begin < stride; begin += kWords) {
    const float* scales = (Row::kScale == ScalePlace::kAtBlock ? scratch.block_scale : scratch.relative_scale)[begin / kWords] + r;
#pragma GCC unroll 2
    for (int turn = 0; turn < kOut; turn += kTurn) {
      Lanes block[kRows][kTurn] = {};
      if (kWhole || stride - begin >= kWords) {
        DotWords<kRows, kTurn>(weights, first + turn, x, begin, begin + kWords, block);
      } else {
        DotWords<kRows, kTurn>(weights, first + turn, x, begin, stride, block);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        const Lanes scale = Set1(scales[i]);
#pragma GCC unroll 4
        for (int o = 0; o < kTurn; ++o) sum[i][turn + o] = Fma(block[i][o], scale, sum[i][turn + o]);
      }
    }
  }
}

/// The outputs [n, n + outputs) of kRows rows from r of the range, or what they have so far: `kept` from the ranges before, or null. kQuads times
/// four outputs fill, with the rows, the four quarters of the registers that add lanes. Where weights are decoded for many rows, two outputs at a
/// time: that needs registers too.
template <class Row, bool kWhole, int kRows, int kQuads, class Weights>
[[gnu::always_inline]] inline void DotTile(const LinearArgs& args, const DotRange& range, std::int64_t r, std::int64_t n, std::int64_t outputs,
                                           const DotScratch& scratch, const Weights& weights, float (*kept)[kDotOutputs][kLanes]) noexcept {
  static_assert(kRows * kQuads <= kDotRows);
  constexpr int kOut = Row::kScale == ScalePlace::kNone || kRows <= 2 || kPacked<Weights> ? 4 : 2;
  const std::uint8_t* w_scales = WeightScales(args.weight, n);
  const bool last = range.at + range.columns >= args.weight.k;
  Lanes quarters[kDotRows][kDotOutputs] = {}, fours[kDotOutputs];
#pragma GCC unroll 4
  for (int quad = 0; quad < kQuads; ++quad) {
#pragma GCC unroll 2
    for (int first = 0; first < kDotOutputs; first += kOut) {
      Lanes sum[kRows][kOut] = {};
      if (range.at > 0) {
        for (int i = 0; i < kRows; ++i) {
          for (int o = 0; o < kOut; ++o) sum[i][o] = Load(kept[r + quad * kRows + i][first + o]);
        }
      }
      DotRowsOf<Row, kWhole, kRows, kOut>(range, scratch, r, weights, quad * kDotOutputs + first, sum);
      if (!last) {
        for (int i = 0; i < kRows; ++i) {
          for (int o = 0; o < kOut; ++o) Store(kept[r + quad * kRows + i][first + o], sum[i][o]);
        }
      }
#pragma GCC unroll 4
      for (int o = 0; o < kOut; ++o) {
#pragma GCC unroll 4
        for (int i = 0; i < kRows; ++i) quarters[quad * kRows + i][first + o] = sum[i][o];
        // The last quarter is there: so early, few registers are held.
        if (quad == kQuads - 1) fours[first + o] = SumToFours(quarters[0][first + o], quarters[1][first + o], quarters[2][first + o], quarters[3][first + o]);
      }
    }
  }
  if (!last) return;
  Lanes sums = SumFours(fours);
  if constexpr (Row::kScale != ScalePlace::kNone) {
    alignas(64) std::int32_t rows[kLanes];
    for (int i = 0; i < kLanes; ++i) rows[i] = i / kDotOutputs % kRows;
    const Lanes scale = {_mm512_permutexvar_ps(LoadInts(rows).v, Load(scratch.first_scale + r).v)};
    sums = Mul(sums, Mul(scale, Set1(BlockScale<Row>(w_scales, 0))));
  }
  alignas(64) float y[kDotRows][kDotOutputs];
  Store(y[0], RoundAs(sums, args.rounding));
#pragma GCC unroll 4
  for (int i = 0; i < kRows * kQuads; ++i) {
    const std::int64_t begin = i / kRows * kDotOutputs, count = outputs - begin;
    float* to = args.y + (range.first_row + r + i % kRows) * args.y_stride + n + begin - args.row_begin;
    if (count >= kDotOutputs) {
      __builtin_memcpy(to, y[i], sizeof(y[i]));
    } else {
      for (std::int64_t o = 0; o < count; ++o) to[o] = y[i][o];
    }
  }
}

/// The rows from r that are left of a range: at most kDotRows of them.
template <class Row, bool kWhole, class Weights>
[[gnu::always_inline]] inline void DotLastTile(const LinearArgs& args, const DotRange& range, std::int64_t r, std::int64_t n, std::int64_t outputs,
                                               const DotScratch& scratch, const Weights& weights, float (*kept)[kDotOutputs][kLanes]) noexcept {
  switch (range.rows - r) {
    case 1: return DotTile<Row, kWhole, 1, 1>(args, range, r, n, outputs, scratch, weights, kept);
    case 2: return DotTile<Row, kWhole, 2, 1>(args, range, r, n, outputs, scratch, weights, kept);
    case 3: return DotTile<Row, kWhole, 3, 1>(args, range, r, n, outputs, scratch, weights, kept);
    case 4: return DotTile<Row, kWhole, 4, 1>(args, range, r, n, outputs, scratch, weights, kept);
    default: return;
  }
}

/// Whole tiles of rows, as many as there are; returns the row behind them.
template <class Row, bool kWhole>
[[gnu::always_inline]] inline std::int64_t DotTiles(const LinearArgs& args, const DotRange& range, std::int64_t n, std::int64_t outputs,
                                                    const DotScratch& scratch, float (*kept)[kDotOutputs][kLanes]) noexcept {
  const PackedWeights packed{scratch.weight};
  std::int64_t r = 0;
  for (; r + kDotRows <= range.rows; r += kDotRows) DotTile<Row, kWhole, kDotRows, 1>(args, range, r, n, outputs, scratch, packed, kept);
  return r;
}

/// The same, not inlined: sums beside those of a block need every register.
template <class Row, bool kWhole>
[[gnu::noinline]] std::int64_t DotTilesApart(const LinearArgs& args, const DotRange& range, std::int64_t n, std::int64_t outputs, const DotScratch& scratch,
                                             float (*kept)[kDotOutputs][kLanes]) noexcept {
  return DotTiles<Row, kWhole>(args, range, n, outputs, scratch, kept);
}

/// The outputs [n, n + what is left of them up to `most`), but not over the edge of a block: they have one scale.
template <class Row>
[[gnu::always_inline]] inline std::int64_t OutputsFrom(std::int64_t n, std::int64_t end, std::int64_t most) noexcept {
  const std::int64_t outputs = end - n < most ? end - n : most;
  return Row::kScale == ScalePlace::kAtBlock && n % kBlock + outputs > kBlock ? kBlock - n % kBlock : outputs;
}

/// Few rows, whole blocks: weights are decoded where they are multiplied.
template <class Row, int kRows, int kQuads>
[[gnu::noinline]] void DotFewRows(const LinearArgs& args, const DotRange& range, std::int64_t begin, std::int64_t end, DotScratch& scratch, Ints& least) noexcept {
  std::int64_t outputs = 0, tile = 0;
  for (std::int64_t n = begin; n < end; n += outputs, ++tile) {
    outputs = OutputsFrom<Row>(n, end, kQuads * kDotOutputs);
    const CodedWeights<Row, true, kQuads * kDotOutputs> coded(args, n, outputs, range, &least);
    if (Row::kScale == ScalePlace::kAtBlock && (n == begin || n % kBlock == 0)) ScaleBlocks(range, WeightScales(args.weight, n), scratch);
    DotTile<Row, true, kRows, kQuads>(args, range, 0, n, outputs, scratch, coded, scratch.sum[range.columns < args.weight.k ? tile : 0]);
  }
}

/// Output o's words, where PackedWeights looks for them.
template <class Weights>
[[gnu::always_inline]] inline void StorePacked(const Weights& coded, int o, std::int64_t words, std::uint32_t* to) noexcept {
  constexpr int kTogether = Weights::kBlocks ? 4 : 2;
  for (std::int64_t word = 0; word < words; word += kTogether * kLanes) {
    Ints pairs[kTogether];
    if constexpr (Weights::kBlocks) {
      coded.LoadBlock(o, word, pairs);
    } else {
      coded.Load(o, word, pairs);
    }
#pragma GCC unroll 4
    for (int v = 0; v < kTogether; ++v) StoreInts(to + kDotOutputs * (word + v * kLanes), pairs[v]);
  }
}

template <class Row, bool kWhole>
[[gnu::always_inline]] inline void DotOutputs(const LinearArgs& args, const DotRange& range, std::int64_t begin, std::int64_t end, DotScratch& scratch,
                                              Ints& least) noexcept {
  if constexpr (kWhole) {
    // A last range that is not whole would find the sums of other tiles.
    switch (args.weight.k % kBlock == 0 ? range.rows : 0) {
      case 1: return DotFewRows<Row, 1, 4>(args, range, begin, end, scratch, least);
      case 2: return DotFewRows<Row, 2, 2>(args, range, begin, end, scratch, least);
      case 3: return DotFewRows<Row, 3, 1>(args, range, begin, end, scratch, least);
      case 4: return DotFewRows<Row, 4, 1>(args, range, begin, end, scratch, least);
      default: break;
    }
  }
  const std::int64_t stride = range.Stride(), ahead = 2 * kDotOutputs * RowBytes(args.weight.format, args.weight.k);
  std::int64_t outputs = 0, quad = 0;
  for (std::int64_t n = begin; n < end; n += outputs, ++quad) {
    outputs = OutputsFrom<Row>(n, end, kDotOutputs);
    auto* kept = scratch.sum[range.columns < args.weight.k ? quad : 0];
    const CodedWeights<Row, kWhole, kDotOutputs> coded(args, n, outputs, range, &least);
    if (Row::kScale == ScalePlace::kAtBlock && (n == begin || n % kBlock == 0)) ScaleBlocks(range, WeightScales(args.weight, n), scratch);
    for (int o = 0; o < kDotOutputs; ++o) {
      const std::byte* next = coded.w[o] + Row::Bytes(range.at) + ahead;
      for (std::int64_t line = 0; line < Row::Bytes(range.columns); line += 64) __builtin_prefetch(next + line, 0, 2);
      StorePacked(coded, o, stride, scratch.weight + o * kLanes);
    }
    const std::int64_t r = Row::kScale == ScalePlace::kNone ? DotTiles<Row, kWhole>(args, range, n, outputs, scratch, kept)
                                                            : DotTilesApart<Row, kWhole>(args, range, n, outputs, scratch, kept);
    DotLastTile<Row, kWhole>(args, range, r, n, outputs, scratch, PackedWeights{scratch.weight}, kept);
  }
}

/// Asks for the first matrix rows: the way to them is long, and scales and x come first.
[[gnu::always_inline]] inline void PrefetchFirstRows(const LinearArgs& args) noexcept {
  const std::int64_t outputs = args.row_end - args.row_begin, rows = outputs < 2 * kDotOutputs ? outputs : 2 * kDotOutputs;
  const std::int64_t bytes = rows * RowBytes(args.weight.format, args.weight.k), most = 4096;
  for (std::int64_t line = 0; line < (bytes < most ? bytes : most); line += 64) __builtin_prefetch(WeightRow(args.weight, args.row_begin) + line);
}

/// False where operands do not fit; the outputs are then to be computed again.
template <class Row>
[[gnu::noinline]] bool LinearByDots(const LinearArgs& args) noexcept {
  PrefetchFirstRows(args);
  if ((Row::kScale == ScalePlace::kNone && args.x_scales != nullptr) || !ModerateScales<Row, kScaleSpan>(args)) return false;
  DotScratch scratch;
  Ints least_weight = SetInts(-1);
  const std::int64_t k = args.weight.k;
  for (std::int64_t first = 0; first < args.rows; first += kPackRows) {
    const std::int64_t rows = args.rows - first < kPackRows ? args.rows - first : kPackRows;
    const std::int64_t most = rows <= kDotRows && k % kBlock == 0 ? kFewColumns : kPackColumns;
    const std::int64_t outputs = k <= most ? args.row_end - args.row_begin : kSumOutputs - kDotOutputs;
    for (std::int64_t n = args.row_begin; n < args.row_end; n += outputs) {
      const std::int64_t end = n + outputs < args.row_end ? n + outputs : args.row_end;
      for (std::int64_t at = 0; at < k; at += most) {
        const DotRange range{first, rows, at, k - at < most ? k - at : most};
        if (!PackX<Row>(args, range, scratch)) return false;
        PackScales(args, range, scratch);
        if (range.columns % kBlock == 0) {
          DotOutputs<Row, true>(args, range, n, end, scratch, least_weight);
        } else {
          DotOutputs<Row, false>(args, range, n, end, scratch, least_weight);
        }
      }
    }
  }
  const __m512i least = _mm512_set1_epi16(static_cast<short>((__builtin_bit_cast(std::uint32_t, kSmallest) >> 16) - 1));
  return _mm512_cmplt_epu16_mask(least_weight.v, least) == 0;
}

/// Whether dots computed this one.
[[gnu::always_inline]] inline bool ComputedByDots(const LinearArgs& args) noexcept {
  if (args.row_end <= args.row_begin || args.rows < (args.weight.format == Format::kBf16 ? 2 : 1)) return false;
  switch (args.weight.format) {
    case Format::kF32:
    case Format::kInt8: return false;
    case Format::kBf16: return LinearByDots<Bf16Row>(args);
    case Format::kFp8: return LinearByDots<Fp8Row>(args);
    case Format::kFp4: return LinearByDots<Fp4Row>(args);
  }
  return false;
}

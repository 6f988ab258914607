// Matrix times rows, straight from the row-major weights.
//
// Order of every output, whatever the number of rows, the split of the matrix and the instruction set: lane j of a block of 128 columns
// sums the columns j, j + 16, … (kFp4: 2j, 2j + 1, 2j + 32, …) by FMA from zero; sum = fma(block, scale, sum) per lane in ascending
// blocks; the lanes are added once at the end. Without scales (kF32, kBf16) the lanes run through all columns. All scales are powers of
// two, so a weight scale may stand at the weight or at the block without changing a bit; kFp4's stand at the weights, which makes its
// blocks 128 columns long as well.

[[gnu::always_inline]] inline void WriteOutput(const LinearArgs& args, std::int64_t r, std::int64_t n, Lanes sum) noexcept {
  const float y = Sum(sum);
  args.y[r * args.y_stride + n - args.row_begin] = args.rounding == Rounding::kBf16 ? tensor::RoundToBf16(y) : y;
}

/// The outputs of n, n + apart, … and kRows rows.
template <int kOut, int kRows>
[[gnu::always_inline]] inline void WriteOutputs(const LinearArgs& args, std::int64_t first_row, std::int64_t n, std::int64_t apart,
                                                const Lanes (&sum)[kOut][kRows]) noexcept {
  constexpr int kSums = kOut * kRows;
  if constexpr (kSums < 8) {
    for (int i = 0; i < kSums; ++i) WriteOutput(args, first_row + i % kRows, n + i / kRows * apart, sum[i / kRows][i % kRows]);
  } else {
    Lanes sums[kLanes] = {};
#pragma GCC unroll 16
    for (int i = 0; i < kSums; ++i) sums[i] = sum[i / kRows][i % kRows];
    alignas(64) float y[kLanes];
    Store(y, RoundAs(SumEach(sums), args.rounding));
#pragma GCC unroll 16
    for (int i = 0; i < kSums; ++i) args.y[(first_row + i % kRows) * args.y_stride + n + i / kRows * apart - args.row_begin] = y[i];
  }
}

/// The columns [at, at + columns), block[o][r] += w[o]·x[r]; only the end of the row may be no multiple of 32.
template <class Row, int kOut, int kRows>
[[gnu::always_inline]] inline void Multiply(const std::byte* const (&w)[kOut], const std::uint8_t* const (&w_scales)[kOut], const float* const (&x)[kRows],
                                            std::int64_t at, std::int64_t columns, Lanes (&block)[kOut][kRows]) noexcept {
  for (const std::int64_t end = at + columns; at < end; at += kPair) {
    Lanes xs[kRows][2];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) LoadX<Row>(x[r] + at, end - at, xs[r]);
#pragma GCC unroll 8
    for (int o = 0; o < kOut; ++o) {
      Lanes weight[2];
      LoadWeights<Row>(w[o], at, end - at, WeightScale<Row>(w_scales[o], at), weight);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) block[o][r] = Fma(weight[1], xs[r][1], Fma(weight[0], xs[r][0], block[o][r]));
    }
  }
}

/// Few rows: kOut matrix rows, far apart so that each is a memory stream of its own, against kRows rows of x.
template <class Row, int kOut, int kRows>
[[gnu::always_inline]] inline void Strip(const LinearArgs& args, std::int64_t first_row, std::int64_t n, std::int64_t apart) noexcept {
  const std::byte* w[kOut];
  const std::uint8_t* w_scales[kOut];
  const float* x[kRows];
  const float* x_scales[kRows];
  for (int o = 0; o < kOut; ++o) {
    w[o] = WeightRow(args.weight, n + o * apart);
    w_scales[o] = WeightScales(args.weight, n + o * apart);
  }
  for (int r = 0; r < kRows; ++r) {
    x[r] = XRow(args, first_row + r);
    x_scales[r] = XScales(args, first_row + r);
  }
  Lanes sum[kOut][kRows] = {};
  const std::int64_t k = args.weight.k;
  for (std::int64_t at = 0; at < k; at += kBlock) {
    for (int o = 0; o < kOut; ++o) {
      for (std::int64_t line = 0; line < Row::Bytes(kBlock); line += 64) __builtin_prefetch(w[o] + Row::Bytes(at) + line + 2048, 0, 2);
    }
    const std::int64_t columns = k - at < kBlock ? k - at : kBlock;
    if constexpr (Row::kScale == ScalePlace::kNone) {
      if (columns == kBlock) {
        Multiply<Row, kOut, kRows>(w, w_scales, x, at, kBlock, sum);
      } else {
        Multiply<Row, kOut, kRows>(w, w_scales, x, at, columns, sum);
      }
    } else {
      Lanes block[kOut][kRows] = {};
      if (columns == kBlock) {
        Multiply<Row, kOut, kRows>(w, w_scales, x, at, kBlock, block);
      } else {
        Multiply<Row, kOut, kRows>(w, w_scales, x, at, columns, block);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const float x_scale = x_scales[r] == nullptr ? 1.0f : x_scales[r][at / kBlock];
#pragma GCC unroll 8
        for (int o = 0; o < kOut; ++o) sum[o][r] = Fma(block[o][r], Set1(x_scale * BlockScale<Row>(w_scales[o], at)), sum[o][r]);
      }
    }
  }
  WriteOutputs(args, first_row, n, apart, sum);
}

template <class Row, int kRows>
void FewRows(const LinearArgs& args, std::int64_t first_row) noexcept {
  constexpr int kOut = kStreamOutputs[kRows - 1];
  const std::int64_t apart = (args.row_end - args.row_begin) / kOut;
  for (std::int64_t n = args.row_begin; n < args.row_begin + apart; ++n) Strip<Row, kOut, kRows>(args, first_row, n, apart);
  for (std::int64_t n = args.row_begin + kOut * apart; n < args.row_end; ++n) Strip<Row, 1, kRows>(args, first_row, n, 0);
}

// Many rows: a panel of the matrix is decoded once and meets all rows.

inline constexpr std::int64_t kPanelOutputs = 16, kPanelColumns = 256, kPanelRows = 96;

struct Panel {
  alignas(64) float weight[kPanelOutputs][kPanelColumns];
  alignas(64) float x[kLinearRows][kPanelColumns];  // where x must be put in another order
  alignas(64) float sum[kPanelRows][kPanelOutputs][kLanes];
  float scale[kPanelOutputs][kPanelColumns / kBlock];  // of the blocks, where the format has one per block
};

/// Numbers of kPanelOutputs matrix rows from n (the last one repeated past row_end), zeros up to a multiple of 32.
template <class Row>
[[gnu::always_inline]] inline void DecodePanel(const LinearArgs& args, std::int64_t n, std::int64_t at, std::int64_t columns, Panel& panel) noexcept {
  for (std::int64_t o = 0; o < kPanelOutputs; ++o) {
    const std::int64_t row = n + o < args.row_end ? n + o : args.row_end - 1;
    const std::byte* w = WeightRow(args.weight, row);
    const std::uint8_t* scales = WeightScales(args.weight, row);
    for (std::int64_t i = 0; i < columns; i += kPair) {
      Lanes weight[2];
      LoadWeights<Row>(w, at + i, columns - i, WeightScale<Row>(scales, at + i), weight);
      Store(panel.weight[o] + i, weight[0]);
      Store(panel.weight[o] + i + kLanes, weight[1]);
    }
    for (std::int64_t i = 0; i < columns; i += kBlock) panel.scale[o][i / kBlock] = BlockScale<Row>(scales, at + i);
  }
}

/// sum[r][o] of kOut outputs from `first` and kRows rows over the panel's columns; x and x_scales begin there.
template <class Row, int kOut, int kRows>
[[gnu::always_inline]] inline void MultiplyPanel(Panel& panel, std::int64_t first, std::int64_t sum_row, const float* const (&x)[kRows],
                                                 const float* const (&x_scales)[kRows], std::int64_t columns) noexcept {
  constexpr bool kScaled = Row::kScale != ScalePlace::kNone;
  const float* w = panel.weight[first];
  for (std::int64_t begin = 0; begin < columns; begin += kScaled ? kBlock : kPanelColumns) {
    const std::int64_t rest = columns - begin, end = begin + (kScaled && rest > kBlock ? kBlock : rest);
    Lanes block[kOut][kRows];
#pragma GCC unroll 8
    for (int o = 0; o < kOut; ++o) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) block[o][r] = kScaled ? Zero() : Load(panel.sum[sum_row + r][first + o]);
    }
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      Lanes weight[kOut];
#pragma GCC unroll 8
      for (int o = 0; o < kOut; ++o) weight[o] = Load(w + o * kPanelColumns + i);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Lanes xs = Load(x[r] + i);
#pragma GCC unroll 8
        for (int o = 0; o < kOut; ++o) block[o][r] = Fma(weight[o], xs, block[o][r]);
      }
    }
    if (i < end) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Lanes xs = LoadPart(x[r] + i, end - i);
#pragma GCC unroll 8
        for (int o = 0; o < kOut; ++o) block[o][r] = Fma(Load(w + o * kPanelColumns + i), xs, block[o][r]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float x_scale = kScaled && x_scales[r] != nullptr ? x_scales[r][begin / kBlock] : 1.0f;
#pragma GCC unroll 8
      for (int o = 0; o < kOut; ++o) {
        float* sum = panel.sum[sum_row + r][first + o];
        const float scale = Row::kScale == ScalePlace::kAtBlock ? x_scale * panel.scale[first + o][begin / kBlock] : x_scale;
        Store(sum, kScaled ? Fma(block[o][r], Set1(scale), Load(sum)) : block[o][r]);
      }
    }
  }
}

template <class Row, int kRows>
[[gnu::always_inline]] inline void PanelRows(const LinearArgs& args, Panel& panel, std::int64_t first_row, std::int64_t sum_row, std::int64_t at,
                                             std::int64_t columns) noexcept {
  const float* x[kRows];
  const float* x_scales[kRows];
  for (int r = 0; r < kRows; ++r) {
    x[r] = XRow(args, first_row + sum_row + r) + at;
    x_scales[r] = XScales(args, first_row + sum_row + r);
    if (x_scales[r] != nullptr) x_scales[r] += at / kBlock;
    if constexpr (kSeparate<Row>) {
      for (std::int64_t i = 0; i < columns; i += kPair) {
        Lanes xs[2];
        LoadX<Row>(x[r] + i, columns - i, xs);
        Store(panel.x[r] + i, xs[0]);
        Store(panel.x[r] + i + kLanes, xs[1]);
      }
      x[r] = panel.x[r];
    }
  }
  const std::int64_t padded = kSeparate<Row> ? (columns + kPair - 1) / kPair * kPair : columns;
  for (std::int64_t o = 0; o < kPanelOutputs; o += kLinearOutputs) {
    MultiplyPanel<Row, kLinearOutputs, kRows>(panel, o, sum_row, x, x_scales, padded);
  }
}

template <class Row>
void ManyRows(const LinearArgs& args) noexcept {
  Panel panel;
  const std::int64_t k = args.weight.k;
  for (std::int64_t first_row = 0; first_row < args.rows; first_row += kPanelRows) {
    const std::int64_t rows = args.rows - first_row < kPanelRows ? args.rows - first_row : kPanelRows;
    for (std::int64_t n = args.row_begin; n < args.row_end; n += kPanelOutputs) {
      __builtin_memset(panel.sum, 0, static_cast<std::size_t>(rows) * sizeof(panel.sum[0]));
      for (std::int64_t at = 0; at < k; at += kPanelColumns) {
        const std::int64_t columns = k - at < kPanelColumns ? k - at : kPanelColumns;
        DecodePanel<Row>(args, n, at, columns, panel);
        std::int64_t r = 0;
        for (; r + kLinearRows <= rows; r += kLinearRows) PanelRows<Row, kLinearRows>(args, panel, first_row, r, at, columns);
        for (; r + 3 <= rows; r += 3) PanelRows<Row, 3>(args, panel, first_row, r, at, columns);
        for (; r < rows; ++r) PanelRows<Row, 1>(args, panel, first_row, r, at, columns);
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t o = 0; o < kPanelOutputs && n + o < args.row_end; ++o) WriteOutput(args, first_row + r, n + o, Load(panel.sum[r][o]));
      }
    }
  }
}

// Scales whose products leave fp32's range, where the terms themselves may not. The same sums, each scale in two steps.

[[gnu::always_inline]] inline int Bounded(int exponent) noexcept { return exponent > 126 ? 126 : exponent < -126 ? -126 : exponent; }
[[gnu::always_inline]] inline Lanes Scaled(Lanes a, int exponent) noexcept { return Mul(a, Set1(PowerOfTwo(static_cast<std::uint8_t>(exponent + 127)))); }

/// fma(block, 2^exponent, sum) with one rounding, for any exponent.
[[gnu::always_inline]] inline Lanes ScaledAdd(Lanes block, int exponent, Lanes sum) noexcept {
  const int last = Bounded(exponent);
  return Fma(Scaled(block, Bounded(exponent - last)), Set1(PowerOfTwo(static_cast<std::uint8_t>(last + 127))), sum);
}

/// The middle of the exponents of a block's weight scales: the weights are scaled relative to it.
template <class Row>
[[gnu::always_inline]] inline int MiddleExponent(const std::uint8_t* scales, std::int64_t at, std::int64_t columns) noexcept {
  if constexpr (Row::kScale == ScalePlace::kNone) return 0;
  if constexpr (Row::kScale == ScalePlace::kAtBlock) return scales[at / kBlock] - 127;
  int lowest = 255, highest = 0;
  for (std::int64_t i = at; i < at + columns; i += kWeightGroup) {
    const int code = scales[i / kWeightGroup];
    lowest = code < lowest ? code : lowest;
    highest = code > highest ? code : highest;
  }
  return (lowest + highest) / 2 - 127;
}

template <class Row>
[[gnu::always_inline]] inline Lanes AnyScalesDot(const std::byte* w, const std::uint8_t* w_scales, const float* x, const float* x_scales,
                                                 std::int64_t k) noexcept {
  Lanes sum = Zero();
  for (std::int64_t at = 0; at < k; at += kBlock) {
    const std::int64_t columns = k - at < kBlock ? k - at : kBlock;
    const int middle = MiddleExponent<Row>(w_scales, at, columns);
    Lanes block = Zero();
    for (std::int64_t i = at; i < at + columns; i += kPair) {
      int relative = 0;
      if constexpr (Row::kScale == ScalePlace::kAtWeight) relative = Bounded(w_scales[i / kWeightGroup] - 127 - middle);
      Lanes weight[2], xs[2];
      LoadWeights<Row>(w, i, k - i, PowerOfTwo(static_cast<std::uint8_t>(relative + 127)), weight);
      LoadX<Row>(x + i, k - i, xs);
      block = Fma(weight[1], xs[1], Fma(weight[0], xs[0], block));
    }
    const int x_exponent = x_scales == nullptr ? 0 : ExponentOf(x_scales[at / kBlock]);
    sum = ScaledAdd(block, x_exponent + middle + (Row::kScale == ScalePlace::kAtBlock ? 8 : 0), sum);
  }
  return sum;
}

template <class Row>
[[gnu::noinline]] void AnyScales(const LinearArgs& args) noexcept {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t n = args.row_begin; n < args.row_end; ++n) {
      WriteOutput(args, r, n, AnyScalesDot<Row>(WeightRow(args.weight, n), WeightScales(args.weight, n), XRow(args, r), XScales(args, r), args.weight.k));
    }
  }
}

template <class Row>
[[gnu::always_inline]] inline void LinearFor(const LinearArgs& args) noexcept {
  if ((Row::kScale == ScalePlace::kNone && args.x_scales != nullptr) || !ModerateScales<Row>(args)) return AnyScales<Row>(args);
  if (args.rows > 8) return ManyRows<Row>(args);
  std::int64_t r = 0;
  for (; r + 4 <= args.rows; r += 4) FewRows<Row, 4>(args, r);
  switch (args.rows - r) {
    case 1: return FewRows<Row, 1>(args, r);
    case 2: return FewRows<Row, 2>(args, r);
    case 3: return FewRows<Row, 3>(args, r);
    default: return;
  }
}

void Linear(const LinearArgs& args) noexcept {
  if (args.row_end <= args.row_begin || args.rows <= 0) return;
  switch (args.weight.format) {
    case Format::kF32: return LinearFor<F32Row>(args);
    case Format::kBf16: return LinearFor<Bf16Row>(args);
    case Format::kFp8: return LinearFor<Fp8Row>(args);
    case Format::kFp4: return LinearFor<Fp4Row>(args);
    case Format::kInt8: return;  // ByteLinear's
  }
}

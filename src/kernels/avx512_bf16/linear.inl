// Several rows on the dot instruction of bf16 pairs, where both operands are exact in bf16. Included inside an unnamed namespace after
// avx512/lanes.inl, wide/math.inl and wide/operands.inl.
//
// The bits are those of wide/linear.inl. The instruction adds the product of a lane's high halves and then that of its low halves, each by one
// FMA; the halves hold the columns in the order in which that file takes them. It reads and writes denormals as zero, so operands must keep
// every sum away from them: e4m3 codes with moderate scales do, and other numbers are looked at (kSmallest, kLargest). Where they do not fit,
// the call is left to the kernel below.

inline constexpr int kDotOutputs = 4, kDotRows = 4;  // of one register block: sixteen sums
inline constexpr std::int64_t kPackRows = 16, kPackColumns = 1024, kSumOutputs = 32;

// Numbers of these magnitudes and of eight bits: products are multiples of 2^-114, and so are their sums.
inline constexpr float kSmallest = 0x1p-50f, kLargest = 0x1p50f;

struct DotScratch {
  alignas(64) std::uint32_t x[kPackRows * kPackColumns / 2];
  alignas(64) std::uint32_t weight[kDotOutputs * kPackColumns / 2];
  alignas(64) float sum[kSumOutputs / kDotOutputs][kPackRows][kDotOutputs][kLanes];  // between the column ranges of a long row
  float scale[kPackColumns / kBlock];                                                // of the weights' blocks
  Ints least_weight;  // per word: the least magnitude of a plain weight, less one, zeros apart
};

/// The columns [at, at + columns) of a row group: what one filling of the scratch holds.
struct DotRange {
  std::int64_t first_row, rows, at, columns;
  std::int64_t Stride() const noexcept { return (columns + kPair - 1) / kPair * kLanes; }  // words of a packed row
};

/// The halves that matter of two vectors of bf16 numbers: first in the high halves, second in the low ones.
[[gnu::always_inline]] inline Ints PackPairs(Lanes first, Lanes second) noexcept {
  return {_mm512_mask_blend_epi16(0x55555555u, _mm512_castps_si512(first.v), _mm512_srli_epi32(_mm512_castps_si512(second.v), 16))};
}
[[gnu::always_inline]] inline Lanes Dot(Ints weight, Ints x, Lanes sum) noexcept {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(x.v), reinterpret_cast<__m512bh>(weight.v))};
}
[[gnu::always_inline]] inline void StoreInts(std::uint32_t* p, Ints a) noexcept { _mm512_storeu_si512(p, a.v); }

/// scratch.x = the range's x as pairs. False where a number is not exact in bf16 or too far from one.
template <class Row>
[[gnu::always_inline]] inline bool PackX(const LinearArgs& args, const DotRange& range, DotScratch& scratch) noexcept {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF), least = _mm512_castps_si512(_mm512_set1_ps(kSmallest));
  const __m512i span = _mm512_sub_epi32(_mm512_castps_si512(_mm512_set1_ps(kLargest)), least);
  __m512i bits = _mm512_setzero_si512();
  __mmask16 far = 0;
  for (std::int64_t r = 0; r < range.rows; ++r) {
    const float* x = XRow(args, range.first_row + r) + range.at;
    std::uint32_t* packed = scratch.x + r * range.Stride();
    for (std::int64_t i = 0; i < range.columns; i += kPair) {
      Lanes xs[2];
      LoadX<Row>(x + i, range.columns - i, xs);
      if (args.x_scales == nullptr) {
        for (const Lanes& part : xs) {
          const __m512i m = _mm512_and_si512(Bits(part).v, magnitude);
          bits = _mm512_or_si512(bits, m);
          far = static_cast<__mmask16>(far | (_mm512_test_epi32_mask(m, m) & _mm512_cmpgt_epu32_mask(_mm512_sub_epi32(m, least), span)));
        }
      }
      StoreInts(packed + i / 2, PackPairs(xs[0], xs[1]));
    }
  }
  return far == 0 && _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0xFFFF)) == 0;
}

/// 32 weights as pairs.
template <class Row>
[[gnu::always_inline]] inline Ints PackWeights(const std::byte* row, std::int64_t at, std::int64_t count, float scale, DotScratch& scratch) noexcept {
  Lanes weight[2];
  if constexpr (Row::kScale != ScalePlace::kNone) {
    LoadWeights<Row>(row, at, count, scale, weight);
    return PackPairs(weight[0], weight[1]);
  }
  Ints pairs;
  if (count >= kPair) {
    const __m512i order = _mm512_setr_epi32(0x00000010, 0x00010011, 0x00020012, 0x00030013, 0x00040014, 0x00050015, 0x00060016, 0x00070017, 0x00080018,
                                            0x00090019, 0x000A001A, 0x000B001B, 0x000C001C, 0x000D001D, 0x000E001E, 0x000F001F);
    pairs.v = _mm512_permutexvar_epi16(order, LoadInts(row + 2 * at).v);
  } else {
    LoadWeights<Row>(row, at, count, scale, weight);
    pairs = PackPairs(weight[0], weight[1]);
  }
  const __m512i less_one = _mm512_sub_epi16(_mm512_and_si512(pairs.v, _mm512_set1_epi16(0x7FFF)), _mm512_set1_epi16(1));
  scratch.least_weight.v = _mm512_min_epu16(scratch.least_weight.v, less_one);
  return pairs;
}

/// scratch.weight and scale of the matrix rows [n, n + outputs), the last one repeated up to kDotOutputs.
template <class Row>
[[gnu::always_inline]] inline void PackMatrixRows(const LinearArgs& args, std::int64_t n, std::int64_t outputs, const DotRange& range, DotScratch& scratch) noexcept {
  for (std::int64_t o = 0; o < kDotOutputs; ++o) {
    const std::int64_t row = n + (o < outputs ? o : outputs - 1);
    const std::byte* w = WeightRow(args.weight, row);
    const std::uint8_t* scales = WeightScales(args.weight, row);
    std::uint32_t* packed = scratch.weight + o * range.Stride();
    for (std::int64_t i = 0; i < range.columns; i += kPair) {
      const std::int64_t at = range.at + i;
      StoreInts(packed + i / 2, PackWeights<Row>(w, at, range.columns - i, WeightScale<Row>(scales, at), scratch));
    }
  }
  const std::uint8_t* scales = WeightScales(args.weight, n);
  for (std::int64_t i = 0; i < range.columns; i += kBlock) scratch.scale[i / kBlock] = BlockScale<Row>(scales, range.at + i);
}

/// block[r][o] += x[r]·w[o] over `steps` vectors of pairs.
template <int kRows>
[[gnu::always_inline]] inline void DotSteps(const std::uint32_t* w, const std::uint32_t* x, std::int64_t stride, std::int64_t steps,
                                            Lanes (&block)[kRows][kDotOutputs]) noexcept {
  for (std::int64_t i = 0; i < steps; ++i) {
    Ints weight[kDotOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kDotOutputs; ++o) weight[o] = LoadInts(w + o * stride + i * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Ints pairs = LoadInts(x + r * stride + i * kLanes);
#pragma GCC unroll 4
      for (int o = 0; o < kDotOutputs; ++o) block[r][o] = Dot(weight[o], pairs, block[r][o]);
    }
  }
}

/// sum[r][o] of kRows rows from r of the range over its columns.
template <class Row, int kRows>
[[gnu::always_inline]] inline void DotRowsOf(const LinearArgs& args, const DotRange& range, std::int64_t r, const DotScratch& scratch,
                                           Lanes (&sum)[kRows][kDotOutputs]) noexcept {
  const std::int64_t stride = range.Stride();
  const std::uint32_t* x = scratch.x + r * stride;
  if constexpr (Row::kScale == ScalePlace::kNone) {
    DotSteps<kRows>(scratch.weight, x, stride, stride / kLanes, sum);
  } else {
    const float* x_scales[kRows];
    for (int i = 0; i < kRows; ++i) x_scales[i] = XScales(args, range.first_row + r + i);
    constexpr std::int64_t kSteps = kBlock / kPair;
    for (std::int64_t done = 0; done * kLanes < stride; done += kSteps) {
      Lanes block[kRows][kDotOutputs] = {};
      const std::int64_t left = stride / kLanes - done, words = done * kLanes;
      if (left >= kSteps) {
        DotSteps<kRows>(scratch.weight + words, x + words, stride, kSteps, block);
      } else {
        DotSteps<kRows>(scratch.weight + words, x + words, stride, left, block);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        const float x_scale = x_scales[i] == nullptr ? 1.0f : x_scales[i][range.at / kBlock + done / kSteps];
        const Lanes scale = Set1(x_scale * scratch.scale[done / kSteps]);
#pragma GCC unroll 4
        for (int o = 0; o < kDotOutputs; ++o) sum[i][o] = Fma(block[i][o], scale, sum[i][o]);
      }
    }
  }
}

/// The outputs [n, n + outputs) of kRows rows from r of the range, or what they have so far: `kept` from the ranges before, or null.
template <class Row, int kRows>
[[gnu::always_inline]] inline void DotTile(const LinearArgs& args, const DotRange& range, std::int64_t r, std::int64_t n, std::int64_t outputs,
                                           const DotScratch& scratch, float (*kept)[kDotOutputs][kLanes]) noexcept {
  Lanes sum[kRows][kDotOutputs] = {};
  if (range.at > 0) {
    for (int i = 0; i < kRows; ++i) {
      for (int o = 0; o < kDotOutputs; ++o) sum[i][o] = Load(kept[r + i][o]);
    }
  }
  DotRowsOf<Row, kRows>(args, range, r, scratch, sum);
  if (range.at + range.columns < args.weight.k) {
    for (int i = 0; i < kRows; ++i) {
      for (int o = 0; o < kDotOutputs; ++o) Store(kept[r + i][o], sum[i][o]);
    }
    return;
  }
  Lanes sums[kLanes] = {};
#pragma GCC unroll 16
  for (int i = 0; i < kRows * kDotOutputs; ++i) sums[i] = sum[i / kDotOutputs][i % kDotOutputs];
  alignas(64) float y[kDotRows][kDotOutputs];
  Store(y[0], RoundAs(SumEach(sums), args.rounding));
  for (int i = 0; i < kRows; ++i) {
    float* to = args.y + (range.first_row + r + i) * args.y_stride + n - args.row_begin;
    if (outputs == kDotOutputs) {
      __builtin_memcpy(to, y[i], sizeof(y[i]));
    } else {
      for (std::int64_t o = 0; o < outputs; ++o) to[o] = y[i][o];
    }
  }
}

template <class Row>
[[gnu::always_inline]] inline void DotOutputs(const LinearArgs& args, const DotRange& range, std::int64_t begin, std::int64_t end, DotScratch& scratch) noexcept {
  std::int64_t outputs = 0, quad = 0;
  for (std::int64_t n = begin; n < end; n += outputs, ++quad) {
    outputs = end - n < kDotOutputs ? end - n : kDotOutputs;
    if (Row::kScale == ScalePlace::kAtBlock && n % kBlock + outputs > kBlock) outputs = kBlock - n % kBlock;  // one scale for all of them
    PackMatrixRows<Row>(args, n, outputs, range, scratch);
    std::int64_t r = 0;
    for (; r + kDotRows <= range.rows; r += kDotRows) DotTile<Row, kDotRows>(args, range, r, n, outputs, scratch, scratch.sum[quad]);
    switch (range.rows - r) {
      case 1: DotTile<Row, 1>(args, range, r, n, outputs, scratch, scratch.sum[quad]); break;
      case 2: DotTile<Row, 2>(args, range, r, n, outputs, scratch, scratch.sum[quad]); break;
      case 3: DotTile<Row, 3>(args, range, r, n, outputs, scratch, scratch.sum[quad]); break;
      default: break;
    }
  }
}

/// False where operands do not fit; the outputs are then to be computed again.
template <class Row>
[[gnu::noinline]] bool LinearByDots(const LinearArgs& args) noexcept {
  if ((Row::kScale == ScalePlace::kNone && args.x_scales != nullptr) || !ModerateScales<Row>(args)) return false;
  DotScratch scratch;
  scratch.least_weight = SetInts(-1);
  const std::int64_t k = args.weight.k, outputs = k <= kPackColumns ? args.row_end - args.row_begin : kSumOutputs - kDotOutputs;
  for (std::int64_t first = 0; first < args.rows; first += kPackRows) {
    const std::int64_t rows = args.rows - first < kPackRows ? args.rows - first : kPackRows;
    for (std::int64_t n = args.row_begin; n < args.row_end; n += outputs) {
      const std::int64_t end = n + outputs < args.row_end ? n + outputs : args.row_end;
      for (std::int64_t at = 0; at < k; at += kPackColumns) {
        const DotRange range{first, rows, at, k - at < kPackColumns ? k - at : kPackColumns};
        if (!PackX<Row>(args, range, scratch)) return false;
        DotOutputs<Row>(args, range, n, end, scratch);
      }
    }
  }
  const __m512i least = _mm512_set1_epi16(static_cast<short>((__builtin_bit_cast(std::uint32_t, kSmallest) >> 16) - 1));
  return _mm512_cmplt_epu16_mask(scratch.least_weight.v, least) == 0;
}

/// Whether dots computed this one.
[[gnu::always_inline]] inline bool ComputedByDots(const LinearArgs& args) noexcept {
  constexpr std::int64_t kFewestRows = 5;
  if (args.row_end <= args.row_begin || args.rows < kFewestRows) return false;
  switch (args.weight.format) {
    case Format::kF32: return false;
    case Format::kBf16: return LinearByDots<Bf16Row>(args);
    case Format::kFp8: return LinearByDots<Fp8Row>(args);
    case Format::kFp4: return LinearByDots<Fp4Row>(args);
  }
  return false;
}

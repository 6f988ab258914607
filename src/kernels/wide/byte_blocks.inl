// What matrices times rows of bytes are made of: weights as they are decoded, and the exponents that are folded into them. Included inside an unnamed
// namespace after lanes.inl, math.inl and the instruction set's bytes.inl.
//
// The exponents of a kFp4 row's block of kByteGroup columns are folded into whole numbers of eight bits: twice an e2m1 value, at most 12, shifted
// left by up to 3. A block whose exponents lie further apart is computed in passes, one for each four exponents, and the passes' sums are added.

inline constexpr std::int64_t kByteBlock = kByteGroup, kFp4Group = 32, kBlockGroups = kByteBlock / kFp4Group;
inline constexpr std::int64_t kBytePanel = kPanelGroups * kLanes;  // outputs that are decoded together for many rows
inline constexpr std::int64_t kFp8ShiftBytes = kBlockGroups / kFp8Blocks;

// So far apart may a block's exponents be: |Σ| <= 512 · 12 · 127 · 2^11 fits 32 bits.
inline constexpr int kPassShifts = 4, kPasses = 3, kMostSpread = kPassShifts * kPasses - 1;

/// Columns of a step: two registers, of kFp4 the even columns and the odd ones, as its nibbles lie.
inline constexpr std::int64_t kStepColumns = 2 * kByteColumns;

/// Columns of the block from `at`, and the steps that hold them.
[[gnu::always_inline]] inline std::int64_t ColumnsFrom(std::int64_t at, std::int64_t k) noexcept { return k - at < kByteBlock ? k - at : kByteBlock; }
[[gnu::always_inline]] inline std::int64_t StepsFrom(std::int64_t at, std::int64_t k) noexcept { return (ColumnsFrom(at, k) + kStepColumns - 1) / kStepColumns; }

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

/// kWeightOffset times the sum of `columns` bytes, a multiple of kByteColumns.
[[gnu::always_inline]] inline std::int32_t OffsetOf(const std::int8_t* x, std::int64_t columns) noexcept {
  if constexpr (kWeightOffset == 0) return 0;
  alignas(64) static constexpr auto kOnes = [] {
    struct { std::int8_t byte[kByteColumns]; } ones{};
    for (std::int8_t& one : ones.byte) one = 1;
    return ones;
  }();
  ByteSums sums = NoByteSums();
  for (std::int64_t c = 0; c < columns; c += kByteColumns) sums = DotBytes(LoadBytes(kOnes.byte), LoadBytes(x + c), sums);
  return kWeightOffset * SumBytes(sums);
}

/// What a block of some outputs is decoded with.
struct ByteFold {
  alignas(64) std::uint8_t shift[kPasses][kBytePanel][kBlockGroups];  // of kFp8, kFp8ShiftBytes for each 128 columns: see Fp8Weights
  alignas(64) float weight_scale[kBytePanel + kLanes];
};

/// Rows from `outputs` that are computed together to those that are asked for meanwhile: as many as fill kAheadBytes, which a wait for memory is long.
inline constexpr std::int64_t kAheadBytes = 16384;
[[gnu::always_inline]] inline std::int64_t RowsAhead(std::int64_t outputs, std::int64_t row_bytes) noexcept {
  return outputs * (outputs * row_bytes < kAheadBytes ? kAheadBytes / (outputs * row_bytes) : 1);
}

// Where the weights of a block come from. Row n + o, the last one repeated; from column `at` on.

/// Straight from the matrix, which also fetches what stands RowsAhead of kTogether on, into the second cache. kPlain: see Passes.
template <Format kFormat, bool kPlain, int kTogether>
struct CodedBytes {
  const std::byte* begin;
  std::int64_t row_bytes, last, columns, ahead;
  const std::uint8_t (*shift)[kBlockGroups];

  [[gnu::always_inline]] CodedBytes(const ByteLinearArgs& args, std::int64_t n, std::int64_t at, const std::uint8_t (*shifts)[kBlockGroups]) noexcept
      : begin(args.weight.data + n * RowBytes(kFormat, args.weight.k) + RowBytes(kFormat, at)), row_bytes(RowBytes(kFormat, args.weight.k)),
        last(args.row_end - 1 - n), columns(args.weight.k - at),
        ahead(kTogether > 0 ? RowsAhead(kTogether, row_bytes) * row_bytes : 0), shift(shifts) {}

  [[gnu::always_inline]] const std::byte* Row(std::int64_t o) const noexcept { return begin + (o < last ? o : last) * row_bytes; }
  template <bool kWhole>
  [[gnu::always_inline]] void Load(std::int64_t o, std::int64_t step, Bytes (&w)[2]) const noexcept {
    constexpr std::int64_t kStepBytes = RowBytes(kFormat, kStepColumns);
    const std::byte* codes = Row(o) + step * kStepBytes;
    if constexpr (kTogether > 0) {
      if (kStepBytes >= 64 || step * kStepBytes % 64 == 0) __builtin_prefetch(codes + ahead, 0, 2);
      if (kStepBytes >= 128) __builtin_prefetch(codes + ahead + 64, 0, 2);
    }
    alignas(64) std::byte rest[kStepColumns];
    if (const std::int64_t left = columns - step * kStepColumns; !kWhole && left < kStepColumns) {
      __builtin_memset(rest, 0, sizeof(rest));
      if (left > 0) __builtin_memcpy(rest, codes, static_cast<std::size_t>(RowBytes(kFormat, left)));
      codes = rest;
    }
    if constexpr (kFormat == Format::kFp4) {
      Fp4Weights<kPlain>(codes, shift[o] + step * kStepColumns / kFp4Group, w);
    } else if constexpr (kFormat == Format::kFp8) {
      const std::uint8_t* of_block = shift[o] + step * kStepColumns / kActivationGroup * kFp8ShiftBytes;
      w[0] = Fp8Weights<kPlain>(codes, of_block);
      w[1] = Fp8Weights<kPlain>(codes + kByteColumns, of_block);
    } else {
      w[0] = Int8Weights(codes);
      w[1] = Int8Weights(codes + kByteColumns);
    }
  }
};

/// Folds the kFp8Fold rows from n + o in the block of column `at`. Never inlined: it is called from many places, whose code would outgrow the instruction cache.
[[gnu::noinline]] inline Folded FoldFp8Outputs(const ByteLinearArgs& args, std::int64_t n, std::int64_t o, std::int64_t at, ByteFold& fold) noexcept {
  const std::uint8_t *rows[kFp8Fold], *scales[kFp8Fold];
  for (std::int64_t i = 0; i < kFp8Fold; ++i) OpenFp8Row(args.weight, n + o + i < args.row_end ? n + o + i : args.row_end - 1, at, rows[i], scales[i]);
  return FoldFp8Rows(rows, scales, ColumnsFrom(at, args.weight.k), fold.shift[0] + o, fold.weight_scale + o);
}

/// The passes over a block; none where there would be too many, or where scales are too far out. Plain: one, which takes every group of kFp4, and every
/// block of kFp8 by the same table.
struct Passes {
  int count;
  bool plain;
};

/// The kFp4 rows from n: their groups' shifts, times 16, and the scales of what is left.
[[gnu::always_inline]] inline ScaleBounds FoldFp4Outputs(const ByteLinearArgs& args, std::int64_t n, std::int64_t outputs, std::int64_t at, ByteFold& fold) noexcept {
  const std::int64_t groups = (args.weight.k + kFp4Group - 1) / kFp4Group, left = groups - at / kFp4Group;
  const std::int64_t ahead = RowsAhead(outputs, RowBytes(Format::kFp4, args.weight.k)) * groups;
  ScaleBounds bounds = NoScaleBounds();
  for (std::int64_t o = 0; o < outputs; o += kScaleRows) {
    const std::uint8_t* rows[kScaleRows];
    alignas(16) std::uint8_t padded[kScaleRows][kBlockGroups];
    for (std::int64_t i = 0; i < kScaleRows; ++i) {
      const std::int64_t row = n + o + i < args.row_end ? n + o + i : args.row_end - 1;
      rows[i] = args.weight.scales + row * groups + at / kFp4Group;
      if (at / kFp4Group % 64 == 0) __builtin_prefetch(rows[i] + ahead, 0, 2);  // as CodedBytes does with codes
      if (left >= kBlockGroups) continue;
      __builtin_memset(padded[i], rows[i][0], kBlockGroups);
      __builtin_memcpy(padded[i], rows[i], static_cast<std::size_t>(left));
      rows[i] = padded[i];
    }
    FoldScaleRows(rows, fold.shift[0][o], fold.weight_scale + o, bounds);
  }
  return bounds;
}

/// Shifts and scales of `outputs` rows from n in the block of column `at`; the passes that it takes.
template <Format kFormat>
[[gnu::always_inline]] inline Passes BlockPasses(const ByteLinearArgs& args, std::int64_t n, std::int64_t outputs, std::int64_t at, ByteFold& fold) noexcept {
  if constexpr (kFormat == Format::kInt8) return {1, true};
  if constexpr (kFormat == Format::kFp8) {
    Folded folded = Folded::kPlain;
    for (std::int64_t o = 0; o < outputs; o += kFp8Fold) folded = Worse(folded, FoldFp8Outputs(args, n, o, at, fold));
    return {folded == Folded::kNot ? 0 : 1, folded == Folded::kPlain};
  }
  const ScaleBounds bounds = FoldFp4Outputs(args, n, outputs, at, fold);
  if (AnyAbove(bounds.spread, kMostSpread) || AnyBelow(bounds.least, 127 - kModerateByteExponent) || AnyAbove(bounds.most, 127 + kModerateByteExponent)) return {0, false};
  if (!AnyAbove(bounds.spread, kPassShifts - 1)) return {1, true};
  const int count = AnyAbove(bounds.spread, 2 * kPassShifts - 1) ? 3 : 2;
  for (std::int64_t o = 0; o < outputs; ++o) {
    const __m128i shifts = _mm_srli_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(fold.shift[0][o])), 4);
    for (int pass = 0; pass < count; ++pass) {
      const __m128i relative = _mm_sub_epi8(shifts, _mm_set1_epi8(static_cast<char>(pass * kPassShifts)));
      const __m128i taken = _mm_cmpeq_epi8(_mm_and_si128(relative, _mm_set1_epi8(static_cast<char>(~(kPassShifts - 1)))), _mm_setzero_si128());
      const __m128i shift = _mm_blendv_epi8(_mm_set1_epi8(static_cast<char>(kLeftOut)), _mm_slli_epi16(_mm_and_si128(relative, taken), 4), taken);
      _mm_store_si128(reinterpret_cast<__m128i*>(fold.shift[pass][o]), shift);
    }
  }
  return {count, false};
}

/// sum + the block's t, in the order of the format; of kInt8 whole numbers until the end.
template <Format kFormat>
[[gnu::always_inline]] inline Lanes AddByteBlock(Ints t, Lanes x_scale, Lanes weight_scale, Lanes sum) noexcept {
  if constexpr (kFormat == Format::kInt8) return FromBits(AddInts(Bits(sum), t));
  return Fma(ToFloats(t), Mul(x_scale, weight_scale), sum);
}

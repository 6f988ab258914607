// How linear layers read their operands: weights from the row-major bytes of the checkpoint, x and the scales of both.

inline constexpr std::int64_t kBlock = 128, kPair = 2 * kLanes, kWeightGroup = 32;

/// Where a weight's scale is applied.
enum class ScalePlace { kNone, kAtBlock, kAtWeight };

// How a weight row is read: Load gives 32 numbers from column `at`, with their scale where it stands at the weight. Fp8Row's are 2^-8 of
// the codes' values, Fp4Row's are even columns and odd columns.

struct F32Row {
  static constexpr ScalePlace kScale = ScalePlace::kNone;
  [[gnu::always_inline]] static void Load(const std::byte* row, std::int64_t at, float, Lanes (&w)[2]) noexcept {
    w[0] = LoadFloats(row + 4 * at);
    w[1] = LoadFloats(row + 4 * (at + kLanes));
  }
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return 4 * columns; }
};
struct Bf16Row {
  static constexpr ScalePlace kScale = ScalePlace::kNone;
  [[gnu::always_inline]] static void Load(const std::byte* row, std::int64_t at, float, Lanes (&w)[2]) noexcept {
    w[0] = LoadBf16(row + 2 * at);
    w[1] = LoadBf16(row + 2 * (at + kLanes));
  }
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return 2 * columns; }
};
struct Fp8Row {
  static constexpr ScalePlace kScale = ScalePlace::kAtBlock;
  [[gnu::always_inline]] static void Load(const std::byte* row, std::int64_t at, float, Lanes (&w)[2]) noexcept {
    w[0] = LoadE4m3(row + at);
    w[1] = LoadE4m3(row + at + kLanes);
  }
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return columns; }
};
struct Fp4Row {
  static constexpr ScalePlace kScale = ScalePlace::kAtWeight;
  [[gnu::always_inline]] static void Load(const std::byte* row, std::int64_t at, float scale, Lanes (&w)[2]) noexcept { LoadE2m1(row + at / 2, scale, w); }
  [[gnu::always_inline]] static constexpr std::int64_t Bytes(std::int64_t columns) noexcept { return columns / 2; }
};

/// Whether even and odd columns are apart.
template <class Row>
inline constexpr bool kSeparate = Row::kScale == ScalePlace::kAtWeight;

/// 32 numbers of a row of which `count` are left: zeros behind them; reads nothing past the row.
template <class Row>
[[gnu::always_inline]] inline void LoadWeights(const std::byte* row, std::int64_t at, std::int64_t count, float scale, Lanes (&w)[2]) noexcept {
  if (count >= kPair) return Row::Load(row, at, scale, w);
  alignas(64) std::byte codes[4 * kPair] = {};
  __builtin_memcpy(codes, row + Row::Bytes(at), static_cast<std::size_t>(Row::Bytes(count)));
  Row::Load(codes, 0, scale, w);
}

[[gnu::always_inline]] inline Lanes LoadRest(const float* p, std::int64_t count) noexcept {
  return count >= kLanes ? Load(p) : count > 0 ? LoadPart(p, count) : Zero();
}
/// 32 numbers of x in the order of Row's, of which `count` are left.
template <class Row>
[[gnu::always_inline]] inline void LoadX(const float* x, std::int64_t count, Lanes (&out)[2]) noexcept {
  out[0] = LoadRest(x, count);
  out[1] = LoadRest(x + kLanes, count - kLanes);
  if constexpr (kSeparate<Row>) Separate(out);
}

[[gnu::always_inline]] inline const float* XRow(const LinearArgs& args, std::int64_t r) noexcept {
  return args.x + (args.x_rows != nullptr ? args.x_rows[r] : r) * args.x_stride;
}
[[gnu::always_inline]] inline const float* XScales(const LinearArgs& args, std::int64_t r) noexcept {
  return args.x_scales == nullptr ? nullptr : args.x_scales + (args.x_rows != nullptr ? args.x_rows[r] : r) * args.scale_stride;
}
[[gnu::always_inline]] inline const std::byte* WeightRow(const Matrix& w, std::int64_t n) noexcept { return w.data + n * RowBytes(w.format, w.k); }
[[gnu::always_inline]] inline const std::uint8_t* WeightScales(const Matrix& w, std::int64_t n) noexcept {
  if (w.scales == nullptr) return nullptr;
  return w.format == Format::kFp8 ? w.scales + n / 128 * ((w.k + 127) / 128) : w.scales + n * ((w.k + 31) / 32);
}
/// 2^(code − 127) of a code in 1..254.
[[gnu::always_inline]] inline float PowerOfTwo(std::uint8_t code) noexcept { return __builtin_bit_cast(float, static_cast<std::uint32_t>(code) << 23); }

/// The scale of the weights from column `at`, where it stands at the weight.
template <class Row>
[[gnu::always_inline]] inline float WeightScale(const std::uint8_t* scales, std::int64_t at) noexcept {
  return Row::kScale == ScalePlace::kAtWeight ? PowerOfTwo(scales[at / kWeightGroup]) : 1.0f;
}
/// What the block of column `at` must be multiplied with beside the scale of x.
template <class Row>
[[gnu::always_inline]] inline float BlockScale(const std::uint8_t* scales, std::int64_t at) noexcept {
  return Row::kScale == ScalePlace::kAtBlock ? PowerOfTwo(scales[at / kBlock]) * 0x1p8f : 1.0f;
}
[[gnu::always_inline]] inline int ExponentOf(float power_of_two) noexcept {
  const auto field = static_cast<int>(__builtin_bit_cast(std::uint32_t, power_of_two) >> 23 & 0xFFu);
  return field == 0 ? -127 : field - 127;
}

/// Scales of 2^-kModerateExponent to 2^kModerateExponent are moderate: every product of two is a normal number with room to spare.
inline constexpr int kModerateExponent = 50;

/// Whether all scales are moderate, and no two of one operand, nor one of them and 1, further apart than 2^kSpan.
template <class Row, int kSpan = 2 * kModerateExponent>
[[gnu::always_inline]] inline bool ModerateScales(const LinearArgs& args) noexcept {
  if constexpr (Row::kScale != ScalePlace::kNone) {
    const std::uint8_t* scales = WeightScales(args.weight, args.row_begin);
    const std::int64_t columns = ScaleColumns(args.weight.format);
    const std::int64_t count = WeightScales(args.weight, args.row_end - 1) - scales + (args.weight.k + columns - 1) / columns;
    std::uint8_t lowest = 127, highest = 127;
    for (std::int64_t i = 0; i < count; ++i) {
      lowest = scales[i] < lowest ? scales[i] : lowest;
      highest = scales[i] > highest ? scales[i] : highest;
    }
    if (lowest < 127 - kModerateExponent || highest > 127 + kModerateExponent || highest - lowest > kSpan) return false;
  }
  if (args.x_scales == nullptr) return true;
  int lowest = 0, highest = 0;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const float* scales = XScales(args, r);
    for (std::int64_t g = 0; g < (args.weight.k + kBlock - 1) / kBlock; ++g) {
      const int exponent = ExponentOf(scales[g]);
      lowest = exponent < lowest ? exponent : lowest;
      highest = exponent > highest ? exponent : highest;
    }
  }
  return lowest >= -kModerateExponent && highest <= kModerateExponent && highest - lowest <= kSpan;
}

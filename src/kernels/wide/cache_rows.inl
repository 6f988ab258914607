// Quantisation of activations and the stored forms of cached rows. Everything here is exact or rounds as the reference does: equal bits.

/// codes of `count` numbers divided by a power of two.
template <Lanes (*kRound)(Lanes)>
[[gnu::always_inline]] inline void DivideAndRound(const float* x, std::int64_t count, float scale, float* out) noexcept {
  const Lanes divisor = Set1(scale);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(out + i, kRound(Div(Load(x + i), divisor)));
  if (i < count) StorePart(out + i, kRound(Div(LoadPart(x + i, count - i), divisor)), count - i);
}

void Quantize(const QuantizeArgs& args) noexcept {
  const std::int64_t groups = (args.k + kActivationGroup - 1) / kActivationGroup;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = g * kActivationGroup, count = args.k - begin < kActivationGroup ? args.k - begin : kActivationGroup;
      const float* x = args.x + r * args.k + begin;
      const float scale = tensor::FromE8m0(tensor::PowerOfTwoCeiling(LargestMagnitude(x, count), tensor::kE4m3Largest, tensor::kE4m3Floor));
      DivideAndRound<RoundE4m3>(x, count, scale, args.codes + r * args.k + begin);
      args.scales[r * groups + g] = scale;
    }
  }
}

/// The first `count` (<= 16) bytes of the lanes' low bytes.
[[gnu::always_inline]] inline void StoreBytesPart(std::byte* out, Ints codes, std::int64_t count) noexcept {
  alignas(16) std::byte bytes[16];
  StoreBytes(bytes, codes);
  __builtin_memcpy(out, bytes, static_cast<std::size_t>(count));
}

void PackKv(const PackKvArgs& args) noexcept {
  const KvRowLayout& layout = args.layout;
  if (layout.format == RowFormat::kF32) {
    __builtin_memcpy(args.row, args.x, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  __builtin_memset(args.row + layout.ScaleOffset(), 0, static_cast<std::size_t>(layout.RowBytes() - layout.ScaleOffset()));
  for (std::int64_t g = 0; g < layout.Groups(); ++g) {
    const std::int64_t begin = g * kKvGroup, end = begin + kKvGroup < layout.CodeBytes() ? begin + kKvGroup : layout.CodeBytes();
    const std::uint8_t code = tensor::PowerOfTwoCeiling(LargestMagnitude(args.x + begin, end - begin), tensor::kE4m3Largest, tensor::kE4m3Floor);
    args.row[layout.ScaleOffset() + g] = static_cast<std::byte>(code);
    const Lanes scale = Set1(tensor::FromE8m0(code));
    for (std::int64_t i = begin; i < end; i += kLanes) {
      const std::int64_t count = end - i < kLanes ? end - i : kLanes;
      const Lanes x = count == kLanes ? Load(args.x + i) : LoadPart(args.x + i, count);
      StoreBytesPart(args.row + i, E4m3Code(RoundE4m3(Div(x, scale))), count);
    }
  }
  for (std::int64_t i = 0; i < layout.rope_dim; ++i) {
    const std::uint16_t code = tensor::ToBf16(args.x[layout.CodeBytes() + i]);
    __builtin_memcpy(args.row + layout.CodeBytes() + 2 * i, &code, 2);
  }
}

[[gnu::always_inline]] inline Lanes UnpackCodes(const std::byte* codes, std::uint8_t scale_code, std::int64_t count) noexcept {
  alignas(16) std::byte whole[16] = {};
  if (count < kLanes) {
    __builtin_memcpy(whole, codes, static_cast<std::size_t>(count));
    codes = whole;
  }
  // Two factors: a code is held times 2^-8, and the largest scales times 2^8 are no numbers. The product has few bits: exact.
  return RoundBf16(Mul(Mul(LoadE4m3(codes), Set1(0x1p8f)), Set1(tensor::FromE8m0(scale_code))));
}

// Where a scale is not larger or smaller than 2 to this, its products with e4m3 values are exact in bf16: nothing is left to round.
inline constexpr int kPlainExponent = 100;

[[gnu::always_inline]] inline void UnpackKvRow(const KvRowLayout& layout, const std::byte* row, float* x) noexcept {
  if (layout.format == RowFormat::kF32) {
    __builtin_memcpy(x, row, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  const std::int64_t codes = layout.CodeBytes();
  const std::byte* scales = row + layout.ScaleOffset();
  std::int64_t i = 0;
  for (; i + kKvGroup <= codes; i += kKvGroup) {
    const auto scale_code = static_cast<std::uint8_t>(scales[i / kKvGroup]);
    if (scale_code < 127 - kPlainExponent || scale_code > 127 + kPlainExponent) [[unlikely]] break;
    const Lanes scale = Set1(tensor::FromE8m0(static_cast<std::uint8_t>(scale_code + 8)));
#pragma GCC unroll 4
    for (std::int64_t j = i; j < i + kKvGroup; j += kLanes) Store(x + j, Mul(LoadE4m3(row + j), scale));
  }
  for (; i + kLanes <= codes; i += kLanes) Store(x + i, UnpackCodes(row + i, static_cast<std::uint8_t>(scales[i / kKvGroup]), kLanes));
  if (i < codes) StorePart(x + i, UnpackCodes(row + i, static_cast<std::uint8_t>(scales[i / kKvGroup]), codes - i), codes - i);
  for (i = 0; i + kLanes <= layout.rope_dim; i += kLanes) Store(x + codes + i, LoadBf16(row + codes + 2 * i));
  for (; i < layout.rope_dim; ++i) {
    std::uint16_t code;
    __builtin_memcpy(&code, row + codes + 2 * i, 2);
    x[codes + i] = tensor::FromBf16(code);
  }
}

void UnpackKv(const UnpackKvArgs& args) noexcept { UnpackKvRow(args.layout, args.row, args.x); }

/// One butterfly stage inside sixteen lanes: lane i of a pair becomes a + b, lane i + kHalf a − b.
template <int kHalf>
[[gnu::always_inline]] inline Lanes Butterfly(Lanes x) noexcept {
  alignas(64) static constexpr struct Signs {
    std::uint32_t bits[16];
    constexpr Signs() noexcept : bits{} {
      for (int i = 0; i < 16; ++i) bits[i] = (i & kHalf) != 0 ? 0x80000000u : 0u;
    }
  } kSigns;
  return Add(Swap<kHalf>(x), FromBits(Xor(Bits(x), LoadInts(kSigns.bits))));
}

/// Hadamard transform times dim^-0.5, rounded to bf16, in place (A.5).
[[gnu::always_inline]] inline void Hadamard(float* x, std::int64_t dim) noexcept {
  const Lanes factor = Set1(static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(dim))));
  const std::int64_t part = dim < kLanes ? dim : kLanes;
  for (std::int64_t i = 0; i < dim; i += kLanes) {
    Lanes v = LoadPart(x + i, part);
    if (dim > 1) v = Butterfly<1>(v);
    if (dim > 2) v = Butterfly<2>(v);
    if (dim > 4) v = Butterfly<4>(v);
    if (dim > 8) v = Butterfly<8>(v);
    StorePart(x + i, v, part);
  }
  for (std::int64_t half = kLanes; half < dim; half *= 2) {
    for (std::int64_t begin = 0; begin < dim; begin += 2 * half) {
      for (std::int64_t i = begin; i < begin + half; i += kLanes) {
        const Lanes a = Load(x + i), b = Load(x + i + half);
        Store(x + i, Add(a, b));
        Store(x + i + half, Sub(a, b));
      }
    }
  }
  for (std::int64_t i = 0; i < dim; i += kLanes) StorePart(x + i, RoundBf16(Mul(LoadPart(x + i, part), factor)), part);
}

void IndexQuantize(const IndexQuantizeArgs& args) noexcept {
  for (std::int64_t v = 0; v < args.vectors; ++v) {
    float* x = args.x + v * args.dim;
    Hadamard(x, args.dim);
    for (std::int64_t begin = 0; begin < args.dim; begin += kIndexGroup) {
      const std::int64_t end = begin + kIndexGroup < args.dim ? begin + kIndexGroup : args.dim;
      const float scale = tensor::FromE8m0(tensor::PowerOfTwoCeiling(LargestMagnitude(x + begin, end - begin), tensor::kE2m1Largest, tensor::kE2m1Floor));
      for (std::int64_t i = begin; i < end; i += kLanes) {
        const std::int64_t part = end - i < kLanes ? end - i : kLanes;
        StorePart(x + i, RoundBf16(Mul(RoundE2m1(Div(LoadPart(x + i, part), Set1(scale))), Set1(scale))), part);
      }
    }
  }
}

void PackIndex(const PackIndexArgs& args) noexcept {
  const IndexRowLayout& layout = args.layout;
  if (layout.format == RowFormat::kF32) {
    __builtin_memcpy(args.row, args.x, static_cast<std::size_t>(4 * layout.dim));
    return;
  }
  __builtin_memcpy(args.scratch, args.x, static_cast<std::size_t>(4 * layout.dim));
  Hadamard(args.scratch, layout.dim);
  for (std::int64_t g = 0; g < layout.Groups(); ++g) {
    const std::int64_t begin = g * kIndexGroup, end = begin + kIndexGroup < layout.dim ? begin + kIndexGroup : layout.dim;
    const std::uint8_t scale_code = tensor::PowerOfTwoCeiling(LargestMagnitude(args.scratch + begin, end - begin), tensor::kE2m1Largest, tensor::kE2m1Floor);
    args.row[layout.dim / 2 + g] = static_cast<std::byte>(scale_code);
    for (std::int64_t i = begin; i < end; i += kLanes) {
      const std::int64_t part = end - i < kLanes ? end - i : kLanes;
      alignas(16) std::uint8_t codes[16];
      StoreBytes(reinterpret_cast<std::byte*>(codes), E2m1Code(RoundE2m1(Div(LoadPart(args.scratch + i, part), Set1(tensor::FromE8m0(scale_code))))));
      for (std::int64_t j = 0; j < part; j += 2) args.row[(i + j) / 2] = static_cast<std::byte>(codes[j] | (codes[j + 1] << 4));
    }
  }
}

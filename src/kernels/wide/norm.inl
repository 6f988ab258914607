// Norms and the rotation of positions.

/// Σ round(x²) by FMA: four sets of lanes take turns and are added in pairs at the end.
template <bool kRoundSquares>
[[gnu::always_inline]] inline float SumOfSquares(const float* x, std::int64_t count) noexcept {
  Lanes sums[4] = {Zero(), Zero(), Zero(), Zero()};
  const auto add = [](Lanes v, Lanes sum) __attribute__((always_inline)) { return kRoundSquares ? Add(RoundBf16(Mul(v, v)), sum) : Fma(v, v, sum); };
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = add(Load(x + i + j * kLanes), sums[j]);
  }
  for (; i + kLanes <= count; i += kLanes) sums[0] = add(Load(x + i), sums[0]);
  if (i < count) sums[1] = add(LoadPart(x + i, count - i), sums[1]);
  return Sum(Add(Add(sums[0], sums[1]), Add(sums[2], sums[3])));
}

float RootMean(const RootMeanArgs& args) noexcept {
  return 1.0f / __builtin_sqrtf(SumOfSquares<false>(args.x, args.d) / static_cast<float>(args.d) + args.eps);
}

void Norm(const NormArgs& args) noexcept {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.x_stride;
    float* out = args.out + r * args.d;
    const Lanes factor = Set1(RootMean({x, args.d, args.eps}));
    std::int64_t i = 0;
    for (; i + kLanes <= args.d; i += kLanes) Store(out + i, RoundAs(Mul(Load(args.weight + i), Mul(Load(x + i), factor)), args.rounding));
    const std::int64_t rest = args.d - i;
    if (rest > 0) StorePart(out + i, RoundAs(Mul(LoadPart(args.weight + i, rest), Mul(LoadPart(x + i, rest), factor)), args.rounding), rest);
  }
}

void HeadNorm(const HeadNormArgs& args) noexcept {
  for (std::int64_t v = 0; v < args.vectors; ++v) {
    float* x = args.x + v * args.d;
    const float sum = args.rounding == Rounding::kBf16 ? SumOfSquares<true>(x, args.d) : SumOfSquares<false>(x, args.d);
    const float mean = RoundOne(sum / static_cast<float>(args.d), args.rounding);
    const float shifted = RoundOne(mean + args.eps, args.rounding);
    const Lanes factor = Set1(RoundOne(static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(shifted))), args.rounding));
    std::int64_t i = 0;
    for (; i + kLanes <= args.d; i += kLanes) Store(x + i, RoundAs(Mul(Load(x + i), factor), args.rounding));
    if (i < args.d) StorePart(x + i, RoundAs(Mul(LoadPart(x + i, args.d - i), factor), args.rounding), args.d - i);
  }
}

void Rotate(const RotateArgs& args) noexcept {
  const std::int64_t pairs = args.rope_dim / 2;
  // a·cos − b·sin in the even lanes, b·cos + a·sin in the odd ones: the sign goes to the sine.
  alignas(64) static constexpr std::uint32_t kSigns[16] = {0x80000000u, 0, 0x80000000u, 0, 0x80000000u, 0, 0x80000000u, 0,
                                                           0x80000000u, 0, 0x80000000u, 0, 0x80000000u, 0, 0x80000000u, 0};
  const Ints signs = args.inverse ? Xor(LoadInts(kSigns), SetInts(static_cast<int>(0x80000000u))) : LoadInts(kSigns);
  for (std::int64_t v = 0; v < args.vectors; ++v) {
    float* x = args.x + v * args.d + args.d - args.rope_dim;
    std::int64_t i = 0;
    for (; i + 8 <= pairs; i += 8) {
      const Lanes value = Load(x + 2 * i), sine = FromBits(Xor(Bits(LoadTwice(args.sine + i)), signs));
      Store(x + 2 * i, RoundAs(Add(Mul(value, LoadTwice(args.cosine + i)), Mul(Swap<1>(value), sine)), args.rounding));
    }
    for (; i < pairs; ++i) {
      const float cosine = args.cosine[i], sine = args.inverse ? -args.sine[i] : args.sine[i];
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = RoundOne(a * cosine - b * sine, args.rounding);
      x[2 * i + 1] = RoundOne(b * cosine + a * sine, args.rounding);
    }
  }
}

// Functions of sixteen numbers, built from the lanes of the instruction set.

[[gnu::always_inline]] inline Lanes Magnitude(Lanes a) noexcept { return FromBits(And(Bits(a), SetInts(0x7FFFFFFF))); }
[[gnu::always_inline]] inline Ints SignBit(Lanes a) noexcept { return And(Bits(a), SetInts(static_cast<int>(0x80000000u))); }
[[gnu::always_inline]] inline Lanes RoundAs(Lanes a, Rounding rounding) noexcept { return rounding == Rounding::kBf16 ? RoundBf16(a) : a; }
[[gnu::always_inline]] inline float RoundOne(float a, Rounding rounding) noexcept { return rounding == Rounding::kBf16 ? tensor::RoundToBf16(a) : a; }

/// e^x within about one ulp: exactly 1 at 0, 0 below −104, infinity above 88.8; NaN stays NaN.
[[gnu::always_inline]] inline Lanes Exp(Lanes x) noexcept {
  x = Min(Set1(89.0f), Max(Set1(-104.0f), x));
  const Lanes n = Nearest(Mul(x, Set1(1.44269504f)));
  // ln 2 in two parts: n times the first is exact.
  Lanes r = Fma(n, Set1(-0.693359375f), x);
  r = Fma(n, Set1(2.12194440e-4f), r);
  Lanes p = Set1(1.0f / 5040.0f);  // the series of (e^r − 1 − r) / r², |r| <= ln 2 / 2
  p = Fma(p, r, Set1(1.0f / 720.0f));
  p = Fma(p, r, Set1(1.0f / 120.0f));
  p = Fma(p, r, Set1(1.0f / 24.0f));
  p = Fma(p, r, Set1(1.0f / 6.0f));
  p = Fma(p, r, Set1(0.5f));
  p = Add(Fma(p, Mul(r, r), r), Set1(1.0f));
  // 2^n in two factors, so that results beyond the normal numbers round once.
  const Ints whole = ToInts(n), half = ShiftSigned<1>(whole), rest = SubInts(whole, half);
  const Lanes first = FromBits(ShiftLeft<23>(AddInts(half, SetInts(127)))), second = FromBits(ShiftLeft<23>(AddInts(rest, SetInts(127))));
  return Mul(Mul(p, first), second);
}
[[gnu::always_inline]] inline float ExpOne(float x) noexcept { return Largest(Exp(Set1(x))); }

/// ln(1 + t) for t in [0, 1], within about two ulp.
[[gnu::always_inline]] inline Lanes LogOnePlus(Lanes t) noexcept {
  // atanh form: ln(1 + t) = 2·atanh(z), z = t / (2 + t) <= 1/3.
  const Lanes z = Div(t, Add(t, Set1(2.0f))), square = Mul(z, z);
  Lanes p = Set1(2.0f / 15.0f);
  p = Fma(p, square, Set1(2.0f / 13.0f));
  p = Fma(p, square, Set1(2.0f / 11.0f));
  p = Fma(p, square, Set1(2.0f / 9.0f));
  p = Fma(p, square, Set1(2.0f / 7.0f));
  p = Fma(p, square, Set1(2.0f / 5.0f));
  p = Fma(p, square, Set1(2.0f / 3.0f));
  return Fma(Mul(p, square), z, Add(z, z));
}

/// A small format with a sign, kMantissa explicit bits and the smallest normal number 2^kSmallest: nearest values, ties to even, saturating at
/// `largest`. The sign of zero is kept.
template <int kMantissa, int kSmallest>
[[gnu::always_inline]] inline Lanes RoundSmall(Lanes a, float largest) noexcept {
  constexpr int kDropped = 23 - kMantissa;
  const Lanes m = Min(Magnitude(a), Set1(largest));
  const Ints odd = And(ShiftRight<kDropped>(Bits(m)), SetInts(1));
  const Ints normal = And(AddInts(Bits(m), AddInts(odd, SetInts((1 << (kDropped - 1)) - 1))), SetInts(~((1 << kDropped) - 1)));
  // Adding 2^(23 + step) leaves no bits below the step of the subnormals.
  const Lanes shift = FromBits(SetInts((127 + 23 + kSmallest - kMantissa) << 23));
  const Lanes subnormal = Sub(Add(m, shift), shift);
  const Lanes rounded = Select(Less(m, FromBits(SetInts((127 + kSmallest) << 23))), subnormal, FromBits(normal));
  return FromBits(Or(Bits(rounded), SignBit(a)));
}
[[gnu::always_inline]] inline Lanes RoundE4m3(Lanes a) noexcept { return RoundSmall<3, -6>(a, tensor::kE4m3Largest); }
[[gnu::always_inline]] inline Lanes RoundE2m1(Lanes a) noexcept { return RoundSmall<1, 0>(a, tensor::kE2m1Largest); }

/// The codes of values of the format; the sign is bit kBits − 1.
template <int kBits, int kMantissa, int kSmallest>
[[gnu::always_inline]] inline Ints SmallCode(Lanes value) noexcept {
  const Lanes m = Magnitude(value);
  const Ints normal = SubInts(ShiftRight<23 - kMantissa>(Bits(m)), SetInts((126 + kSmallest) << kMantissa));
  const Ints subnormal = ToInts(Mul(m, FromBits(SetInts((127 + kMantissa - kSmallest) << 23))));
  const Ints code = SelectInts(Less(m, FromBits(SetInts((127 + kSmallest) << 23))), subnormal, normal);
  return Or(code, ShiftRight<32 - kBits>(SignBit(value)));
}
[[gnu::always_inline]] inline Ints E4m3Code(Lanes value) noexcept { return SmallCode<8, 3, -6>(value); }
[[gnu::always_inline]] inline Ints E2m1Code(Lanes value) noexcept { return SmallCode<4, 1, 0>(value); }

/// max |x[i]|; NaN counts for nothing.
[[gnu::always_inline]] inline float LargestMagnitude(const float* x, std::int64_t count) noexcept {
  Lanes largest = Zero();
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) largest = Max(Magnitude(Load(x + i)), largest);
  if (i < count) largest = Max(Magnitude(LoadPart(x + i, count - i)), largest);
  return Largest(largest);
}

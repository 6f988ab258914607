// Residual streams, experts' activation and other arithmetic per element. Sums and products round as the reference's do: equal bits, but
// for the functions built on Exp.

/// Calls body(i, part) for every sixteen of `count` elements; part is 16 but at the end.
template <class Body>
[[gnu::always_inline]] inline void ForLanes(std::int64_t count, Body body) noexcept {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}
[[gnu::always_inline]] inline Lanes LoadUpTo(const float* p, std::int64_t part) noexcept { return part == kLanes ? Load(p) : LoadPart(p, part); }
[[gnu::always_inline]] inline void StoreUpTo(float* p, Lanes a, std::int64_t part) noexcept {
  if (part == kLanes) {
    Store(p, a);
  } else {
    StorePart(p, a, part);
  }
}

/// What computes mixing weights of other than four streams.
void (*mix_below)(const MixArgs&) noexcept = nullptr;

/// a / (sum + eps) of four lanes each, summed in rising order: of the lanes of a quarter, and of the same lane of all quarters.
[[gnu::always_inline]] inline Lanes NormaliseRows(Lanes a, Lanes eps) noexcept {
  return Div(a, Add(Add(Add(Add(InQuarters<0>(a), InQuarters<1>(a)), InQuarters<2>(a)), InQuarters<3>(a)), eps));
}
[[gnu::always_inline]] inline Lanes NormaliseColumns(Lanes a, Lanes eps) noexcept {
  return Div(a, Add(Add(Add(Add(Quarter<0>(a), Quarter<1>(a)), Quarter<2>(a)), Quarter<3>(a)), eps));
}

/// Four streams: comb is sixteen lanes, its rows their quarters. kRows rows side by side, as each is a long chain of dependent divisions.
template <int kRows>
[[gnu::always_inline]] inline void MixFour(const MixArgs& args, std::int64_t first) noexcept {
  constexpr std::int64_t kWidth = 24;
  const Lanes one = Set1(1.0f), eps = Set1(args.eps);
  alignas(64) float scale[8], sigmoid[8];
  for (int i = 0; i < 8; ++i) scale[i] = args.scale[i / 4];
  Lanes comb[kRows];
  for (int r = 0; r < kRows; ++r) {
    const float* raw = args.raw + (first + r) * kWidth;
    float* mix = args.mix + (first + r) * kWidth;
    const Lanes factor = Set1(args.factor[first + r]);
    const Lanes row = Add(Mul(Mul(Load(raw + 8), factor), Set1(args.scale[2])), Load(args.base + 8));
    const Lanes m = Add(Mul(Mul(LoadPart(raw, 8), factor), LoadPart(scale, 8)), LoadPart(args.base, 8));
    StorePart(sigmoid, Div(one, Add(one, Exp(Sub(Zero(), m)))), 8);
    for (int j = 0; j < 4; ++j) mix[j] = sigmoid[j] + args.eps;
    for (int j = 0; j < 4; ++j) mix[4 + j] = 2.0f * sigmoid[4 + j];
    const Lanes largest = Max(Max(InQuarters<0>(row), InQuarters<1>(row)), Max(InQuarters<2>(row), InQuarters<3>(row)));
    comb[r] = NormaliseColumns(Add(NormaliseRows(Exp(Sub(row, largest)), Zero()), eps), eps);
  }
  for (std::int64_t pass = 1; pass < args.iterations; ++pass) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) comb[r] = NormaliseColumns(NormaliseRows(comb[r], eps), eps);
  }
  for (int r = 0; r < kRows; ++r) Store(args.mix + (first + r) * kWidth + 8, comb[r]);
}

void Mix(const MixArgs& args) noexcept {
  if (args.streams != 4) return mix_below(args);
  std::int64_t r = 0;
  for (; r + 4 <= args.rows; r += 4) MixFour<4>(args, r);
  for (; r + 2 <= args.rows; r += 2) MixFour<2>(args, r);
  if (r < args.rows) MixFour<1>(args, r);
}

void Collapse(const CollapseArgs& args) noexcept {
  ForLanes(args.d, [&](std::int64_t i, std::int64_t part) __attribute__((always_inline)) {
    Lanes sum = Zero();
    for (std::int64_t j = 0; j < args.n; ++j) sum = Add(sum, Mul(Set1(args.pre[j]), LoadUpTo(args.streams + j * args.d + i, part)));
    StoreUpTo(args.x + i, RoundAs(sum, args.rounding), part);
  });
}

/// kStreams 0: args.n of them.
template <int kStreams>
[[gnu::always_inline]] inline void ExpandStreams(const ExpandArgs& args) noexcept {
  const std::int64_t n = kStreams == 0 ? args.n : kStreams;
  ForLanes(args.d, [&](std::int64_t i, std::int64_t part) __attribute__((always_inline)) {
    Lanes x[kStreams == 0 ? kMaxStreams : kStreams];
    for (std::int64_t j = 0; j < n; ++j) x[j] = LoadUpTo(args.streams + j * args.d + i, part);
    const Lanes f = LoadUpTo(args.f + i, part);
    for (std::int64_t k = 0; k < n; ++k) {
      Lanes sum = Zero();
      for (std::int64_t j = 0; j < n; ++j) sum = Add(sum, Mul(Set1(args.comb[j * n + k]), x[j]));
      StoreUpTo(args.streams + k * args.d + i, RoundAs(Add(sum, Mul(Set1(args.post[k]), f)), args.rounding), part);
    }
  });
}

void Expand(const ExpandArgs& args) noexcept {
  if (args.n == 4) return ExpandStreams<4>(args);
  ExpandStreams<0>(args);
}

void RouterScore(const RouterScoreArgs& args) noexcept {
  ForLanes(args.count, [&](std::int64_t i, std::int64_t part) __attribute__((always_inline)) {
    const Lanes logit = LoadUpTo(args.logit + i, part);
    const Lanes softplus = Add(Max(logit, Zero()), LogOnePlus(Exp(Sub(Zero(), Magnitude(logit)))));
    StoreUpTo(args.logit + i, Sqrt(softplus), part);
  });
}

void Swiglu(const SwigluArgs& args) noexcept {
  const Lanes one = Set1(1.0f), weight = Set1(args.weight);
  ForLanes(args.count, [&](std::int64_t i, std::int64_t part) __attribute__((always_inline)) {
    Lanes gate = LoadUpTo(args.gate + i, part), up = LoadUpTo(args.up + i, part);
    if (args.limit > 0.0f) {
      gate = Min(Set1(args.limit), gate);
      up = Min(Set1(args.limit), Max(Set1(-args.limit), up));
    }
    const Lanes sigmoid = Div(one, Add(one, Exp(Sub(Zero(), gate))));
    StoreUpTo(args.out + i, RoundAs(Mul(Mul(Mul(gate, sigmoid), up), weight), args.rounding), part);
  });
}

void AddTo(const AddArgs& args) noexcept {
  ForLanes(args.count, [&](std::int64_t i, std::int64_t part) __attribute__((always_inline)) {
    StoreUpTo(args.y + i, Add(LoadUpTo(args.y + i, part), LoadUpTo(args.x + i, part)), part);
  });
}

void RoundVector(const RoundArgs& args) noexcept {
  ForLanes(args.count, [&](std::int64_t i, std::int64_t part) __attribute__((always_inline)) {
    StoreUpTo(args.x + i, RoundBf16(LoadUpTo(args.x + i, part)), part);
  });
}

// What every attention over sixteen lanes has beside its products: the running softmax of a block, the end, and the way to scattered rows.

[[gnu::always_inline]] inline std::int64_t AtMost(std::int64_t i, std::int64_t last) noexcept { return i < last ? i : last; }

struct AttendState {
  float* rows;     // [kAttendBlock, dim] unpacked
  float* p;        // [heads, kAttendBlock] scores, then weights
  float* largest;  // [heads]
  float* den;      // [heads]
  float* rescale;  // [heads]
};

/// Turns a head's scores into weights exp(s − M) and carries M, the denominator and the factor of what was summed before.
[[gnu::always_inline]] inline void Softmax(const AttendArgs& args, const AttendState& state, std::int64_t head, std::int64_t rows, bool first) noexcept {
  float* p = state.p + head * kAttendBlock;
  const std::int64_t filled = (rows + 2 * kLanes - 1) / (2 * kLanes) * (2 * kLanes);  // what is read as pairs of rows
  for (std::int64_t r = rows; r < filled; ++r) p[r] = -__builtin_inff();
  Lanes largest = Load(p);
  for (std::int64_t r = kLanes; r < filled; r += kLanes) largest = Max(largest, Load(p + r));
  const float block = Largest(largest), before = first ? -__builtin_inff() : state.largest[head];
  const float now = before > block ? before : block;
  Lanes sum = Zero();
  for (std::int64_t r = 0; r < filled; r += kLanes) {
    const Lanes weight = Exp(Sub(Load(p + r), Set1(now)));
    sum = Add(sum, weight);
    Store(p + r, RoundAs(weight, args.rounding));
  }
  state.rescale[head] = first ? 0.0f : ExpOne(before - now);
  state.den[head] = (first ? 0.0f : state.den[head] * state.rescale[head]) + Sum(sum);
  state.largest[head] = now;
}

/// out /= den + exp(sink − M), rounded.
[[gnu::always_inline]] inline void Divide(const AttendArgs& args, const AttendState& state) noexcept {
  const std::int64_t dim = args.layout.dim;
  for (std::int64_t h = 0; h < args.heads; ++h) {
    float* out = args.out + h * dim;
    const Lanes den = Set1(state.den[h] + ExpOne(args.sink[h] - state.largest[h]));
    std::int64_t c = 0;
    for (; c + kLanes <= dim; c += kLanes) Store(out + c, RoundAs(Div(Load(out + c), den), args.rounding));
    if (c < dim) StorePart(out + c, RoundAs(Div(LoadPart(out + c, dim - c), den), args.rounding), dim - c);
  }
}

inline constexpr std::int64_t kRowsAhead = 12;
[[gnu::always_inline]] inline void PrefetchRow(const AttendArgs& args, std::int64_t r) noexcept {
  for (std::int64_t line = 0; line < args.layout.RowBytes(); line += 64) __builtin_prefetch(args.rows[r] + line, 0, 2);
}

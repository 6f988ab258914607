// Attention over packed rows on the dot instruction of bf16 pairs. Included inside an unnamed namespace after panels.inl and wide/softmax.inl.
//
// In official arithmetic queries, rows and weights are bf16, so every product is exact. The bits are those of wide/attention.inl: a word holds
// two channels of a score's lane, or two rows of a value's channel, in the order in which that file adds them. The instruction takes
// denormals for zero. Queries and rows of moderate magnitudes keep every sum away from them, others are left to the kernel below; small
// weights go through two FMAs instead (kPlain = false).

inline constexpr std::int64_t kPairs = kAttendBlock / 2;
inline constexpr std::int64_t kKeyRows = 16;                                 // stay in the first level of the cache while the heads pass
inline constexpr float kLeastWeight = 0x1p-60f;                              // a multiple of 2^-67: products are multiples of 2^-124

struct DotAttend {
  AttendState state;       // rows is not used
  std::uint32_t* queries;  // [heads, dim / 2]
  std::uint32_t* keys;     // [kAttendBlock, dim / 2], as queries: channels c and c + 16
  std::uint32_t* values;   // [dim / kPanel, kPairs, kPanel]: rows r and r + 1
  std::uint32_t* weights;  // [heads, kPairs], as values
};

/// sum + the product of the high halves, then that of the low ones.
template <bool kPlain>
[[gnu::always_inline]] inline Lanes AddPairs(Ints a, Ints b, Lanes sum) noexcept {
  if constexpr (kPlain) return Dot(a, b, sum);
  const Ints high = SetInts(static_cast<int>(0xFFFF0000u));
  sum = Fma(FromBits(And(a, high)), FromBits(And(b, high)), sum);
  return Fma(FromBits(ShiftLeft<16>(a)), FromBits(ShiftLeft<16>(b)), sum);
}

/// False where a query is not exact in bf16 or too far from one.
[[gnu::always_inline]] inline bool PackQueries(const AttendArgs& args, std::uint32_t* queries) noexcept {
  __m512i bits = _mm512_setzero_si512();
  HalfRange range;
  for (std::int64_t i = 0; i < args.heads * args.layout.dim; i += kPair) {
    const Lanes first = Load(args.query + i), second = Load(args.query + i + kLanes);
    bits = _mm512_or_si512(bits, _mm512_or_si512(Bits(first).v, Bits(second).v));
    const Ints words = PackPairs(first, second);
    range.See(words);
    StoreInts(queries + i / 2, words);
  }
  return range.Moderate() && _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0xFFFF)) == 0;
}

/// keys and values of two rows, the second one of zeros where it is null.
[[gnu::always_inline]] inline bool UnpackRows(const KvRowLayout& layout, const std::byte* first, const std::byte* second, std::int64_t pair,
                                              const DotAttend& dots, HalfRange& range) noexcept {
  bool moderate = true;
  std::uint32_t* keys = dots.keys + pair * layout.dim;
  std::uint32_t* values = dots.values + pair * kPanel;
  for (std::int64_t panel = 0; panel * kPanel < layout.dim; ++panel, keys += kPanel / 2, values += kPairs * kPanel) {
    Ints a[2], b[2] = {SetInts(0), SetInts(0)};
    moderate &= UnpackPanel(layout, first, panel, range, a);
    if (second != nullptr) moderate &= UnpackPanel(layout, second, panel, range, b);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      StoreInts(keys + i * kLanes, a[i]);
      StoreInts(keys + layout.dim / 2 + i * kLanes, b[i]);
      StoreInts(values + 2 * i * kLanes, PackPairs(FromBits(a[i]), FromBits(b[i])));
      StoreInts(values + (2 * i + 1) * kLanes, {_mm512_mask_blend_epi16(0x55555555u, ShiftLeft<16>(a[i]).v, b[i].v)});
    }
  }
  return moderate;
}

/// p[h][r] = (query_h · row_r)·scale of one register block, which repeats its last head past the end.
[[gnu::always_inline]] inline void ScoreByDots(const AttendArgs& args, const DotAttend& dots, std::int64_t head, std::int64_t row) noexcept {
  const std::int64_t words = args.layout.dim / 2;
  const std::uint32_t* q[kScoreHeads];
  for (int h = 0; h < kScoreHeads; ++h) q[h] = dots.queries + AtMost(head + h, args.heads - 1) * words;
  const std::uint32_t* k = dots.keys + row * words;
  Lanes sum[kScoreHeads * kScoreRows] = {};
  for (std::int64_t w = 0; w < words; w += kLanes) {
    Ints key[kScoreRows];
#pragma GCC unroll 4
    for (int r = 0; r < kScoreRows; ++r) key[r] = LoadInts(k + r * words + w);
#pragma GCC unroll 4
    for (int h = 0; h < kScoreHeads; ++h) {
      const Ints query = LoadInts(q[h] + w);
#pragma GCC unroll 4
      for (int r = 0; r < kScoreRows; ++r) sum[h * kScoreRows + r] = Dot(query, key[r], sum[h * kScoreRows + r]);
    }
  }
  alignas(64) float score[kScoreHeads][kScoreRows];
  Store(score[0], Mul(SumEach(sum), Set1(args.scale)));
  for (std::int64_t h = 0; h < AtMost(kScoreHeads, args.heads - head); ++h) {
    __builtin_memcpy(dots.state.p + (head + h) * kAttendBlock + row, score[h], sizeof(score[h]));
  }
}

/// weights[h] of the block from p[h]; past the rows, what adds nothing to any sum. False where one is too small for the instruction.
[[gnu::always_inline]] inline bool PackWeights(const DotAttend& dots, std::int64_t head, std::int64_t rows) noexcept {
  const float* p = dots.state.p + head * kAttendBlock;
  std::uint32_t* weights = dots.weights + head * kPairs;
  bool plain = true;
  for (std::int64_t r = 0; r < rows; r += kPair) {
    Lanes weight[2] = {Load(p + r), Load(p + r + kLanes)};
    for (const Lanes& part : weight) plain &= (Less(Zero(), part).v & Less(part, Set1(kLeastWeight)).v) == 0;
    Separate(weight);
    StoreInts(weights + r / 2, PackPairs(weight[0], weight[1]));
  }
  // −0·(+0) leaves even a sum of −0 as it is.
  if (rows % 2 != 0) weights[rows / 2] |= 0x8000u;
  return plain;
}

/// out[h][c] = out[h][c]·rescale[h] + Σ_r p[h][r]·row_r[c] of four heads and a panel.
template <bool kPlain>
[[gnu::always_inline]] inline void AddValues(const AttendArgs& args, const DotAttend& dots, std::int64_t head, std::int64_t panel, std::int64_t pairs,
                                             bool first) noexcept {
  constexpr int kVectors = kPanel / kLanes;
  const std::uint32_t* weights[kValueHeads];
  for (int h = 0; h < kValueHeads; ++h) weights[h] = dots.weights + AtMost(head + h, args.heads - 1) * kPairs;
  const std::uint32_t* values = dots.values + panel * kPairs * kPanel;
  Lanes sum[kValueHeads][kVectors] = {};
  for (std::int64_t pair = 0; pair < pairs; ++pair, values += kPanel) {
    Ints value[kVectors];
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) value[c] = LoadInts(values + c * kLanes);
#pragma GCC unroll 4
    for (int h = 0; h < kValueHeads; ++h) {
      const Ints weight = SetInts(static_cast<int>(weights[h][pair]));
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) sum[h][c] = AddPairs<kPlain>(weight, value[c], sum[h][c]);
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kValueHeads; ++h) {
    if (head + h >= args.heads) break;  // a repeated head has been added
    float* out = args.out + (head + h) * args.layout.dim + panel * kPanel;
    const Lanes rescale = Set1(dots.state.rescale[head + h]);
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) Store(out + c * kLanes, first ? sum[h][c] : Fma(Load(out + c * kLanes), rescale, sum[h][c]));
  }
}

/// One block of rows; meanwhile asks for the next one's, which are scattered.
[[gnu::always_inline]] inline void AttendRows(const AttendArgs& args, const DotAttend& dots, std::int64_t begin, std::int64_t rows) noexcept {
  const std::int64_t next = AtMost(args.count, begin + 2 * kAttendBlock);
  const std::int64_t turns = (rows + kKeyRows - 1) / kKeyRows * ((args.heads + kScoreHeads - 1) / kScoreHeads);
  const std::int64_t ahead = (kAttendBlock + turns - 1) / turns;
  std::int64_t asked = begin + kAttendBlock;
  for (std::int64_t r = 0; r < rows; r += kKeyRows) {
    for (std::int64_t h = 0; h < args.heads; h += kScoreHeads) {
      for (const std::int64_t end = AtMost(asked + ahead, next); asked < end; ++asked) PrefetchRow(args, asked);
      for (std::int64_t row = r; row < AtMost(r + kKeyRows, rows); row += kScoreRows) ScoreByDots(args, dots, h, row);
    }
  }
  std::uint64_t plain = 0;  // of each four heads, whether
  for (std::int64_t h = 0; h < args.heads; h += kValueHeads) {
    bool all = true;
    for (std::int64_t i = h; i < AtMost(h + kValueHeads, args.heads); ++i) {
      Softmax(args, dots.state, i, rows, begin == 0);
      all &= PackWeights(dots, i, rows);
    }
    plain |= std::uint64_t{all} << (h / kValueHeads);
  }
  for (std::int64_t panel = 0; panel * kPanel < args.layout.dim; ++panel) {
    for (std::int64_t h = 0; h < args.heads; h += kValueHeads) {
      if ((plain >> (h / kValueHeads) & 1) != 0) {
        AddValues<true>(args, dots, h, panel, (rows + 1) / 2, begin == 0);
      } else {
        AddValues<false>(args, dots, h, panel, (rows + 1) / 2, begin == 0);
      }
    }
  }
}

inline constexpr std::int64_t kMostAttendHeads = 64 * kValueHeads;

/// False where operands do not fit; the outputs are then to be computed again.
[[gnu::noinline]] bool AttendedByDots(const AttendArgs& args) noexcept {
  const KvRowLayout& layout = args.layout;
  if (layout.format != RowFormat::kPacked || args.rounding != Rounding::kBf16 || args.heads > kMostAttendHeads) return false;
  if (layout.CodeBytes() % kPanel != 0 || layout.rope_dim % kPanel != 0) return false;
  float* p = args.scratch;
  float* statistics = p + args.heads * kAttendBlock;
  auto* words = reinterpret_cast<std::uint32_t*>(statistics + 3 * args.heads);
  DotAttend dots{{nullptr, p, statistics, statistics + args.heads, statistics + 2 * args.heads}, words, nullptr, nullptr, nullptr};
  dots.keys = dots.queries + args.heads * layout.dim / 2;
  dots.values = dots.keys + kAttendBlock * layout.dim / 2;
  dots.weights = dots.values + kAttendBlock * layout.dim / 2;
  for (std::int64_t r = 0; r < AtMost(kAttendBlock, args.count); ++r) PrefetchRow(args, r);
  if (!PackQueries(args, dots.queries)) return false;
  for (std::int64_t begin = 0; begin < args.count; begin += kAttendBlock) {
    const std::int64_t rows = AtMost(kAttendBlock, args.count - begin);
    const std::byte* const* row = args.rows + begin;
    bool moderate = true;
    HalfRange range;
    for (std::int64_t r = 0; r < rows; r += 2) moderate &= UnpackRows(layout, row[r], r + 1 < rows ? row[r + 1] : nullptr, r / 2, dots, range);
    if (!moderate || !range.Moderate()) return false;
    AttendRows(args, dots, begin, rows);
  }
  Divide(args, dots.state);
  return true;
}

// Attention over rows that are key and value at once, in blocks of kAttendBlock rows with a running maximum.
//
// A block is unpacked once for all heads. Scores: lanes along the channels, one FMA chain per lane, added in the tree of Sum. Values: one
// FMA chain over the block's rows per channel, then one FMA that adds what stood before. Register blocks only choose what runs together, so
// a head's bits do not depend on the others; at the edges a block repeats its last head or row.

/// p[h][r] = (query_h · row_r)·scale for the heads and rows of one register block.
[[gnu::always_inline]] inline void ScoreTile(const AttendArgs& args, const AttendState& state, std::int64_t head, std::int64_t row,
                                             std::int64_t rows) noexcept {
  const std::int64_t dim = args.layout.dim;
  const float* q[kScoreHeads];
  const float* k[kScoreRows];
  for (int h = 0; h < kScoreHeads; ++h) q[h] = args.query + AtMost(head + h, args.heads - 1) * dim;
  for (int r = 0; r < kScoreRows; ++r) k[r] = state.rows + AtMost(row + r, rows - 1) * dim;
  Lanes sum[kScoreHeads][kScoreRows] = {};
  const auto add = [&](std::int64_t c, std::int64_t part) __attribute__((always_inline)) {
    Lanes key[kScoreRows];
#pragma GCC unroll 4
    for (int r = 0; r < kScoreRows; ++r) key[r] = part == kLanes ? Load(k[r] + c) : LoadPart(k[r] + c, part);
#pragma GCC unroll 4
    for (int h = 0; h < kScoreHeads; ++h) {
      const Lanes query = part == kLanes ? Load(q[h] + c) : LoadPart(q[h] + c, part);
#pragma GCC unroll 4
      for (int r = 0; r < kScoreRows; ++r) sum[h][r] = Fma(query, key[r], sum[h][r]);
    }
  };
  std::int64_t c = 0;
  for (; c + kLanes <= dim; c += kLanes) add(c, kLanes);
  if (c < dim) add(c, dim - c);
  if constexpr (kScoreHeads * kScoreRows == kLanes) {
    Lanes sums[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) sums[i] = sum[i / kScoreRows][i % kScoreRows];
    alignas(64) float score[kScoreHeads][kScoreRows];
    Store(score[0], Mul(SumEach(sums), Set1(args.scale)));
    // A row of p has room for the repeated rows of a last block: Softmax overwrites them.
    for (std::int64_t h = 0; h < AtMost(kScoreHeads, args.heads - head); ++h) {
      __builtin_memcpy(state.p + (head + h) * kAttendBlock + row, score[h], sizeof(score[h]));
    }
    return;
  }
#pragma GCC unroll 4
  for (int h = 0; h < kScoreHeads; ++h) {
#pragma GCC unroll 4
    for (int r = 0; r < kScoreRows; ++r) {
      if (head + h < args.heads && row + r < rows) state.p[(head + h) * kAttendBlock + row + r] = Sum(sum[h][r]) * args.scale;
    }
  }
}

/// out[h][c] = out[h][c]·rescale[h] + Σ_r p[h][r]·row_r[c] for one register block of heads and kVectors vectors of channels.
template <int kVectors>
[[gnu::always_inline]] inline void ValueTile(const AttendArgs& args, const AttendState& state, std::int64_t head, std::int64_t channel, std::int64_t part,
                                             std::int64_t rows, bool first) noexcept {
  const std::int64_t dim = args.layout.dim;
  float* out[kValueHeads];
  const float* p[kValueHeads];
  float rescale[kValueHeads];
  Lanes sum[kValueHeads][kVectors] = {};
  for (int h = 0; h < kValueHeads; ++h) {
    const std::int64_t real = AtMost(head + h, args.heads - 1);
    out[h] = args.out + real * dim + channel;
    p[h] = state.p + real * kAttendBlock;
    rescale[h] = state.rescale[real];
  }
  const float* row = state.rows + channel;
  for (std::int64_t r = 0; r < rows; ++r, row += dim) {
    Lanes value[kVectors];
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) value[c] = part == kLanes ? Load(row + c * kLanes) : LoadPart(row, part);
#pragma GCC unroll 4
    for (int h = 0; h < kValueHeads; ++h) {
      const Lanes weight = Set1(p[h][r]);
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) sum[h][c] = Fma(weight, value[c], sum[h][c]);
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kValueHeads; ++h) {
    if (head + h >= args.heads) break;  // a repeated head has been added
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) {
      if (part == kLanes) {
        Store(out[h] + c * kLanes, first ? sum[h][c] : Fma(Load(out[h] + c * kLanes), Set1(rescale[h]), sum[h][c]));
      } else {
        StorePart(out[h], first ? sum[h][c] : Fma(LoadPart(out[h], part), Set1(rescale[h]), sum[h][c]), part);
      }
    }
  }
}

[[gnu::always_inline]] inline void AttendBlock(const AttendArgs& args, const AttendState& state, std::int64_t rows, bool first) noexcept {
  const std::int64_t dim = args.layout.dim;
  for (std::int64_t r = 0; r < rows; r += kScoreRows) {
    for (std::int64_t h = 0; h < args.heads; h += kScoreHeads) ScoreTile(args, state, h, r, rows);
  }
  for (std::int64_t h = 0; h < args.heads; ++h) Softmax(args, state, h, rows, first);
  std::int64_t c = 0;
  for (; c + kValueLanes * kLanes <= dim; c += kValueLanes * kLanes) {
    for (std::int64_t h = 0; h < args.heads; h += kValueHeads) ValueTile<kValueLanes>(args, state, h, c, kLanes, rows, first);
  }
  for (; c < dim; c += kLanes) {
    const std::int64_t part = dim - c < kLanes ? dim - c : kLanes;
    for (std::int64_t h = 0; h < args.heads; h += kValueHeads) ValueTile<1>(args, state, h, c, part, rows, first);
  }
}

void Attend(const AttendArgs& args) noexcept {
  const std::int64_t dim = args.layout.dim;
  float* p = args.scratch + kAttendBlock * dim;
  float* statistics = p + args.heads * kAttendBlock;
  const AttendState state{args.scratch, p, statistics, statistics + args.heads, statistics + 2 * args.heads};
  for (std::int64_t r = 0; r < AtMost(kRowsAhead, args.count); ++r) PrefetchRow(args, r);
  for (std::int64_t begin = 0; begin < args.count; begin += kAttendBlock) {
    const std::int64_t rows = args.count - begin < kAttendBlock ? args.count - begin : kAttendBlock;
    for (std::int64_t r = 0; r < rows; ++r) {
      // Rows are scattered: ask for one some rows ahead.
      if (begin + r + kRowsAhead < args.count) PrefetchRow(args, begin + r + kRowsAhead);
      UnpackKvRow(args.layout, args.rows[begin + r], state.rows + r * dim);
    }
    AttendBlock(args, state, rows, begin == 0);
  }
  Divide(args, state);
}

/// Sixteen keys (the last one repeated past the end) as keys[channel][key].
[[gnu::always_inline]] inline void UnpackIndexKeys(const IndexScoreArgs& args, std::int64_t first, float* keys) noexcept {
  const IndexRowLayout& layout = args.layout;
  const std::byte* row[kLanes];
  std::int64_t block = (args.first + first) / args.keys.per_block, place = (args.first + first) % args.keys.per_block;
  for (std::int64_t j = 0; j < kLanes; ++j) {
    row[j] = args.keys.blocks[block] + args.keys.offset + place * layout.RowBytes();
    if (first + j + 1 < args.count && ++place == args.keys.per_block) {
      place = 0;
      ++block;
    }
  }
  if (layout.format == RowFormat::kF32) {
    for (std::int64_t j = 0; j < kLanes; ++j) {
      for (std::int64_t c = 0; c < layout.dim; ++c) __builtin_memcpy(keys + c * kLanes + j, row[j] + 4 * c, 4);
    }
    return;
  }
  alignas(64) std::uint32_t codes[kLanes];  // eight e2m1 of each key
  alignas(64) float scales[kLanes];
  for (std::int64_t c = 0; c < layout.dim; c += 8) {
    const std::int64_t channels = layout.dim - c < 8 ? layout.dim - c : 8;
    for (std::int64_t j = 0; j < kLanes; ++j) __builtin_memcpy(codes + j, row[j] + c / 2, static_cast<std::size_t>(channels / 2));
    if (c % kIndexGroup == 0) {
      for (std::int64_t j = 0; j < kLanes; ++j) scales[j] = tensor::FromE8m0(static_cast<std::uint8_t>(row[j][layout.dim / 2 + c / kIndexGroup]));
    }
    Ints code = LoadInts(codes);
    for (std::int64_t i = 0; i < channels; ++i) {
      Store(keys + (c + i) * kLanes, Mul(FromE2m1(And(code, SetInts(15))), Load(scales)));
      code = ShiftRight<4>(code);
    }
  }
}

void IndexScore(const IndexScoreArgs& args) noexcept {
  const std::int64_t dim = args.layout.dim;
  for (std::int64_t first = 0; first < args.count; first += kLanes) {
    UnpackIndexKeys(args, first, args.scratch);
    Lanes score = Zero();
    for (std::int64_t head = 0; head < args.heads; head += kIndexHeads) {
      const float* q[kIndexHeads];
      for (int h = 0; h < kIndexHeads; ++h) q[h] = args.query + AtMost(head + h, args.heads - 1) * dim;
      Lanes dot[kIndexHeads] = {};
      for (std::int64_t c = 0; c < dim; ++c) {
        const Lanes key = Load(args.scratch + c * kLanes);
#pragma GCC unroll 8
        for (int h = 0; h < kIndexHeads; ++h) dot[h] = Fma(Set1(q[h][c]), key, dot[h]);
      }
#pragma GCC unroll 8
      for (int h = 0; h < kIndexHeads; ++h) {
        if (head + h >= args.heads) break;
        const Lanes positive = Max(Zero(), RoundAs(dot[h], args.rounding));
        score = Add(score, RoundAs(Mul(positive, Set1(args.weight[head + h])), args.rounding));
      }
    }
    score = RoundAs(score, args.rounding);
    if (first + kLanes <= args.count) {
      Store(args.score + first, score);
    } else {
      StorePart(args.score + first, score, args.count - first);
    }
  }
}

void Pool(const PoolArgs& args) noexcept {
  for (std::int64_t c = 0; c < args.dim; c += kLanes) {
    const std::int64_t part = args.dim - c < kLanes ? args.dim - c : kLanes;
    const auto load = [&](const float* p) __attribute__((always_inline)) { return part == kLanes ? Load(p + c) : LoadPart(p + c, part); };
    Lanes largest = Set1(-__builtin_inff());
    for (std::int64_t s = 0; s < args.count; ++s) largest = Max(load(args.gate[s]), largest);
    Lanes sum = Zero(), weighted = Zero();
    for (std::int64_t s = 0; s < args.count; ++s) {
      const Lanes p = Exp(Sub(load(args.gate[s]), largest));
      sum = Add(sum, p);
      weighted = Fma(p, load(args.value[s]), weighted);
    }
    StorePart(args.out + c, RoundAs(Div(weighted, sum), args.rounding), part);
  }
}

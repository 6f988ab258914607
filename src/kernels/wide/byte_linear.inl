// Matrix times rows of bytes: sums of whole numbers, whose order is free. Included inside an unnamed namespace after byte_few.inl and byte_panel.inl.
// The order of what is rounded stands at ByteLinearArgs.

/// The outputs of a range by `outputs` of them at a time; body(n) says whether it could. What it could not goes below.
template <class Body>
[[gnu::always_inline]] inline void ForByteOutputs(const ByteLinearArgs& args, std::int64_t first_row, std::int64_t rows, std::int64_t outputs, void (*below)(const ByteLinearArgs&) noexcept,
                                                  const Body& body) noexcept {
  for (std::int64_t n = args.row_begin; n < args.row_end; n += outputs) {
    if (body(n)) continue;
    ByteLinearArgs rest = args;
    rest.row_begin = n;
    rest.row_end = n + outputs < args.row_end ? n + outputs : args.row_end;
    if (args.x_rows != nullptr) {
      rest.x_rows += first_row;
    } else {
      rest.x += first_row * args.x_stride;
      rest.x_scales += first_row * args.scale_stride;
    }
    rest.rows = rows;
    rest.y += first_row * args.y_stride + n - args.row_begin;
    below(rest);
  }
}

/// body.operator()<rows>() where rows is one of kFirst … kLast.
template <int kFirst, int kLast, class Body>
[[gnu::always_inline]] inline void ForRowCount(std::int64_t rows, const Body& body) noexcept {
  if constexpr (kFirst < kLast) {
    if (rows != kFirst) return ForRowCount<kFirst + 1, kLast>(rows, body);
  }
  body.template operator()<kFirst>();
}

/// Rows [first, first + rows) of a call, few enough for the scratch. False where their scales are too near the ends of fp32.
template <Format kFormat>
[[gnu::noinline]] bool FewByteLinear(const ByteLinearArgs& args, std::int64_t first, std::int64_t rows, std::int64_t blocks, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  FewScratch scratch;
  const FewRange range{first, rows, blocks};
  if (!PackByteRows<kFormat>(args, range, scratch)) return false;
  ForRowCount<1, kMostFewRows>(rows, [&]<int kRows>() __attribute__((always_inline)) {
    ForByteOutputs(args, first, rows, kFewOutputs<kFormat, kRows> * kFewTiles<kRows>, below, [&](std::int64_t n) __attribute__((noinline)) {
      return FewByteRows<kFormat, kRows>(args, range, n, scratch);
    });
  });
  return true;
}
template <Format kFormat>
[[gnu::noinline]] bool ManyByteLinear(const ByteLinearArgs& args, std::int64_t first, std::int64_t rows, std::int64_t blocks, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  PanelScratch scratch;
  const PanelRange range(first, rows, blocks);
  if (!OpenByteRows<kFormat>(args, range, scratch)) return false;
  ForRowCount<kMostTileRows / 2 + 1, kMostTileRows>(range.tile_rows, [&]<int kRows>() __attribute__((always_inline)) {
    ForByteOutputs(args, first, rows, kBytePanel, below, [&](std::int64_t n) __attribute__((always_inline)) {
      if (args.row_end - n <= kLanes) return ManyByteRows<kFormat, kRows, 1>(args, range, n, scratch);
      return ManyByteRows<kFormat, kRows, kPanelGroups>(args, range, n, scratch);
    });
  });
  return true;
}

template <Format kFormat>
[[gnu::always_inline]] inline bool ByteLinearOf(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  const std::int64_t blocks = (args.weight.k + kByteBlock - 1) / kByteBlock;
  if (blocks > FewScratch::kRowBlocks / kByteTileRows) return false;
  const std::int64_t few = blocks * kMostFewRows <= FewScratch::kRowBlocks ? kMostFewRows : kByteTileRows;
  const std::int64_t held = PanelScratch::kRowBlocks / blocks / kMostTileRows * kMostTileRows, many = held < PanelScratch::kRows ? held : PanelScratch::kRows;
  for (std::int64_t first = 0; first < args.rows;) {
    const std::int64_t left = args.rows - first, panel = left > kMostFewRows ? (left < many ? left : many) : 0, rows = panel > 0 ? panel : left < few ? left : few;
    if (!(panel > 0 ? ManyByteLinear<kFormat>(args, first, rows, blocks, below) : FewByteLinear<kFormat>(args, first, rows, blocks, below))) return false;
    first += rows;
  }
  return true;
}

/// Computes the call, or leaves it to `below`, whose bits are the same.
[[gnu::always_inline]] inline void ByteLinearOr(const ByteLinearArgs& args, void (*below)(const ByteLinearArgs&) noexcept) noexcept {
  if (args.row_end <= args.row_begin || args.rows <= 0) return;
  const auto computes = [&] {
    switch (args.weight.format) {
      case Format::kFp4: return ByteLinearOf<Format::kFp4>(args, below);
      case Format::kFp8: return ByteLinearOf<Format::kFp8>(args, below);
      default: return ByteLinearOf<Format::kInt8>(args, below);
    }
  };
  if (!computes()) below(args);
}

/// The nearest whole numbers of sixteen floats, the magnitude at most 127.
[[gnu::always_inline]] inline Ints ByteCodes(Lanes x, Lanes inverse) noexcept {
  const Lanes whole = Nearest(Min(Magnitude(Mul(x, inverse)), Set1(127.0f)));
  return ToInts(FromBits(Or(Bits(whole), SignBit(x))));
}

void ByteQuantize(const ByteQuantizeArgs& args) noexcept {
  const std::int64_t groups = (args.k + args.group - 1) / args.group;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = g * args.group, count = args.k - begin < args.group ? args.k - begin : args.group;
      const float* x = args.x + r * args.k + begin;
      auto* codes = reinterpret_cast<std::byte*>(args.codes + r * args.k + begin);
      float largest = LargestMagnitude(x, count);
      largest = largest < kLeastByteMagnitude ? kLeastByteMagnitude : largest;
      largest = largest > __FLT_MAX__ ? __FLT_MAX__ : largest;
      const Lanes inverse = Set1(127.0f / largest);
      std::int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes) StoreBytes(codes + i, ByteCodes(Load(x + i), inverse));
      if (i < count) {
        std::byte rest[kLanes];
        StoreBytes(rest, ByteCodes(LoadPart(x + i, count - i), inverse));
        __builtin_memcpy(codes + i, rest, static_cast<std::size_t>(count - i));
      }
      args.scales[r * groups + g] = largest / 127.0f;
    }
  }
}

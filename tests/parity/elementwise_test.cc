#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "isas.h"
#include "tensor/scalar.h"

namespace baleen::kernels {
namespace {

constexpr std::int64_t kLengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 72, 96, 127, 128, 130, 432, 512, 1000};
constexpr Rounding kRoundings[] = {Rounding::kNone, Rounding::kBf16};
const Table& Reference() { return TableFor(hardware::Isa::kReference); }

/// Runs `compute` with the reference's table and with every other one, and asks for equal bits.
void ExpectSameBits(const std::string& what, const std::function<std::vector<float>(const Table&)>& compute) {
  const auto expected = compute(Reference());
  for (const auto isa : FastIsas()) {
    const auto found = compute(TableFor(isa));
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(std::memcmp(&expected[i], &found[i], 4), 0) << what << " " << Name(isa) << " element " << i << ": " << expected[i] << " against " << found[i];
    }
  }
}

/// The same with a bound per element.
void ExpectWithin(WorstRatio& worst, const std::string& what, const std::function<std::vector<float>(const Table&)>& compute,
                  const std::function<double(float)>& bound) {
  const auto expected = compute(Reference());
  for (const auto isa : FastIsas()) {
    const auto found = compute(TableFor(isa));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_TRUE(worst.Within(expected[i], found[i], bound(expected[i]))) << what << " " << Name(isa) << " element " << i << ": " << expected[i] << " against "
                                                                        << found[i];
    }
  }
}

TEST(ElementwiseParity, QuantiseRoundAddAndStreamsGiveTheReferencesBits) {
  Numbers numbers(1);
  for (const std::int64_t d : kLengths) {
    const auto x = numbers.Wild(3 * d), f = numbers.Wild(d);
    ExpectSameBits("quantize", [&](const Table& table) {
      std::vector<float> codes(x.size()), scales(static_cast<std::size_t>(3 * ((d + 127) / 128)));
      table.quantize({x.data(), 3, d, codes.data(), scales.data()});
      codes.insert(codes.end(), scales.begin(), scales.end());
      return codes;
    });
    ExpectSameBits("round_bf16", [&](const Table& table) {
      auto y = x;
      y[0] = NAN;
      table.round_bf16({y.data(), 3 * d});
      y[0] = std::isnan(y[0]) ? 1.0f : 0.0f;
      return y;
    });
    ExpectSameBits("add", [&](const Table& table) {
      auto y = f;
      table.add({x.data(), d, y.data()});
      return y;
    });
    for (const std::int64_t n : {1, 2, 4, 16}) {
      const auto streams = numbers.Wild(n * d), pre = numbers.Floats(n), comb = numbers.Floats(n * n);
      for (const Rounding rounding : kRoundings) {
        ExpectSameBits("collapse", [&](const Table& table) {
          std::vector<float> y(static_cast<std::size_t>(d));
          table.collapse({streams.data(), n, d, pre.data(), y.data(), rounding});
          return y;
        });
        ExpectSameBits("expand", [&](const Table& table) {
          auto y = streams;
          table.expand({y.data(), n, d, f.data(), pre.data(), comb.data(), rounding});
          return y;
        });
      }
    }
  }
}

TEST(ElementwiseParity, QuantiserTiesSaturationAndEveryCode) {
  std::vector<float> x(128, 0.0f);
  ExpectSameBits("quantize", [&](const Table& table) {
    std::vector<float> all;
    for (int step = 0; step < 4096; ++step) {  // with 448 in the group the scale is 1: every code, every tie, both signs
      for (int i = 0; i < 127; ++i) x[i] = static_cast<float>((step * 127 + i) * 0x1p-10) * (i % 2 == 0 ? 1.0f : -1.0f);
      x[127] = 448.0f;
      std::vector<float> codes(128);
      float scale = 0.0f;
      table.quantize({x.data(), 1, 128, codes.data(), &scale});
      all.insert(all.end(), codes.begin(), codes.end());
    }
    return all;
  });
}

TEST(ElementwiseParity, RotateGivesTheReferencesBits) {
  Numbers numbers(2);
  for (const std::int64_t rope : {2, 8, 16, 18, 64}) {
    const std::int64_t d = rope + 40;
    const auto x = numbers.Wild(5 * d), cosine = numbers.Floats(rope / 2), sine = numbers.Floats(rope / 2);
    for (const Rounding rounding : kRoundings) {
      for (const bool inverse : {false, true}) {
        ExpectSameBits("rotate", [&](const Table& table) {
          auto y = x;
          table.rotate({y.data(), 5, d, rope, cosine.data(), sine.data(), inverse, rounding});
          return y;
        });
      }
    }
  }
}

TEST(ElementwiseParity, EveryCodeAndScaleOfACachedRowIsTheReferences) {
  const KvRowLayout layout{RowFormat::kPacked, 64 + 256, 64};
  std::vector<std::byte> row(static_cast<std::size_t>(layout.RowBytes()));
  for (int code = 0; code < 256; ++code) row[static_cast<std::size_t>(code)] = static_cast<std::byte>((code & 0x7F) == 0x7F ? 0 : code);
  for (int scale = 0; scale < 255; ++scale) {
    for (std::int64_t g = 0; g < layout.Groups(); ++g) row[static_cast<std::size_t>(layout.ScaleOffset() + g)] = static_cast<std::byte>(scale);
    ExpectSameBits("unpack_kv", [&](const Table& table) {
      std::vector<float> y(static_cast<std::size_t>(layout.dim));
      table.unpack_kv({layout, row.data(), y.data()});
      return y;
    });
  }
}

TEST(ElementwiseParity, CachedRowsAreTheReferencesBytes) {
  Numbers numbers(3);
  struct Shape { std::int64_t dim, rope; };
  for (const Shape shape : {Shape{512, 64}, Shape{80, 16}, Shape{32, 8}, Shape{72, 10}, Shape{24, 8}}) {
    for (const RowFormat format : {RowFormat::kF32, RowFormat::kPacked}) {
      const KvRowLayout layout{format, shape.dim, shape.rope};
      for (int trial = 0; trial < 20; ++trial) {
        const auto x = numbers.Wild(shape.dim);
        ExpectSameBits("pack_kv and unpack_kv", [&](const Table& table) {
          std::vector<std::byte> row(static_cast<std::size_t>(layout.RowBytes()), std::byte{0xAA});
          table.pack_kv({layout, x.data(), row.data()});
          std::vector<float> y(static_cast<std::size_t>(shape.dim));
          table.unpack_kv({layout, row.data(), y.data()});
          for (const std::byte code : row) y.push_back(static_cast<float>(code));
          return y;
        });
      }
    }
  }
  for (const std::int64_t dim : {2, 4, 8, 16, 32, 64, 128, 256}) {
    for (int trial = 0; trial < 20; ++trial) {
      auto x = numbers.Wild(3 * dim);
      for (float& value : x) value = tensor::RoundToBf16(value);
      ExpectSameBits("index_quantize", [&](const Table& table) {
        auto y = x;
        table.index_quantize({y.data(), 3, dim});
        return y;
      });
      ExpectSameBits("pack_index", [&](const Table& table) {
        const IndexRowLayout layout{RowFormat::kPacked, dim};
        std::vector<std::byte> row(static_cast<std::size_t>(layout.RowBytes()));
        std::vector<float> scratch(static_cast<std::size_t>(dim)), y;
        table.pack_index({layout, x.data(), row.data(), scratch.data()});
        for (const std::byte code : row) y.push_back(static_cast<float>(code));
        return y;
      });
    }
  }
}

TEST(ElementwiseParity, NormsAreWithinTheirSumsRounding) {
  WorstRatio exact("norm, head_norm, root_mean"), rounded("norm, head_norm, bf16");
  Numbers numbers(4);
  for (const std::int64_t d : kLengths) {
    const auto x = numbers.Floats(3 * d, -4.0f, 4.0f), weight = numbers.Floats(d, 0.5f, 1.5f);
    for (const Rounding rounding : kRoundings) {
      const bool bf16 = rounding == Rounding::kBf16;
      // Exact: d/64 additions a lane, halved by the root; then a division and two products. bf16: three roundings may fall the other way.
      const auto bound = [&](float y) { return std::fabs(y) * (bf16 ? 4 * 0x1p-8 : (static_cast<double>(d) / 64.0 + 12.0) * 0x1p-24) + 1e-30; };
      ExpectWithin(bf16 ? rounded : exact, "norm", [&](const Table& table) {
        std::vector<float> y(x.size());
        table.norm({x.data(), 3, d, d, weight.data(), 1e-6f, y.data(), rounding});
        return y;
      }, bound);
      ExpectWithin(bf16 ? rounded : exact, "head_norm", [&](const Table& table) {
        auto y = x;
        table.head_norm({y.data(), 3, d, 1e-6f, rounding});
        return y;
      }, bound);
      ExpectWithin(bf16 ? rounded : exact, "root_mean", [&](const Table& table) { return std::vector<float>{table.root_mean({x.data(), d, 1e-6f})}; }, bound);
    }
  }
}

TEST(ElementwiseParity, ActivationsAreWithinAFewUlps) {
  WorstRatio swiglu("swiglu"), router("router_score");
  Numbers numbers(5);
  for (const std::int64_t d : kLengths) {
    const auto gate = numbers.Floats(d, -120.0f, 120.0f), up = numbers.Floats(d, -20.0f, 20.0f);
    for (const float limit : {0.0f, 10.0f}) {
      ExpectWithin(swiglu, "swiglu", [&](const Table& table) {
        std::vector<float> y(static_cast<std::size_t>(d));
        table.swiglu({gate.data(), up.data(), d, limit, 0.7f, Rounding::kNone, y.data()});
        return y;
      }, [](float y) { return std::fabs(y) * 6 * 0x1p-23 + 1e-36; });
    }
    ExpectWithin(router, "router_score", [&](const Table& table) {
      auto y = gate;
      table.router_score({y.data(), d});
      return y;
    }, [](float y) { return std::fabs(y) * 4 * 0x1p-23 + 0x1p-148 / std::max(y, 0x1p-75f); });  // the root of a softplus that is a denormal
  }
}

/// pre, post and comb of one site for the rows [first, first + rows), one after another.
std::vector<float> MixOf(const Table& table, std::int64_t n, std::int64_t iterations, const std::vector<float>& raw, const std::vector<float>& base, std::int64_t rows,
                         std::int64_t first = 0) {
  const float scale[3] = {0.3f, 1.7f, 0.9f}, factor[8] = {1.3f, 0.8f, 1.0f, 2.1f, 0.1f, 1.7f, 0.6f, 1.1f};
  std::vector<float> out(static_cast<std::size_t>(rows * (2 + n) * n));
  table.mix({rows, raw.data() + first * (2 + n) * n, factor + first, scale, base.data(), n, iterations, 1e-6f, out.data()});
  return out;
}

TEST(ElementwiseParity, MixingWeightsAreWithinTheirPassesRounding) {
  WorstRatio worst("mix");
  Numbers numbers(7);
  for (const std::int64_t n : {1, 2, 4, 5, 16}) {
    for (const std::int64_t iterations : {1, 2, 20}) {
      for (const float size : {0.0f, 1.0f, 12.0f}) {
        constexpr std::int64_t kRows = 7;
        const auto raw = numbers.Floats(kRows * (2 + n) * n, -size, size), base = numbers.Floats((2 + n) * n, -size, size);
        // An exponential, and per pass n sums and a quotient, in both computations; passes are contractions.
        const double bound = (8.0 + 2.0 * static_cast<double>(iterations * 2 * (n + 2))) * 0x1p-24;
        ExpectWithin(worst, "mix", [&](const Table& table) { return MixOf(table, n, iterations, raw, base, kRows); },
                     [&](float y) { return std::fabs(y) * bound + 1e-36; });
        if (hardware::BestIsa() < hardware::Isa::kAvx512) continue;
        const auto together = MixOf(TableFor(hardware::Isa::kAvx512), n, iterations, raw, base, kRows);
        EXPECT_TRUE(SameBits(MixOf(TableFor(hardware::Isa::kAvx2), n, iterations, raw, base, kRows), together));
        for (std::int64_t r = 0; r < kRows; ++r) {
          const auto alone = MixOf(TableFor(hardware::Isa::kAvx512), n, iterations, raw, base, 1, r);
          EXPECT_EQ(std::memcmp(alone.data(), together.data() + r * (2 + n) * n, alone.size() * sizeof(float)), 0) << r;
        }
      }
    }
  }
}

TEST(ElementwiseParity, Avx2AndAvx512GiveEqualBits) {
  if (hardware::BestIsa() < hardware::Isa::kAvx512) GTEST_SKIP() << "needs AVX-512";
  Numbers numbers(6);
  const Table &narrow = TableFor(hardware::Isa::kAvx2), &wide = TableFor(hardware::Isa::kAvx512);
  for (const std::int64_t d : kLengths) {
    const auto gate = numbers.Floats(d, -50.0f, 50.0f), up = numbers.Floats(d);
    std::vector<float> a(static_cast<std::size_t>(d)), b = a;
    narrow.swiglu({gate.data(), up.data(), d, 10.0f, 1.0f, Rounding::kNone, a.data()});
    wide.swiglu({gate.data(), up.data(), d, 10.0f, 1.0f, Rounding::kNone, b.data()});
    EXPECT_TRUE(SameBits(a, b));
    narrow.norm({gate.data(), 1, d, d, up.data(), 1e-6f, a.data(), Rounding::kNone});
    wide.norm({gate.data(), 1, d, d, up.data(), 1e-6f, b.data(), Rounding::kNone});
    EXPECT_TRUE(SameBits(a, b));
    a = b = gate;
    narrow.router_score({a.data(), d});
    wide.router_score({b.data(), d});
    EXPECT_TRUE(SameBits(a, b));
  }
}

}  // namespace
}  // namespace baleen::kernels

#include <algorithm>
#include <cmath>

#include "matrices.h"

namespace baleen::kernels {
namespace {

TEST(LinearParity, AgreesWithTheReferenceWithinTheDerivedBound) {
  for (const auto isa : FastIsas()) {
    for (const Format format : kFormats) {
      WorstRatio worst("linear " + Name(isa) + " " + kFormatNames[static_cast<int>(format)]);
      Numbers numbers(11);
      for (const std::int64_t k : {1, 2, 15, 16, 17, 31, 32, 33, 64, 96, 127, 128, 129, 160, 255, 256, 384, 432, 520, 1100}) {
        if (format == Format::kFp4 && k % 2 != 0) continue;
        for (const std::int64_t rows : {1, 2, 3, 4, 5, 8, 9, 13, 16}) {
          for (const bool quantised : {false, true}) {
            const std::int64_t n = k % 3 == 0 ? 133 : 19;
            const Weights w = RandomWeights(numbers, format, n, k);
            const Activations a = RandomActivations(numbers, rows, k, quantised);
            const auto expected = Multiply(TableFor(hardware::Isa::kReference).linear, w.matrix, a, 0, n, 0, rows);
            const auto found = Multiply(TableFor(isa).linear, w.matrix, a, 0, n, 0, rows);
            for (std::int64_t i = 0; i < rows * n; ++i) {
              ASSERT_TRUE(worst.Within(expected[i], found[i], Bound(k, Magnitude(w, a, i / n, i % n))))
                  << Name(isa) << " " << kFormatNames[static_cast<int>(format)] << " k " << k << " rows " << rows << " quantised " << quantised << " output "
                  << i << ": " << expected[i] << " against " << found[i];
            }
          }
        }
      }
    }
  }
}

TEST(LinearParity, ExtremeScalesNeitherOverflowNorVanish) {
  struct Range { int low, high; };
  for (const auto isa : FastIsas()) {
    for (const Format format : {Format::kFp8, Format::kFp4}) {
      for (const Range range : {Range{1, 1}, Range{0, 3}, Range{1, 60}, Range{190, 254}, Range{254, 254}, Range{20, 200}}) {
        for (const float exponent : {-22.0f, 0.0f, 20.0f, 110.0f}) {
          Numbers numbers(5);
          const std::int64_t n = 130, k = 288;
          const Weights w = RandomWeights(numbers, format, n, k, range.low, range.high);
          Activations a = RandomActivations(numbers, 6, k, true);
          for (float& scale : a.scales) scale = std::exp2(exponent);
          const auto expected = Multiply(TableFor(hardware::Isa::kReference).linear, w.matrix, a, 0, n, 0, 6);
          const auto found = Multiply(TableFor(isa).linear, w.matrix, a, 0, n, 0, 6);
          for (std::int64_t i = 0; i < 6 * n; ++i) {
            const double magnitude = Magnitude(w, a, i / n, i % n);
            if (magnitude > 3e38) continue;  // the answer itself may be infinite
            ASSERT_LE(std::fabs(static_cast<double>(expected[i]) - found[i]), Bound(k, magnitude))
                << Name(isa) << " scales " << range.low << ".." << range.high << " x 2^" << exponent << ": " << expected[i] << " against " << found[i];
          }
        }
      }
    }
  }
}

TEST(LinearParity, EveryE4m3CodeTimesOneIsExact) {
  for (const auto isa : FastIsas()) {
    for (int code = 0; code < 256; ++code) {
      if ((code & 0x7F) == 0x7F) continue;
      for (const std::int64_t rows : {1, 9}) {
        std::vector<std::byte> data(1, static_cast<std::byte>(code));
        const std::vector<std::uint8_t> scales(1, 127);
        const Activations a{std::vector<float>(9, 1.0f), std::vector<float>(9, 1.0f), 9, 1, false};
        const auto y = Multiply(TableFor(isa).linear, {Format::kFp8, data.data(), scales.data(), 1, 1}, a, 0, 1, 0, rows);
        EXPECT_EQ(y[0], tensor::FromE4m3(static_cast<std::uint8_t>(code))) << Name(isa) << " code " << code;
      }
    }
  }
}

TEST(LinearParity, ARowsBitsDoNotDependOnWhatStandsBesideIt) {
  for (const auto isa : FastIsas()) {
    for (const Format format : kFormats) {
      for (const bool quantised : {false, true}) {
        for (const std::int64_t k : {34, 160, 1040}) {
          Numbers numbers(23);
          const std::int64_t n = 37, rows = 101;
          const std::string where = Name(isa) + " " + kFormatNames[static_cast<int>(format)] + " k " + std::to_string(k) + (quantised ? " quantised" : "");
          const Weights w = RandomWeights(numbers, format, n, k);
          const Activations a = RandomActivations(numbers, rows, k, quantised);
          for (const Rounding rounding : {Rounding::kNone, Rounding::kBf16}) {
            const auto whole = Multiply(TableFor(isa).linear, w.matrix, a, 0, n, 0, rows, {}, rounding);
            for (const std::int64_t group : {1, 2, 3, 4, 5, 11, 17}) {
              for (std::int64_t r = 0; r + group <= rows; r += group) {
                const auto part = Multiply(TableFor(isa).linear, w.matrix, a, 0, n, r, group, {}, rounding);
                ASSERT_TRUE(std::memcmp(part.data(), whole.data() + r * n, 4 * part.size()) == 0) << where << " rows " << r << " + " << group;
              }
            }
            for (std::int64_t begin = 0; begin < n; begin += 5) {
              const std::int64_t end = std::min(begin + 5, n);
              for (const std::int64_t some : {std::int64_t{3}, rows}) {
                const auto part = Multiply(TableFor(isa).linear, w.matrix, a, begin, end, 0, some, {}, rounding);
                for (std::int64_t r = 0; r < some; ++r) {
                  ASSERT_TRUE(std::memcmp(part.data() + r * (end - begin), whole.data() + r * n + begin, 4 * (end - begin)) == 0) << where << " from " << begin;
                }
              }
            }
            std::vector<std::int32_t> x_rows;
            for (int i = 0; i < 29; ++i) x_rows.push_back(numbers.Whole(0, static_cast<int>(rows) - 1));
            const auto gathered = Multiply(TableFor(isa).linear, w.matrix, a, 0, n, 0, 29, x_rows, rounding);
            for (std::size_t i = 0; i < x_rows.size(); ++i) {
              ASSERT_TRUE(std::memcmp(gathered.data() + i * n, whole.data() + x_rows[i] * n, 4 * n) == 0) << where << " gathered";
            }
          }
        }
      }
    }
  }
}

/// What x may hold: kinds that different kernels of one instruction set take.
enum class XKind { kWild, kQuantised, kBf16, kTinyBf16 };

Activations ActivationsOf(Numbers& numbers, XKind kind, std::int64_t rows, std::int64_t k) {
  if (kind == XKind::kWild || kind == XKind::kQuantised) return RandomActivations(numbers, rows, k, kind == XKind::kQuantised);
  Activations a{numbers.Floats(rows * k, -4.0f, 4.0f), std::vector<float>(static_cast<std::size_t>(rows * ((k + 127) / 128))), rows, k, false};
  for (float& x : a.x) x = tensor::RoundToBf16(numbers.Whole(0, 9) == 0 ? -0.0f : x);
  // Products of these are denormal, or their sums.
  for (std::size_t i = 0; kind == XKind::kTinyBf16 && i < a.x.size(); ++i) a.x[i] *= i % 3 == 0 ? 0x1p-126f : 0x1p-110f;
  return a;
}

TEST(LinearParity, Avx2AndAvx512GiveEqualBits) {
  if (hardware::BestIsa() < hardware::Isa::kAvx512) GTEST_SKIP() << "needs AVX-512";
  Numbers numbers(31);
  for (const Format format : kFormats) {
    for (const std::int64_t k : {30, 398, 1024, 2210}) {
      for (const std::int64_t rows : {1, 2, 3, 4, 5, 7, 11, 16, 22}) {
        for (const XKind kind : {XKind::kWild, XKind::kQuantised, XKind::kBf16, XKind::kTinyBf16}) {
          const std::int64_t n = 141;
          const Weights w = RandomWeights(numbers, format, n, k);
          const Activations a = ActivationsOf(numbers, kind, rows, k);
          EXPECT_TRUE(SameBits(Multiply(TableFor(hardware::Isa::kAvx2).linear, w.matrix, a, 3, n, 0, rows),
                               Multiply(TableFor(hardware::Isa::kAvx512).linear, w.matrix, a, 3, n, 0, rows)))
              << kFormatNames[static_cast<int>(format)] << " k " << k << " rows " << rows << " kind " << static_cast<int>(kind);
        }
      }
    }
  }
}

// Sums may be kept relative to a scale: those of other blocks lie near it, at the edge of what is allowed, and beyond.
TEST(LinearParity, ScalesFarApartGiveEqualBits) {
  if (hardware::BestIsa() < hardware::Isa::kAvx512) GTEST_SKIP() << "needs AVX-512";
  Numbers numbers(41);
  struct Range { int low, high; };
  for (const Format format : {Format::kFp8, Format::kFp4}) {
    for (const Range w_range : {Range{126, 128}, Range{77, 117}, Range{137, 177}, Range{107, 148}, Range{76, 80}, Range{77, 177}}) {
      for (const Range x_range : {Range{-1, 1}, Range{-50, -10}, Range{10, 50}, Range{-20, 21}, Range{-50, 50}, Range{49, 51}}) {
        for (const std::int64_t k : {256, 416, 1280}) {
          for (const std::int64_t rows : {1, 2, 3, 4, 6, 16, 19}) {
            const std::int64_t n = 135;
            const Weights w = RandomWeights(numbers, format, n, k, w_range.low, w_range.high);
            Activations a = RandomActivations(numbers, rows, k, true);
            for (float& scale : a.scales) scale = std::ldexp(1.0f, numbers.Whole(x_range.low, x_range.high));
            ASSERT_TRUE(SameBits(Multiply(TableFor(hardware::Isa::kAvx2).linear, w.matrix, a, 2, n, 0, rows),
                                 Multiply(TableFor(hardware::Isa::kAvx512).linear, w.matrix, a, 2, n, 0, rows)))
                << kFormatNames[static_cast<int>(format)] << " k " << k << " rows " << rows << " scales of weights from " << w_range.low << " to " << w_range.high
                << ", of x from 2^" << x_range.low << " to 2^" << x_range.high;
          }
        }
      }
    }
  }
}

TEST(LinearParity, TinyBf16WeightsKeepTheirDenormalSums) {
  if (hardware::BestIsa() < hardware::Isa::kAvx512) GTEST_SKIP() << "needs AVX-512";
  Numbers numbers(37);
  const std::int64_t n = 20, k = 300, rows = 9;
  Weights w = RandomWeights(numbers, Format::kBf16, n, k);
  for (std::int64_t i = 0; i < n * k; ++i) {
    const std::uint16_t code = tensor::ToBf16(numbers.Uniform(-1.0f, 1.0f) * (i == n * k / 2 ? 0x1p-127f : 0x1p-94f));
    std::memcpy(w.data.data() + 2 * i, &code, 2);
  }
  Activations a = ActivationsOf(numbers, XKind::kBf16, rows, k);
  for (float& x : a.x) x *= 0x1p-36f;
  const auto found = Multiply(TableFor(hardware::Isa::kAvx512).linear, w.matrix, a, 0, n, 0, rows);
  EXPECT_TRUE(SameBits(Multiply(TableFor(hardware::Isa::kAvx2).linear, w.matrix, a, 0, n, 0, rows), found));
  EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](float y) { return y != 0.0f && std::fabs(y) < 0x1p-126f; }));
}

}  // namespace
}  // namespace baleen::kernels

#include <cmath>

#include "isas.h"
#include "tensor/scalar.h"

namespace baleen::kernels {
namespace {

constexpr Format kFormats[] = {Format::kF32, Format::kBf16, Format::kFp8, Format::kFp4};
const char* const kFormatNames[] = {"f32", "bf16", "fp8", "fp4"};

struct Weights {
  std::vector<std::byte> data;  // exactly the matrix: a sanitizer sees a read past it
  std::vector<std::uint8_t> scales;
  Matrix matrix;
};

/// Random codes; scale codes from [low, high].
Weights RandomWeights(Numbers& numbers, Format format, std::int64_t n, std::int64_t k, int low = 117, int high = 130) {
  Weights w;
  w.data.resize(static_cast<std::size_t>(n * RowBytes(format, k)));
  for (std::byte& code : w.data) code = static_cast<std::byte>(numbers.Whole(0, 255));
  if (format == Format::kFp8) {
    for (std::byte& code : w.data) code = (static_cast<int>(code) & 0x7F) == 0x7F ? std::byte{0xFE} : code;
  }
  if (format == Format::kF32 || format == Format::kBf16) {
    for (std::int64_t i = 0; i < n * k; ++i) {
      const float value = numbers.Whole(0, 9) == 0 ? 0.0f : numbers.Uniform(-1.0f, 1.0f);
      const std::uint16_t narrow = tensor::ToBf16(value);
      if (format == Format::kF32) std::memcpy(w.data.data() + 4 * i, &value, 4);
      if (format == Format::kBf16) std::memcpy(w.data.data() + 2 * i, &narrow, 2);
    }
  }
  if (format == Format::kFp8) w.scales.resize(static_cast<std::size_t>((n + 127) / 128 * ((k + 127) / 128)));
  if (format == Format::kFp4) w.scales.resize(static_cast<std::size_t>(n * ((k + 31) / 32)));
  for (std::uint8_t& scale : w.scales) scale = static_cast<std::uint8_t>(numbers.Whole(low, high));
  w.matrix = {format, w.data.data(), w.scales.empty() ? nullptr : w.scales.data(), n, k};
  return w;
}

struct Activations {
  std::vector<float> x, scales;
  std::int64_t rows = 0, k = 0;
  bool quantised = false;
};

Activations RandomActivations(Numbers& numbers, std::int64_t rows, std::int64_t k, bool quantised) {
  Activations a{numbers.Wild(rows * k), std::vector<float>(static_cast<std::size_t>(rows * ((k + 127) / 128))), rows, k, quantised};
  if (quantised) TableFor(hardware::Isa::kReference).quantize({a.x.data(), rows, k, a.x.data(), a.scales.data()});
  return a;
}

std::vector<float> Multiply(hardware::Isa isa, const Matrix& w, const Activations& a, std::int64_t begin, std::int64_t end, std::int64_t first,
                            std::int64_t rows, const std::vector<std::int32_t>& x_rows = {}, Rounding rounding = Rounding::kNone) {
  std::vector<float> y(static_cast<std::size_t>(rows * (end - begin)), 7.0f);
  const std::int64_t groups = (a.k + 127) / 128;
  LinearArgs args{.weight = w, .row_begin = begin, .row_end = end, .x = a.x.data() + first * a.k, .x_stride = a.k, .rows = rows, .y = y.data(),
                  .y_stride = end - begin, .rounding = rounding};
  if (!x_rows.empty()) args.x_rows = x_rows.data();
  if (a.quantised) {
    args.x_scales = a.scales.data() + first * groups;
    args.scale_stride = groups;
  }
  TableFor(isa).linear(args);
  return y;
}

/// Σ |x·w| of one output, scales applied.
double Magnitude(const Weights& w, const Activations& a, std::int64_t r, std::int64_t n) {
  double sum = 0.0;
  const std::int64_t k = a.k;
  const Format format = w.matrix.format;
  const std::byte* row = w.data.data() + n * RowBytes(format, k);
  for (std::int64_t i = 0; i < k; ++i) {
    float value = 0.0f;
    double scale = a.quantised ? a.scales[r * ((k + 127) / 128) + i / 128] : 1.0;
    if (format == Format::kF32) std::memcpy(&value, row + 4 * i, 4);
    if (format == Format::kBf16) {
      std::uint16_t code;
      std::memcpy(&code, row + 2 * i, 2);
      value = tensor::FromBf16(code);
    }
    if (format == Format::kFp8) {
      value = tensor::FromE4m3(static_cast<std::uint8_t>(row[i]));
      scale *= tensor::FromE8m0(w.scales[n / 128 * ((k + 127) / 128) + i / 128]);
    }
    if (format == Format::kFp4) {
      value = tensor::FromE2m1(static_cast<std::uint8_t>(static_cast<int>(row[i / 2]) >> (4 * (i % 2))));
      scale *= tensor::FromE8m0(w.scales[n * ((k + 31) / 32) + i / 32]);
    }
    sum += std::fabs(static_cast<double>(value) * a.x[r * k + i]) * scale;
  }
  return sum;
}

/// Rounding errors on the way to one output: k/16 of a lane's chain, k/128 additions of blocks, the tree, and the reference's own; and half
/// the smallest fp32 a product, kept times 2^-8 for fp8, before scales of at most 2^3.
double Bound(std::int64_t k, double magnitude) { return (k / 16.0 + k / 64.0 + 16.0) * 0x1p-24 * magnitude + k * 0x1p-138; }

TEST(LinearParity, AgreesWithTheReferenceWithinTheDerivedBound) {
  for (const auto isa : FastIsas()) {
    for (const Format format : kFormats) {
      WorstRatio worst("linear " + Name(isa) + " " + kFormatNames[static_cast<int>(format)]);
      Numbers numbers(11);
      for (const std::int64_t k : {1, 2, 15, 16, 17, 31, 32, 33, 64, 96, 127, 128, 129, 160, 255, 256, 384, 432, 520, 1100}) {
        if (format == Format::kFp4 && k % 2 != 0) continue;
        for (const std::int64_t rows : {1, 2, 3, 4, 5, 7, 13}) {
          for (const bool quantised : {false, true}) {
            const std::int64_t n = k % 3 == 0 ? 133 : 19;
            const Weights w = RandomWeights(numbers, format, n, k);
            const Activations a = RandomActivations(numbers, rows, k, quantised);
            const auto expected = Multiply(hardware::Isa::kReference, w.matrix, a, 0, n, 0, rows);
            const auto found = Multiply(isa, w.matrix, a, 0, n, 0, rows);
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
          const auto expected = Multiply(hardware::Isa::kReference, w.matrix, a, 0, n, 0, 6), found = Multiply(isa, w.matrix, a, 0, n, 0, 6);
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
      for (const std::int64_t rows : {1, 6}) {
        std::vector<std::byte> data(1, static_cast<std::byte>(code));
        const std::vector<std::uint8_t> scales(1, 127);
        const Activations a{std::vector<float>(6, 1.0f), std::vector<float>(6, 1.0f), 6, 1, false};
        const auto y = Multiply(isa, {Format::kFp8, data.data(), scales.data(), 1, 1}, a, 0, 1, 0, rows);
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
            const auto whole = Multiply(isa, w.matrix, a, 0, n, 0, rows, {}, rounding);
            for (const std::int64_t group : {1, 2, 3, 4, 5, 17}) {
              for (std::int64_t r = 0; r + group <= rows; r += group) {
                const auto part = Multiply(isa, w.matrix, a, 0, n, r, group, {}, rounding);
                ASSERT_TRUE(std::memcmp(part.data(), whole.data() + r * n, 4 * part.size()) == 0) << where << " rows " << r << " + " << group;
              }
            }
            for (std::int64_t begin = 0; begin < n; begin += 5) {
              const std::int64_t end = std::min(begin + 5, n);
              for (const std::int64_t some : {std::int64_t{3}, rows}) {
                const auto part = Multiply(isa, w.matrix, a, begin, end, 0, some, {}, rounding);
                for (std::int64_t r = 0; r < some; ++r) {
                  ASSERT_TRUE(std::memcmp(part.data() + r * (end - begin), whole.data() + r * n + begin, 4 * (end - begin)) == 0) << where << " from " << begin;
                }
              }
            }
            std::vector<std::int32_t> x_rows;
            for (int i = 0; i < 29; ++i) x_rows.push_back(numbers.Whole(0, static_cast<int>(rows) - 1));
            const auto gathered = Multiply(isa, w.matrix, a, 0, n, 0, 29, x_rows, rounding);
            for (std::size_t i = 0; i < x_rows.size(); ++i) {
              ASSERT_TRUE(std::memcmp(gathered.data() + i * n, whole.data() + x_rows[i] * n, 4 * n) == 0) << where << " gathered";
            }
          }
        }
      }
    }
  }
}

TEST(LinearParity, Avx2AndAvx512GiveEqualBits) {
  if (hardware::BestIsa() < hardware::Isa::kAvx512) GTEST_SKIP() << "needs AVX-512";
  Numbers numbers(31);
  for (const Format format : kFormats) {
    for (const std::int64_t rows : {1, 2, 3, 4, 9}) {
      for (const bool quantised : {false, true}) {
        const std::int64_t n = 41, k = 398;
        const Weights w = RandomWeights(numbers, format, n, k);
        const Activations a = RandomActivations(numbers, rows, k, quantised);
        EXPECT_TRUE(SameBits(Multiply(hardware::Isa::kAvx2, w.matrix, a, 0, n, 0, rows), Multiply(hardware::Isa::kAvx512, w.matrix, a, 0, n, 0, rows)));
      }
    }
  }
}

}  // namespace
}  // namespace baleen::kernels

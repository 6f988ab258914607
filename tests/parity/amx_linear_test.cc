#if defined(__x86_64__)

#include <cmath>
#include <cstdlib>

#include "emulated_tiles.h"
#include "matrices.h"

namespace baleen::kernels {
namespace {

void Emulated(const LinearArgs& args) noexcept {
  if (!LinearOnEmulatedTiles(args)) std::abort();
}

struct Named {
  const char* name;
  LinearKernel kernel;
};

/// The tile kernel over emulated tiles, and over real ones where the machine has them.
std::vector<Named> Kernels() {
  std::vector<Named> kernels;
  if (CanEmulateTiles()) kernels.push_back({"emulated", Emulated});
  if (hardware::BestIsa() >= hardware::Isa::kAmx) kernels.push_back({"amx", TableFor(hardware::Isa::kAmx).linear});
  return kernels;
}

struct Kind {
  Format format;
  bool quantised;
  Rounding rounding;
};
constexpr Kind kKinds[] = {{Format::kFp8, true, Rounding::kNone}, {Format::kFp4, true, Rounding::kNone}, {Format::kFp8, false, Rounding::kBf16},
                           {Format::kBf16, false, Rounding::kBf16}};

Activations Bf16Activations(Numbers& numbers, std::int64_t rows, std::int64_t k, bool quantised) {
  Activations a = RandomActivations(numbers, rows, k, quantised);
  for (float& x : a.x) x = tensor::RoundToBf16(x);
  return a;
}

/// Multiplies on the named kernel, and compares with the reference.
std::vector<float> MultiplyWithinBound(const Named& named, const Kind& kind, const Weights& w, const Activations& a, std::int64_t rows, std::int64_t n, std::int64_t k,
                                       WorstRatio& worst) {
  const auto expected = Multiply(TableFor(hardware::Isa::kReference).linear, w.matrix, a, 0, n, 0, rows);
  auto found = Multiply(named.kernel, w.matrix, a, 0, n, 0, rows, {}, kind.rounding);
  for (std::int64_t i = 0; i < rows * n; ++i) {
    // Beside the bound of the other kernels: a rounded result, and denormal operands that count as zero.
    const double rounding = kind.rounding == Rounding::kBf16 ? std::fabs(expected[i]) * 0x1p-8 : 0.0;
    const double bound = 2 * Bound(k, Magnitude(w, a, i / n, i % n)) + rounding + static_cast<double>(k) * 0x1p-112;
    EXPECT_TRUE(worst.Within(expected[i], found[i], bound))
        << named.name << " k " << k << " rows " << rows << " output " << i << ": " << expected[i] << " against " << found[i];
    if (::testing::Test::HasFailure()) break;
  }
  return found;
}

TEST(TileLinear, AgreesWithTheReferenceWithinTheDerivedBound) {
  for (const Named& named : Kernels()) {
    for (const Kind& kind : kKinds) {
      const std::string operands = std::string(kFormatNames[static_cast<int>(kind.format)]) + (kind.quantised ? " times e4m3" : " times bf16");
      WorstRatio worst(std::string("linear on tiles, ") + named.name + ", " + operands);
      Numbers numbers(17);
      for (const std::int64_t k : {1, 2, 15, 17, 31, 32, 33, 64, 96, 127, 128, 129, 160, 255, 256, 432, 520}) {
        if (kind.format == Format::kFp4 && k % 2 != 0) continue;
        for (const std::int64_t rows : {1, 3, 16, 17, 70}) {
          const std::int64_t n = k % 3 == 0 ? 133 : 19;
          const Weights w = RandomWeights(numbers, kind.format, n, k);
          MultiplyWithinBound(named, kind, w, Bf16Activations(numbers, rows, k, kind.quantised), rows, n, k, worst);
          ASSERT_FALSE(HasFailure());
        }
      }
    }
  }
}

TEST(TileLinear, RowsLongerThanARangeKeepTheirOrder) {
  for (const Named& named : Kernels()) {
    for (const Kind& kind : kKinds) {
      WorstRatio worst(std::string("linear on tiles, long rows, ") + named.name);
      Numbers numbers(23);
      const std::int64_t n = 37, rows = 18;
      for (const std::int64_t k : {8192, 8192 + 160, 2 * 8192 + 32}) {
        const Weights w = RandomWeights(numbers, kind.format, n, k);
        const Activations a = Bf16Activations(numbers, rows, k, kind.quantised);
        const auto found = MultiplyWithinBound(named, kind, w, a, rows, n, k, worst);
        ASSERT_FALSE(HasFailure());
        for (const std::int64_t r : {0, 17}) {
          const auto one = Multiply(named.kernel, w.matrix, a, 0, n, r, 1, {}, kind.rounding);
          ASSERT_EQ(std::memcmp(one.data(), found.data() + r * n, 4 * one.size()), 0) << named.name << " k " << k << " row " << r;
        }
      }
    }
  }
}

TEST(TileLinear, RealTilesGiveTheBitsOfEmulatedOnes) {
  if (hardware::BestIsa() < hardware::Isa::kAmx) GTEST_SKIP() << "needs AMX";
  for (const Kind& kind : kKinds) {
    for (const std::int64_t rows : {1, 2, 16, 33, 140}) {
      Numbers numbers(29);
      const std::int64_t n = 70, k = 416;
      const Weights w = RandomWeights(numbers, kind.format, n, k);
      const Activations a = Bf16Activations(numbers, rows, k, kind.quantised);
      const auto emulated = Multiply(Emulated, w.matrix, a, 0, n, 0, rows, {}, kind.rounding);
      const auto real = Multiply(TableFor(hardware::Isa::kAmx).linear, w.matrix, a, 0, n, 0, rows, {}, kind.rounding);
      ASSERT_EQ(std::memcmp(emulated.data(), real.data(), 4 * real.size()), 0) << kFormatNames[static_cast<int>(kind.format)] << " rows " << rows;
    }
  }
}

TEST(TileLinear, ARowsBitsDoNotDependOnWhatStandsBesideIt) {
  for (const Named& named : Kernels()) {
    for (const Kind& kind : kKinds) {
      Numbers numbers(19);
      const std::int64_t n = 150, k = 292, rows = 150;
      const Weights w = RandomWeights(numbers, kind.format, n, k);
      const Activations a = Bf16Activations(numbers, rows, k, kind.quantised);
      const auto whole = Multiply(named.kernel, w.matrix, a, 0, n, 0, rows, {}, kind.rounding);
      for (const std::int64_t group : {1, 2, 15, 33}) {
        for (std::int64_t r = 0; r + group <= rows; r += 3 * group) {
          const auto part = Multiply(named.kernel, w.matrix, a, 0, n, r, group, {}, kind.rounding);
          ASSERT_EQ(std::memcmp(part.data(), whole.data() + r * n, 4 * part.size()), 0) << named.name << " rows " << r << " + " << group;
        }
      }
      for (std::int64_t begin = 0; begin < n; begin += 47) {
        const std::int64_t end = std::min(begin + 47, n);
        const auto part = Multiply(named.kernel, w.matrix, a, begin, end, 0, 5, {}, kind.rounding);
        for (std::int64_t r = 0; r < 5; ++r) {
          ASSERT_EQ(std::memcmp(part.data() + r * (end - begin), whole.data() + r * n + begin, 4 * (end - begin)), 0) << named.name << " from " << begin;
        }
      }
      const std::vector<std::int32_t> x_rows = {80, 0, 17, 17, 3};
      const auto gathered = Multiply(named.kernel, w.matrix, a, 0, n, 0, 5, x_rows, kind.rounding);
      for (std::size_t i = 0; i < x_rows.size(); ++i) {
        ASSERT_EQ(std::memcmp(gathered.data() + i * n, whole.data() + x_rows[i] * n, 4 * n), 0) << named.name << " gathered";
      }
    }
  }
}

TEST(TileLinear, ExtremeScalesNeitherOverflowNorVanish) {
  struct Range { int low, high; };
  for (const Named& named : Kernels()) {
    for (const Format format : {Format::kFp8, Format::kFp4}) {
      for (const Range range : {Range{1, 1}, Range{0, 3}, Range{1, 60}, Range{190, 254}, Range{254, 254}, Range{40, 200}}) {
        for (const float exponent : {-22.0f, 0.0f, 110.0f}) {
          Numbers numbers(5);
          const std::int64_t n = 130, k = 288;
          const Weights w = RandomWeights(numbers, format, n, k, range.low, range.high);
          Activations a = RandomActivations(numbers, 3, k, true);
          for (float& scale : a.scales) scale = std::exp2(exponent);
          const auto expected = Multiply(TableFor(hardware::Isa::kReference).linear, w.matrix, a, 0, n, 0, 3);
          const auto found = Multiply(named.kernel, w.matrix, a, 0, n, 0, 3), one = Multiply(named.kernel, w.matrix, a, 0, n, 1, 1);
          ASSERT_EQ(std::memcmp(one.data(), found.data() + n, 4 * one.size()), 0) << named.name << " a row alone, scales " << range.low << ".." << range.high;
          for (std::int64_t i = 0; i < 3 * n; ++i) {
            const double magnitude = Magnitude(w, a, i / n, i % n);
            if (magnitude > 3e38) continue;  // the answer itself may be infinite
            ASSERT_LE(std::fabs(static_cast<double>(expected[i]) - found[i]), 2 * Bound(k, magnitude))
                << named.name << " scales " << range.low << ".." << range.high << " x 2^" << exponent << ": " << expected[i] << " against " << found[i];
          }
        }
      }
    }
  }
}

TEST(TileLinear, EveryE4m3CodeTimesOneIsExact) {
  for (const Named& named : Kernels()) {
    for (int code = 0; code < 256; ++code) {
      if ((code & 0x7F) == 0x7F) continue;
      const std::vector<std::byte> data(1, static_cast<std::byte>(code));
      const std::vector<std::uint8_t> scales(1, 127);
      const Activations a{{1.0f}, {1.0f}, 1, 1, true};
      const auto y = Multiply(named.kernel, {Format::kFp8, data.data(), scales.data(), 1, 1}, a, 0, 1, 0, 1);
      EXPECT_EQ(y[0], tensor::FromE4m3(static_cast<std::uint8_t>(code))) << named.name << " code " << code;
    }
  }
}

TEST(TileLinear, WhatIsNotExactInBf16IsPassedOn) {
  if (!CanEmulateTiles()) GTEST_SKIP() << "needs AVX-512 with bf16 pairs, byte dots and byte matrices";
  LinearArgs args;
  args.weight.format = Format::kBf16;
  EXPECT_FALSE(LinearOnEmulatedTiles(args));  // exact arithmetic: x is any fp32
  args.weight.format = Format::kF32;
  args.rounding = Rounding::kBf16;
  EXPECT_FALSE(LinearOnEmulatedTiles(args));
}

}  // namespace
}  // namespace baleen::kernels

#endif

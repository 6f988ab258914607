#include <cmath>
#include <cstdio>
#include <random>

#include "isas.h"
#include "tensor/scalar.h"

namespace baleen::kernels {
namespace {

constexpr std::int64_t kN = 256, kK = 2048, kRows = 16;

struct Fp8Weights {
  std::vector<std::byte> codes;
  std::vector<std::uint8_t> scales;
  Matrix matrix;
};

/// Weights as a checkpoint would hold them: each 128 × 128 block scaled by the least power of two with which its largest fits e4m3.
Fp8Weights Quantised(const std::vector<double>& values) {
  Fp8Weights w{std::vector<std::byte>(kN * kK), std::vector<std::uint8_t>(kN / 128 * kK / 128), {}};
  for (std::int64_t block = 0; block < static_cast<std::int64_t>(w.scales.size()); ++block) {
    const std::int64_t row = block / (kK / 128) * 128, column = block % (kK / 128) * 128;
    double largest = 0;
    for (std::int64_t i = 0; i < 128 * 128; ++i) largest = std::max(largest, std::fabs(values[(row + i / 128) * kK + column + i % 128]));
    const int exponent = static_cast<int>(std::ceil(std::log2(largest / tensor::kE4m3Largest)));
    w.scales[block] = static_cast<std::uint8_t>(127 + exponent);
    for (std::int64_t i = 0; i < 128 * 128; ++i) {
      const std::int64_t at = (row + i / 128) * kK + column + i % 128;
      w.codes[at] = static_cast<std::byte>(tensor::ToE4m3(static_cast<float>(std::ldexp(values[at], -exponent))));
    }
  }
  w.matrix = {Format::kFp8, w.codes.data(), w.scales.data(), kN, kK};
  return w;
}

/// Root of the mean squared difference from exact, relative to exact.
struct Errors {
  double official, fast;
};
Errors ErrorsOf(const Fp8Weights& w, const std::vector<float>& x) {
  const Table& table = TableFor(hardware::Isa::kReference);
  const std::int64_t groups = kK / kActivationGroup, byte_groups = kK / kByteGroup;
  std::vector<float> codes(kRows * kK), scales(kRows * groups), byte_scales(kRows * byte_groups), exact(kRows * kN), official(kRows * kN), fast(kRows * kN);
  std::vector<std::int8_t> bytes(kRows * kK);
  table.quantize({x.data(), kRows, kK, codes.data(), scales.data()});
  table.byte_quantize({x.data(), kRows, kK, kByteGroup, bytes.data(), byte_scales.data()});
  LinearArgs args{.weight = w.matrix, .row_end = kN, .x = x.data(), .x_stride = kK, .rows = kRows, .y = exact.data(), .y_stride = kN};
  table.linear(args);
  args.x = codes.data();
  args.x_scales = scales.data();
  args.scale_stride = groups;
  args.y = official.data();
  table.linear(args);
  table.byte_linear({.weight = w.matrix, .row_end = kN, .x = bytes.data(), .x_stride = kK, .x_scales = byte_scales.data(), .scale_stride = byte_groups, .rows = kRows,
                     .y = fast.data(), .y_stride = kN});
  double of_official = 0, of_fast = 0, all = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    of_official += std::pow(official[i] - exact[i], 2);
    of_fast += std::pow(fast[i] - exact[i], 2);
    all += std::pow(exact[i], 2);
  }
  return {std::sqrt(of_official / all), std::sqrt(of_fast / all)};
}

/// FP8 weights with and without heavy tails, activations whose channels differ in size: rounding both operands to bytes costs less than rounding one
/// of them to e4m3.
TEST(ArithmeticError, BytesAreNoFurtherFromExactThanE4m3) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  std::student_t_distribution<double> heavy(4);
  std::vector<float> channel(kK), x(kRows * kK);
  for (float& size : channel) size = static_cast<float>(std::exp(0.5 * normal(random)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = channel[i % kK] * static_cast<float>(normal(random));
  for (const bool tails : {false, true}) {
    std::vector<double> values(kN * kK);
    for (double& value : values) value = tails ? heavy(random) : normal(random);
    const Errors errors = ErrorsOf(Quantised(values), x);
    std::printf("[  parity  ] FP8 weights, %s: official %.4f, fast %.4f from exact\n", tails ? "heavy tails" : "normal", errors.official, errors.fast);
    EXPECT_LT(errors.fast, errors.official);
    EXPECT_LT(errors.fast, tails ? 0.03 : 0.017);
  }
}

}  // namespace
}  // namespace baleen::kernels

#include <cmath>

#include "matrices.h"
#include "tables.h"

namespace baleen::kernels {
namespace {

struct ByteWeights {
  Weights weights;
  std::vector<float> row_scales;
  Matrix matrix;
};

ByteWeights RandomByteWeights(Numbers& numbers, Format format, std::int64_t n, std::int64_t k, int low = 120, int high = 123) {
  ByteWeights w;
  w.weights = RandomWeights(numbers, format, n, k, low, high);
  w.row_scales = numbers.Floats(n, 0x1p-9f, 0x1p-6f);
  w.matrix = w.weights.matrix;
  if (format == Format::kInt8) w.matrix.row_scales = w.row_scales.data();
  return w;
}

struct ByteRows {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::int64_t k = 0, groups = 0;
};

ByteRows RandomBytes(Numbers& numbers, Format format, std::int64_t rows, std::int64_t k) {
  const std::int64_t group = ByteGroup(format, k), groups = (k + group - 1) / group;
  ByteRows x{std::vector<std::int8_t>(static_cast<std::size_t>(rows * k)), numbers.Floats(rows * groups, 0.0f, 0.02f), k, groups};
  for (std::int8_t& code : x.codes) code = static_cast<std::int8_t>(numbers.Whole(0, 5) == 0 ? 127 * numbers.Whole(-1, 1) : numbers.Whole(-127, 127));
  return x;
}

std::vector<float> MultiplyBytes(const NamedTable& isa, const Matrix& w, const ByteRows& x, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t rows,
                                 Rounding rounding = Rounding::kNone, const std::vector<std::int32_t>& x_rows = {}) {
  std::vector<float> y(static_cast<std::size_t>(rows * (end - begin)), 7.0f);
  TableFor(isa).byte_linear({.weight = w, .row_begin = begin, .row_end = end, .x = x.codes.data() + first * x.k, .x_stride = x.k,
                             .x_rows = x_rows.empty() ? nullptr : x_rows.data(), .x_scales = x.scales.data() + first * x.groups, .scale_stride = x.groups, .rows = rows,
                             .y = y.data(), .y_stride = end - begin, .rounding = rounding});
  return y;
}

constexpr Format kByteFormats[] = {Format::kFp4, Format::kFp8, Format::kInt8};
const char* NameOf(Format format) { return format == Format::kInt8 ? "int8" : format == Format::kFp8 ? "fp8" : "fp4"; }

TEST(ByteLinearParity, EveryInstructionSetGivesTheReferencesBits) {
  for (const NamedTable& isa : FastTables()) {
    for (const Format format : kByteFormats) {
      Numbers numbers(3);
      for (const std::int64_t k : {2, 30, 32, 62, 64, 66, 130, 510, 512, 514, 1024, 1500, 4096}) {
        for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 16, 21, 33, 65, 70}) {
          const std::int64_t n = rows > 16 ? 21 : 37;
          const ByteWeights w = RandomByteWeights(numbers, format, n, k);
          const ByteRows x = RandomBytes(numbers, format, rows, k);
          for (const Rounding rounding : {Rounding::kNone, Rounding::kBf16}) {
            ASSERT_TRUE(SameBits(MultiplyBytes(hardware::Isa::kReference, w.matrix, x, 0, n, 0, rows, rounding), MultiplyBytes(isa, w.matrix, x, 0, n, 0, rows, rounding)))
                << Name(isa) << " " << NameOf(format) << " k " << k << " rows " << rows;
          }
        }
      }
    }
  }
}

TEST(ByteLinearParity, ScalesFarApartAndAtTheEndsOfFp32) {
  struct Range { int low, high; };
  for (const NamedTable& isa : FastTables()) {
    for (const Range range : {Range{120, 124}, Range{120, 127}, Range{118, 129}, Range{110, 140}, Range{0, 3}, Range{1, 60}, Range{190, 254}, Range{0, 254}, Range{254, 254}}) {
      for (const float exponent : {0.0f, -45.0f, -60.0f, 60.0f, 110.0f}) {
        for (const std::int64_t rows : {1, 3, 9}) {
          for (const Format format : {Format::kFp4, Format::kFp8}) {
            Numbers numbers(5);
            const std::int64_t n = format == Format::kFp8 ? 140 : 40, k = 1100;
            const ByteWeights w = RandomByteWeights(numbers, format, n, k, range.low, range.high);
            ByteRows x = RandomBytes(numbers, format, rows, k);
            for (float& scale : x.scales) scale *= std::exp2(exponent);
            ASSERT_TRUE(SameBits(MultiplyBytes(hardware::Isa::kReference, w.matrix, x, 0, n, 0, rows), MultiplyBytes(isa, w.matrix, x, 0, n, 0, rows)))
                << Name(isa) << " " << NameOf(format) << " scales " << range.low << " to " << range.high << ", x 2^" << exponent << ", rows " << rows;
          }
        }
      }
    }
  }
}

/// Groups of nothing but zeros, subnormals, one large weight among small ones, every code once.
TEST(ByteLinearParity, Fp8GroupsOfEverySpread) {
  for (const NamedTable& isa : FastTables()) {
    for (const int top : {0, 1, 7, 8, 15, 63, 64, 0x77, 0x7E}) {
      Numbers numbers(9);
      const std::int64_t n = 33, k = 1056, rows = 6;
      ByteWeights w = RandomByteWeights(numbers, Format::kFp8, n, k, 119, 122);
      for (std::int64_t o = 0; o < n; ++o) {
        for (std::int64_t i = 0; i < k; ++i) {
          const int magnitude = o % 3 == 0 ? std::min(top, static_cast<int>(i % 127)) : o % 3 == 1 ? (i % 100 == 0 ? top : top / 9) : top;
          w.weights.data[o * k + i] = static_cast<std::byte>(magnitude | (i % 5 < 2 ? 0x80 : 0));
        }
      }
      const ByteRows x = RandomBytes(numbers, Format::kFp8, rows, k);
      for (const std::int64_t few : {std::int64_t{1}, std::int64_t{2}, rows}) {
        ASSERT_TRUE(SameBits(MultiplyBytes(hardware::Isa::kReference, w.matrix, x, 0, n, 0, few), MultiplyBytes(isa, w.matrix, x, 0, n, 0, few)))
            << Name(isa) << " top " << top << " rows " << few;
      }
    }
  }
}

TEST(ByteLinearParity, TheLargestSumsFit) {
  for (const NamedTable& isa : FastTables()) {
    for (const Format format : kByteFormats) {
      for (const std::int64_t k : {std::int64_t{512}, std::int64_t{16384}, kMostByteColumns}) {
        Numbers numbers(1);
        ByteWeights w = RandomByteWeights(numbers, format, 2, k);
        ByteRows x = RandomBytes(numbers, format, 5, k);
        std::fill(w.weights.data.begin(), w.weights.data.end(), format == Format::kInt8 ? std::byte{0x80} : format == Format::kFp8 ? std::byte{0xFE} : std::byte{0xFF});
        for (std::size_t i = 0; i < w.weights.scales.size(); ++i) w.weights.scales[i] = i % 16 == 0 ? 120 : 131;
        std::fill(x.codes.begin(), x.codes.end(), std::int8_t{-127});
        const auto expected = MultiplyBytes(hardware::Isa::kReference, w.matrix, x, 0, 2, 0, 5);
        ASSERT_TRUE(SameBits(expected, MultiplyBytes(isa, w.matrix, x, 0, 2, 0, 5))) << Name(isa) << " " << NameOf(format) << " k " << k;
        EXPECT_GT(expected[0], 0.0f);
      }
    }
  }
}

TEST(ByteLinearParity, ARowsBitsDoNotDependOnWhatStandsBesideIt) {
  for (const NamedTable& isa : FastTables()) {
    for (const Format format : kByteFormats) {
      Numbers numbers(23);
      const std::int64_t n = 53, rows = 71, k = 1072;
      const ByteWeights w = RandomByteWeights(numbers, format, n, k, 118, 124);
      const ByteRows x = RandomBytes(numbers, format, rows, k);
      const auto whole = MultiplyBytes(isa, w.matrix, x, 0, n, 0, rows);
      for (const std::int64_t group : {1, 2, 3, 4, 5, 18}) {
        for (std::int64_t r = 0; r + group <= rows; r += group) {
          const auto part = MultiplyBytes(isa, w.matrix, x, 0, n, r, group);
          ASSERT_EQ(std::memcmp(part.data(), whole.data() + r * n, 4 * part.size()), 0) << Name(isa) << " rows " << r << " + " << group;
        }
      }
      for (std::int64_t begin = 0; begin < n; begin += 7) {
        const std::int64_t end = std::min(begin + 7, n);
        const auto part = MultiplyBytes(isa, w.matrix, x, begin, end, 0, rows);
        for (std::int64_t r = 0; r < rows; ++r) {
          ASSERT_EQ(std::memcmp(part.data() + r * (end - begin), whole.data() + r * n + begin, static_cast<std::size_t>(4 * (end - begin))), 0) << Name(isa);
        }
      }
      const std::vector<std::int32_t> x_rows = {70, 0, 0, 33, 5, 69, 2};
      const auto gathered = MultiplyBytes(isa, w.matrix, x, 0, n, 0, 7, Rounding::kNone, x_rows);
      for (std::size_t i = 0; i < x_rows.size(); ++i) ASSERT_EQ(std::memcmp(gathered.data() + i * n, whole.data() + x_rows[i] * n, static_cast<std::size_t>(4 * n)), 0);
    }
  }
}

/// The value of a kFp8 weight.
double Fp8Value(const ByteWeights& w, std::int64_t o, std::int64_t i) {
  const std::int64_t k = w.matrix.k;
  return static_cast<double>(tensor::FromE4m3(static_cast<std::uint8_t>(w.weights.data[o * k + i]))) * tensor::FromE8m0(w.weights.scales[o / 128 * ((k + 127) / 128) + i / 128]);
}

/// What weight i of row o counts as: its value, kFp8 in 64ths of the power of two of its group's largest one.
double MeaningOf(const ByteWeights& w, std::int64_t o, std::int64_t i) {
  const std::int64_t k = w.matrix.k, begin = i / kByteGroup * kByteGroup;
  if (w.matrix.format == Format::kInt8) return static_cast<std::int8_t>(w.weights.data[o * k + i]) * static_cast<double>(w.row_scales[o]);
  if (w.matrix.format == Format::kFp4) {
    const int code = static_cast<int>(w.weights.data[(o * k + i) / 2]) >> (4 * (i % 2));
    return tensor::FromE2m1(static_cast<std::uint8_t>(code)) * static_cast<double>(tensor::FromE8m0(w.weights.scales[o * ((k + 31) / 32) + i / 32]));
  }
  double largest = 0;
  for (std::int64_t j = begin; j < std::min(begin + kByteGroup, k); ++j) largest = std::max(largest, std::fabs(Fp8Value(w, o, j)));
  const double unit = std::exp2(std::floor(std::log2(largest)) - 6);
  return std::nearbyint(Fp8Value(w, o, i) / unit) * unit;
}

TEST(ByteLinearParity, TheReferenceIsTheProductOfWhatTheCodesMean) {
  for (const Format format : kByteFormats) {
    Numbers numbers(8);
    const std::int64_t n = 9, k = 1100;
    const ByteWeights w = RandomByteWeights(numbers, format, n, k, 115, 130);
    const ByteRows x = RandomBytes(numbers, format, 3, k);
    const auto y = MultiplyBytes(hardware::Isa::kReference, w.matrix, x, 0, n, 0, 3);
    for (std::int64_t r = 0; r < 3; ++r) {
      for (std::int64_t o = 0; o < n; ++o) {
        double sum = 0, magnitude = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          const std::int64_t group = i / ByteGroup(format, k);
          const double weight = MeaningOf(w, o, i);
          sum += weight * x.codes[r * k + i] * static_cast<double>(x.scales[r * x.groups + group]);
          magnitude += std::fabs(weight * x.codes[r * k + i] * static_cast<double>(x.scales[r * x.groups + group]));
        }
        EXPECT_NEAR(y[r * n + o], sum, 0x1p-21 * magnitude) << NameOf(format);
      }
    }
  }
}

TEST(ByteQuantizeParity, EveryInstructionSetGivesTheReferencesBits) {
  for (const NamedTable& isa : FastTables()) {
    Numbers numbers(4);
    for (const std::int64_t k : {1, 15, 16, 17, 100, 512, 513, 1500}) {
      for (const std::int64_t group : {kByteGroup, k}) {
        std::vector<float> x = numbers.Wild(3 * k);
        x[0] = std::numeric_limits<float>::quiet_NaN();
        if (k > 15) x[15] = -std::numeric_limits<float>::infinity();
        if (k > 1) std::fill(x.begin() + k, x.begin() + 2 * k, -0.0f);
        const auto groups = static_cast<std::size_t>((k + group - 1) / group);
        std::vector<std::int8_t> expected(3 * k), found(3 * k);
        std::vector<float> expected_scales(3 * groups), found_scales(3 * groups);
        TableFor(hardware::Isa::kReference).byte_quantize({x.data(), 3, k, group, expected.data(), expected_scales.data()});
        TableFor(isa).byte_quantize({x.data(), 3, k, group, found.data(), found_scales.data()});
        ASSERT_EQ(expected, found) << Name(isa) << " k " << k;
        ASSERT_TRUE(SameBits(expected_scales, found_scales)) << Name(isa) << " k " << k;
      }
    }
  }
}

TEST(ByteQuantizeParity, CodesAreWithinHalfAStep) {
  Numbers numbers(6);
  const std::vector<float> x = numbers.Floats(2000, -3.0f, 3.0f);
  std::vector<std::int8_t> codes(2000);
  std::vector<float> scales(4);
  TableFor(hardware::Isa::kReference).byte_quantize({x.data(), 1, 2000, kByteGroup, codes.data(), scales.data()});
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_LE(std::fabs(x[i] - codes[i] * scales[i / 512]), 0.5001f * scales[i / 512]);
}

}  // namespace
}  // namespace baleen::kernels

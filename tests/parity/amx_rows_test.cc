#if defined(__x86_64__)

#include <cmath>

#include "matrices.h"
#include "tables.h"

namespace baleen::kernels {
namespace {

// The shapes and numbers that every table is tried with stand in byte_linear_test.cc and attention_test.cc; here is what only tiles have.

int passed_on = 0;  // calls that went below

void CountByteLinear(const ByteLinearArgs& args) noexcept {
  ++passed_on;
  TableFor(hardware::Isa::kReference).byte_linear(args);
}
void CountIndexScore(const IndexScoreArgs& args) noexcept {
  ++passed_on;
  TableFor(hardware::Isa::kAvx2).index_score(args);
}
void CountAttend(const AttendArgs& args) noexcept {
  ++passed_on;
  TableFor(hardware::Isa::kAvx2).attend(args);
}

class TileRows : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!CanEmulateTiles()) GTEST_SKIP() << "needs AVX-512 with bf16 pairs, byte dots and byte matrices";
    passed_on = 0;
  }
};

struct ByteCase {
  Weights weights;
  std::vector<float> row_scales, x_scales;
  std::vector<std::int8_t> x;
  ByteLinearArgs args;

  std::vector<float> Run(void (*kernel)(const ByteLinearArgs&) noexcept) {
    std::vector<float> y(static_cast<std::size_t>(args.rows * args.weight.n), 7.0f);
    args.y = y.data();
    kernel(args);
    return y;
  }
};

ByteCase MakeByteCase(Numbers& numbers, Format format, std::int64_t n, std::int64_t k, std::int64_t rows, int low, int high) {
  ByteCase c{RandomWeights(numbers, format, n, k, low, high), numbers.Floats(n, 0x1p-9f, 0x1p-6f), {}, {}, {}};
  const std::int64_t group = ByteGroup(format, k), groups = (k + group - 1) / group;
  c.x_scales = numbers.Floats(rows * groups, 0x1p-20f, 0.02f);
  for (std::int64_t i = 0; i < rows * k; ++i) c.x.push_back(static_cast<std::int8_t>(numbers.Whole(-127, 127)));
  c.args = {.weight = c.weights.matrix, .row_end = n, .x = c.x.data(), .x_stride = k, .x_scales = c.x_scales.data(), .scale_stride = groups, .rows = rows, .y_stride = n};
  if (format == Format::kInt8) c.args.weight.row_scales = c.row_scales.data();
  return c;
}

void BytesOnTiles(const ByteLinearArgs& args) noexcept { ByteLinearOnEmulatedTiles(args, CountByteLinear); }

TEST_F(TileRows, BytesOfManyRowsStayOnTilesHoweverFarScalesAre) {
  Numbers numbers(31);
  for (const Format format : {Format::kFp4, Format::kFp8, Format::kInt8}) {
    for (const int spread : {0, 3, 4, 7, 8, 11}) {  // one, two and three passes
      for (const std::int64_t k : {64, 640, 1100}) {
        for (const std::int64_t rows : {5, 16, 17, 32, 49, 66, 150}) {
          ByteCase c = MakeByteCase(numbers, format, 45, k, rows, 120, 120 + spread);
          ASSERT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kReference).byte_linear), c.Run(BytesOnTiles))) << "spread " << spread << " k " << k << " rows " << rows;
        }
      }
    }
  }
  EXPECT_EQ(passed_on, 0);
}

TEST_F(TileRows, BytesPassOnFewRowsLongRowsAndPanelsThatDoNotFold) {
  Numbers numbers(32);
  for (const std::int64_t rows : {1, 4}) {
    ByteCase c = MakeByteCase(numbers, Format::kFp4, 40, 128, rows, 120, 123);
    c.Run(BytesOnTiles);
  }
  EXPECT_EQ(passed_on, 2);
  ByteCase wide = MakeByteCase(numbers, Format::kInt8, 3, 512 * 128 + 2, 6, 120, 123);
  EXPECT_TRUE(SameBits(wide.Run(TableFor(hardware::Isa::kReference).byte_linear), wide.Run(BytesOnTiles)));
  EXPECT_EQ(passed_on, 3);
  // One block of one output of the second panel: that panel alone goes below, of every range of rows (a range holds 16 tiles of rows).
  ByteCase c = MakeByteCase(numbers, Format::kFp4, 100, 1024, 300, 120, 123);
  c.weights.scales[40 * 32 + 20] = 135;
  EXPECT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kReference).byte_linear), c.Run(BytesOnTiles)));
  EXPECT_EQ(passed_on, 3 + 2);
  // A scale of x near the end of fp32: every panel of its range.
  c.x_scales[0] = 0x1p-100f;
  EXPECT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kReference).byte_linear), c.Run(BytesOnTiles)));
  EXPECT_EQ(passed_on, 5 + 4 + 1);
}

TEST_F(TileRows, BytesPassOnFp8ScalesNearTheEndsOfFp32) {
  Numbers numbers(35);
  ByteCase c = MakeByteCase(numbers, Format::kFp8, 300, 700, 40, 120, 123);
  c.weights.scales[1 * 6 + 3] = 254;  // of the outputs 128 to 255: four panels
  EXPECT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kReference).byte_linear), c.Run(BytesOnTiles)));
  EXPECT_EQ(passed_on, 4);
}

TEST_F(TileRows, BytesOfMoreThanOneCallOfPanels) {
  Numbers numbers(33);
  ByteCase c = MakeByteCase(numbers, Format::kFp4, 2100, 32, 6, 120, 123);
  c.weights.scales[2090] = 250;
  EXPECT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kReference).byte_linear), c.Run(BytesOnTiles)));
  EXPECT_EQ(passed_on, 1);
}

TEST_F(TileRows, BytesAtTheirExtremes) {
  Numbers numbers(34);
  for (const Format format : {Format::kFp4, Format::kFp8, Format::kInt8}) {
    for (const std::int64_t k : {512, 8192}) {
      ByteCase c = MakeByteCase(numbers, format, 33, k, 6, 120, 120);
      std::fill(c.weights.data.begin(), c.weights.data.end(), format == Format::kInt8 ? std::byte{0x80} : format == Format::kFp8 ? std::byte{0xFE} : std::byte{0xFF});
      for (std::size_t i = 0; i < c.weights.scales.size(); ++i) c.weights.scales[i] = i % 16 == 0 ? 120 : 131;
      std::fill(c.x.begin(), c.x.end(), std::int8_t{-127});
      EXPECT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kReference).byte_linear), c.Run(BytesOnTiles)));
    }
  }
  EXPECT_EQ(passed_on, 0);
}

struct IndexCase {
  static constexpr std::int64_t kDim = 128, kRowBytes = 68, kPerBlock = 7;
  std::vector<std::byte> keys;
  std::vector<std::byte*> blocks;
  std::vector<float> query, weight;
  std::int64_t heads = 0, count = 0;

  /// spread: of the exponents of a key's groups and of a head's.
  IndexCase(Numbers& numbers, std::int64_t of_heads, std::int64_t of_count, int spread, float weights) : heads(of_heads), count(of_count) {
    constexpr float kValues[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    keys.resize(static_cast<std::size_t>(count * kRowBytes));
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<std::byte>(i % 68 < 64 ? numbers.Whole(0, 255) : 120 + numbers.Whole(0, spread));
    for (std::int64_t at = 0; at < count; at += kPerBlock) blocks.push_back(keys.data() + at * kRowBytes);
    weight = numbers.Floats(heads, -weights, weights);
    float scale = 1;
    for (std::int64_t i = 0; i < heads * kDim; ++i) {
      if (i % 32 == 0) scale = numbers.Whole(0, 9) == 0 ? 0.0f : std::ldexp(1.0f, numbers.Whole(0, spread));
      // The largest value in every group, so that its unit is known.
      query.push_back(scale * (i % 32 == 7 ? 6.0f : kValues[numbers.Whole(0, 7)]) * (numbers.Whole(0, 1) == 0 ? -1.0f : 1.0f));
    }
  }
  std::vector<float> Run(void (*kernel)(const IndexScoreArgs&) noexcept, Rounding rounding, std::int64_t first, std::int64_t some) const {
    std::vector<float> score(static_cast<std::size_t>(some), NAN), scratch(static_cast<std::size_t>(IndexScratchFloats(kDim)));
    kernel({.query = query.data(), .weight = weight.data(), .heads = heads, .layout = {RowFormat::kPacked, kDim}, .keys = {blocks.data(), kPerBlock, 0}, .first = first,
            .count = some, .rounding = rounding, .scratch = scratch.data(), .score = score.data()});
    return score;
  }
};

void IndexOnTiles(const IndexScoreArgs& args) noexcept { IndexScoreOnEmulatedTiles(args, CountIndexScore); }

TEST_F(TileRows, IndexScoresHaveTheBitsOfEveryVectorSet) {
  Numbers numbers(35);
  for (const std::int64_t heads : {64, 33, 16, 5, 1}) {
    for (const std::int64_t count : {16, 17, 31, 32, 33, 48, 100, 129}) {
      for (const float weights : {0.1f, 1e-6f, 1e6f, 0.0f}) {
        const IndexCase c(numbers, heads, count, 3, weights);
        for (const Rounding rounding : {Rounding::kNone, Rounding::kBf16}) {
          const auto expected = c.Run(TableFor(hardware::Isa::kAvx2).index_score, rounding, 0, count);
          ASSERT_TRUE(SameBits(expected, c.Run(IndexOnTiles, rounding, 0, count))) << heads << " heads, " << count << " keys, weights " << weights;
          const std::int64_t first = count / 3, some = count - first;
          const auto part = c.Run(IndexOnTiles, rounding, first, some);
          ASSERT_EQ(std::memcmp(part.data(), expected.data() + first, 4 * part.size()), 0) << heads << " heads, from " << first;
        }
      }
    }
  }
}

TEST_F(TileRows, IndexScoresPassOnWhatDoesNotFold) {
  Numbers numbers(36);
  const IndexCase near(numbers, 64, 100, 3, 0.1f);
  near.Run(IndexOnTiles, Rounding::kBf16, 0, 100);
  EXPECT_EQ(passed_on, 0);
  near.Run(IndexOnTiles, Rounding::kBf16, 0, 15);  // too few
  EXPECT_EQ(passed_on, 1);
  IndexCase key = near;  // copies its keys; its blocks still point to the first ones
  for (std::size_t i = 0; i < key.blocks.size(); ++i) key.blocks[i] = key.keys.data() + static_cast<std::int64_t>(i) * IndexCase::kPerBlock * IndexCase::kRowBytes;
  key.keys[50 * IndexCase::kRowBytes + 66] = std::byte{140};
  EXPECT_TRUE(SameBits(key.Run(TableFor(hardware::Isa::kAvx2).index_score, Rounding::kBf16, 0, 100), key.Run(IndexOnTiles, Rounding::kBf16, 0, 100)));
  EXPECT_EQ(passed_on, 2);  // its sixteen keys alone
  for (const float weight : {1e-30f, 1e30f, 1e-42f}) {
    IndexCase c = near;
    c.weight[3] = weight;
    EXPECT_TRUE(SameBits(c.Run(TableFor(hardware::Isa::kAvx2).index_score, Rounding::kBf16, 0, 100), c.Run(IndexOnTiles, Rounding::kBf16, 0, 100)));
  }
  EXPECT_EQ(passed_on, 5);
  IndexCase head = near;
  for (int i = 0; i < 32; ++i) head.query[static_cast<std::size_t>(5 * 128 + i)] *= 0x1p9f;
  EXPECT_TRUE(SameBits(head.Run(TableFor(hardware::Isa::kAvx2).index_score, Rounding::kBf16, 0, 100), head.Run(IndexOnTiles, Rounding::kBf16, 0, 100)));
  EXPECT_EQ(passed_on, 6);
}

struct AttendCase {
  KvRowLayout layout;
  std::vector<std::byte> data;
  std::vector<const std::byte*> rows;
  std::vector<float> query, sink;
  std::int64_t heads;

  AttendCase(Numbers& numbers, std::int64_t dim, std::int64_t rope, std::int64_t of_heads, std::int64_t count, float size)
      : layout{RowFormat::kPacked, dim, rope}, data(static_cast<std::size_t>(count * layout.RowBytes())), heads(of_heads) {
    for (std::int64_t r = 0; r < count; ++r) {
      const auto x = numbers.Floats(dim, -2.0f, 2.0f);
      TableFor(hardware::Isa::kReference).pack_kv({layout, x.data(), data.data() + r * layout.RowBytes()});
      rows.push_back(data.data() + r * layout.RowBytes());
    }
    query = numbers.Floats(heads * dim, -size, size);
    for (float& x : query) x = tensor::RoundToBf16(numbers.Whole(0, 9) == 0 ? 0.0f : x);
    sink = numbers.Floats(heads, -2.0f, 2.0f);
  }
  std::vector<float> Run(void (*kernel)(const AttendArgs&) noexcept, std::int64_t first, std::int64_t some) const {
    const std::int64_t dim = layout.dim, count = static_cast<std::int64_t>(rows.size());
    // Exactly the scratch that is promised: a sanitizer sees a step past it.
    std::vector<float> out(static_cast<std::size_t>(some * dim), NAN), scratch(static_cast<std::size_t>(AttendScratchFloats(some, count, dim)), NAN);
    kernel({.query = query.data() + first * dim, .heads = some, .rows = rows.data(), .count = count, .layout = layout, .sink = sink.data() + first,
            .scale = 1.0f / std::sqrt(static_cast<float>(dim)), .rounding = Rounding::kBf16, .scratch = scratch.data(), .out = out.data()});
    return out;
  }
};

void AttendTilesOrCount(const AttendArgs& args) noexcept { AttendOnEmulatedTiles(args, CountAttend); }

TEST_F(TileRows, RealTilesGiveTheBitsOfEmulatedOnes) {
  if (hardware::BestIsa() < hardware::Isa::kAmx) GTEST_SKIP() << "needs AMX";
  Numbers numbers(36);
  for (const std::int64_t count : {1, 33, 64, 150, 200}) {
    const AttendCase c(numbers, 512, 64, 20, count, 2.0f);
    ASSERT_TRUE(SameBits(c.Run(AttendTilesOrCount, 0, 20), c.Run(TableFor(hardware::Isa::kAmx).attend, 0, 20))) << "rows " << count;
  }
  EXPECT_EQ(passed_on, 0);
}

TEST_F(TileRows, AttentionAgreesWithTheReference) {
  WorstRatio worst("attend on tiles");
  Numbers numbers(37);
  struct Shape { std::int64_t dim, rope, heads; };
  for (const Shape& shape : {Shape{512, 64, 64}, Shape{512, 64, 5}, Shape{512, 64, 17}, Shape{192, 64, 33}, Shape{128, 128, 1}, Shape{64, 0, 16}}) {
    for (const std::int64_t count : {1, 2, 31, 32, 33, 64, 65, 100, 200}) {
      const AttendCase c(numbers, shape.dim, shape.rope, shape.heads, count, 3.0f);
      const auto expected = c.Run(TableFor(hardware::Isa::kReference).attend, 0, shape.heads), found = c.Run(AttendTilesOrCount, 0, shape.heads);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        // As for every kernel: both round p and the result, 2^-9 relative each, of values within ±2.
        ASSERT_TRUE(worst.Within(expected[i], found[i], 2.0 * (0x1p-8 + 0x1p-8))) << "dim " << shape.dim << " heads " << shape.heads << " rows " << count;
      }
    }
  }
  EXPECT_EQ(passed_on, 0);
}

TEST_F(TileRows, AttentionOfAHeadDoesNotDependOnTheOthers) {
  Numbers numbers(38);
  for (const float size : {1.0f, 30.0f, 300.0f}) {
    AttendCase c(numbers, 512, 64, 37, 150, size);
    c.query[20 * 512 + 3] = 0.7f;  // of no bf16 number: this head goes below, wherever it stands
    const auto whole = c.Run(AttendTilesOrCount, 0, 37);
    EXPECT_EQ(passed_on, 1);
    const auto below = c.Run(TableFor(hardware::Isa::kAvx2).attend, 20, 1);
    EXPECT_EQ(std::memcmp(below.data(), whole.data() + 20 * 512, 4 * 512), 0);
    for (const std::int64_t group : {1, 2, 4, 16, 20}) {
      for (std::int64_t h = 0; h + group <= 37; h += group) {
        const auto part = c.Run(AttendTilesOrCount, h, group);
        ASSERT_EQ(std::memcmp(part.data(), whole.data() + h * 512, 4 * part.size()), 0) << "head " << h << " of " << group << ", queries " << size;
      }
    }
    passed_on = 0;
  }
}

TEST_F(TileRows, AttentionPassesOnRowsThatDoNotFit) {
  Numbers numbers(39);
  for (const float size : {0.0f, 1.0f, 0x1p-70f, 0x1p60f}) {
    AttendCase c(numbers, 512, 64, 20, 70, 1.0f);
    const auto x = numbers.Floats(512, -size, size);
    TableFor(hardware::Isa::kReference).pack_kv({c.layout, x.data(), c.data.data() + 66 * c.layout.RowBytes()});
    passed_on = 0;
    const auto found = c.Run(AttendTilesOrCount, 0, 20);
    const bool fits = size == 0.0f || size == 1.0f;
    EXPECT_EQ(passed_on, fits ? 0 : 1) << size;
    if (fits) continue;
    EXPECT_TRUE(SameBits(found, c.Run(TableFor(hardware::Isa::kAvx2).attend, 0, 20))) << size;
  }
}

TEST_F(TileRows, AttentionOfOneRowThatWinsIsThatRow) {
  Numbers numbers(40);
  AttendCase c(numbers, 512, 64, 3, 130, 0.0f);
  std::vector<float> row(512), key(512, 0.0f);
  for (float& x : c.query) x = 0.0f;
  for (std::int64_t h = 0; h < 3; ++h) c.query[static_cast<std::size_t>(h * 512 + 511)] = 4000.0f;
  for (std::int64_t r = 0; r < 130; ++r) {
    key[511] = r == 97 ? 2.0f : -2.0f;
    key[0] = static_cast<float>(r % 7);
    TableFor(hardware::Isa::kReference).pack_kv({c.layout, key.data(), c.data.data() + r * c.layout.RowBytes()});
  }
  std::fill(c.sink.begin(), c.sink.end(), -1000.0f);
  TableFor(hardware::Isa::kReference).unpack_kv({c.layout, c.rows[97], row.data()});
  const auto out = c.Run(AttendTilesOrCount, 0, 3);
  for (std::int64_t h = 0; h < 3; ++h) EXPECT_EQ(std::memcmp(out.data() + h * 512, row.data(), 4 * 512), 0);
  EXPECT_EQ(passed_on, 0);
}

}  // namespace
}  // namespace baleen::kernels

#endif

#include <cmath>

#include "tables.h"
#include "tensor/scalar.h"

namespace baleen::kernels {
namespace {

struct KvRows {
  KvRowLayout layout;
  std::vector<std::byte> data;
  std::vector<const std::byte*> rows;
};

KvRows RandomKvRows(Numbers& numbers, RowFormat format, std::int64_t dim, std::int64_t rope, std::int64_t count) {
  KvRows kv{{format, dim, rope}, {}, {}};
  kv.data.resize(static_cast<std::size_t>(count * kv.layout.RowBytes()));
  for (std::int64_t r = 0; r < count; ++r) {
    const auto x = numbers.Floats(dim, -2.0f, 2.0f);
    TableFor(hardware::Isa::kReference).pack_kv({kv.layout, x.data(), kv.data.data() + r * kv.layout.RowBytes()});
    kv.rows.push_back(kv.data.data() + r * kv.layout.RowBytes());
  }
  return kv;
}

std::vector<float> Attend(const NamedTable& isa, const KvRows& kv, const std::vector<float>& query, const std::vector<float>& sink, std::int64_t first,
                          std::int64_t heads, Rounding rounding) {
  const std::int64_t dim = kv.layout.dim, count = static_cast<std::int64_t>(kv.rows.size());
  std::vector<float> out(static_cast<std::size_t>(heads * dim), NAN), scratch(static_cast<std::size_t>(AttendScratchFloats(heads, count, dim)), NAN);
  TableFor(isa).attend({.query = query.data() + first * dim, .heads = heads, .rows = kv.rows.data(), .count = count, .layout = kv.layout,
                        .sink = sink.data() + first, .scale = 1.0f / std::sqrt(static_cast<float>(dim)), .rounding = rounding, .scratch = scratch.data(),
                        .out = out.data()});
  return out;
}

struct Shape { std::int64_t dim, rope, heads; };
constexpr Shape kShapes[] = {{512, 64, 8}, {80, 16, 5}, {32, 8, 1}, {72, 8, 3}, {24, 8, 4}};

TEST(AttendParity, AgreesWithTheReference) {
  for (const NamedTable& isa : FastTables()) {
    WorstRatio worst("attend " + Name(isa)), worst_rounded("attend, bf16 " + Name(isa));
    Numbers numbers(3);
    for (const Shape& shape : kShapes) {
      for (const RowFormat format : {RowFormat::kF32, RowFormat::kPacked}) {
        for (const std::int64_t count : {1, 2, 15, 63, 64, 65, 130, 200}) {
          const KvRows kv = RandomKvRows(numbers, format, shape.dim, shape.rope, count);
          const auto query = numbers.Floats(shape.heads * shape.dim, -3.0f, 3.0f), sink = numbers.Floats(shape.heads, -2.0f, 2.0f);
          for (const Rounding rounding : {Rounding::kNone, Rounding::kBf16}) {
            const auto expected = Attend(hardware::Isa::kReference, kv, query, sink, 0, shape.heads, rounding);
            const auto found = Attend(isa, kv, query, sink, 0, shape.heads, rounding);
            // The weights sum to at most 1 and rows are within ±2. Exact: the error of a score (dim·2^-24·|q·k| of about 6·dim^½) enters
            // through exp, then the sum over the rows. bf16: both round p and the result, 2^-9 relative each.
            const double bound = rounding == Rounding::kBf16 ? 2.0 * (0x1p-8 + 0x1p-8) : 2.0 * (6.0 * std::sqrt(shape.dim) * 8 + count) * 0x1p-24;
            for (std::size_t i = 0; i < expected.size(); ++i) {
              ASSERT_TRUE((rounding == Rounding::kBf16 ? worst_rounded : worst).Within(expected[i], found[i], bound))
                  << Name(isa) << " dim " << shape.dim << " rows " << count << ": " << expected[i] << " against " << found[i];
            }
          }
        }
      }
    }
  }
}

TEST(AttendParity, AHeadsBitsDoNotDependOnTheOthers) {
  for (const NamedTable& isa : FastTables()) {
    Numbers numbers(4);
    for (const Shape& shape : kShapes) {
      const std::int64_t heads = 7;
      const KvRows kv = RandomKvRows(numbers, RowFormat::kPacked, shape.dim, shape.rope, 150);
      const auto query = numbers.Floats(heads * shape.dim, -3.0f, 3.0f), sink = numbers.Floats(heads);
      const auto whole = Attend(isa, kv, query, sink, 0, heads, Rounding::kBf16);
      for (const std::int64_t group : {1, 2, 3}) {
        for (std::int64_t h = 0; h + group <= heads; ++h) {
          const auto part = Attend(isa, kv, query, sink, h, group, Rounding::kBf16);
          ASSERT_TRUE(std::memcmp(part.data(), whole.data() + h * shape.dim, 4 * part.size()) == 0) << Name(isa) << " head " << h << " of " << group;
        }
      }
    }
  }
}

// Instructions that only some machines have compute the same bits: AVX2 has none of them.
TEST(AttendParity, HasTheSameBitsOnEveryVectorSet) {
  Numbers numbers(21);
  constexpr Shape kPanels[] = {{512, 64, 64}, {512, 64, 5}, {192, 64, 3}, {128, 128, 4}, {64, 0, 1}, {160, 32, 9}};
  for (const Shape& shape : kPanels) {
    for (const std::int64_t count : {1, 2, 3, 17, 63, 64, 65, 127, 200}) {
      // Queries of larger numbers have weights that are no normal numbers; rows of larger or smaller numbers than the instruction may take.
      for (const float size : {1.0f, 30.0f, 300.0f}) {
        for (const float row_size : {1.0f, 0.0f, 0x1p-70f, 0x1p60f}) {
          KvRows kv = RandomKvRows(numbers, RowFormat::kPacked, shape.dim, shape.rope, count);
          if (row_size != 1.0f) {
            auto x = numbers.Floats(shape.dim, -row_size, row_size);
            TableFor(hardware::Isa::kReference).pack_kv({kv.layout, x.data(), kv.data.data() + count / 2 * kv.layout.RowBytes()});
          }
          auto query = numbers.Floats(shape.heads * shape.dim, -size, size);
          for (float& x : query) x = tensor::RoundToBf16(numbers.Whole(0, 9) == 0 ? 0.0f : x);
          const auto sink = numbers.Floats(shape.heads, -2.0f, 2.0f);
          const auto expected = Attend(hardware::Isa::kAvx2, kv, query, sink, 0, shape.heads, Rounding::kBf16);
          const auto found = Attend(hardware::BestIsa() < hardware::Isa::kAmx ? hardware::BestIsa() : hardware::Isa::kAvx512, kv, query, sink, 0, shape.heads,
                                    Rounding::kBf16);
          ASSERT_TRUE(SameBits(expected, found)) << shape.heads << " heads of " << shape.dim << ", " << count << " rows, queries " << size << ", a row " << row_size;
        }
      }
    }
  }
}

TEST(AttendParity, FarApartScoresAndSinksAreExact) {
  for (const NamedTable& isa : FastTables()) {
    Numbers numbers(5);
    KvRows kv = RandomKvRows(numbers, RowFormat::kF32, 32, 8, 70);
    std::vector<float> query(32, 0.0f);
    query[0] = 4000.0f;
    for (std::size_t r = 0; r < kv.rows.size(); ++r) {  // the last row wins by far, in the second block
      const float key = r == 69 ? 2.0f : -2.0f;
      std::memcpy(kv.data.data() + r * 128, &key, 4);
    }
    const auto out = Attend(isa, kv, query, {-1000.0f}, 0, 1, Rounding::kNone);
    EXPECT_EQ(std::memcmp(out.data(), kv.rows[69], 128), 0) << Name(isa);
  }
}

struct Keys {
  static constexpr std::int64_t kPerBlock = 7;
  IndexRowLayout layout;
  mutable std::vector<std::byte> data;

  std::vector<std::byte*> Blocks() const {
    std::vector<std::byte*> blocks;
    for (std::size_t at = 0; at < data.size(); at += static_cast<std::size_t>(kPerBlock * layout.RowBytes())) blocks.push_back(data.data() + at);
    return blocks;
  }
};

Keys RandomKeys(Numbers& numbers, RowFormat format, std::int64_t dim, std::int64_t count) {
  Keys keys{{format, dim}, {}};
  keys.data.resize(static_cast<std::size_t>(count * keys.layout.RowBytes()));
  std::vector<float> scratch(static_cast<std::size_t>(dim));
  for (std::int64_t r = 0; r < count; ++r) {
    const auto x = numbers.Floats(dim, -2.0f, 2.0f);
    TableFor(hardware::Isa::kReference).pack_index({keys.layout, x.data(), keys.data.data() + r * keys.layout.RowBytes(), scratch.data()});
  }
  return keys;
}

std::vector<float> Score(const NamedTable& isa, const Keys& keys, const std::vector<float>& query, const std::vector<float>& weight, std::int64_t first,
                         std::int64_t count, Rounding rounding) {
  std::vector<float> score(static_cast<std::size_t>(count), NAN), scratch(static_cast<std::size_t>(IndexScratchFloats(keys.layout.dim)), NAN);
  const auto blocks = keys.Blocks();
  TableFor(isa).index_score({.query = query.data(), .weight = weight.data(), .heads = static_cast<std::int64_t>(weight.size()), .layout = keys.layout,
                             .keys = {blocks.data(), Keys::kPerBlock, 0}, .first = first, .count = count, .rounding = rounding, .scratch = scratch.data(),
                             .score = score.data()});
  return score;
}

TEST(IndexScoreParity, AgreesWithTheReferenceAndDoesNotDependOnTheSplit) {
  for (const NamedTable& isa : FastTables()) {
    WorstRatio worst("index_score " + Name(isa)), worst_rounded("index_score, bf16 " + Name(isa));
    Numbers numbers(6);
    for (const std::int64_t dim : {128, 32, 16, 64}) {
      for (const std::int64_t heads : {64, 8, 5, 1}) {
        for (const RowFormat format : {RowFormat::kF32, RowFormat::kPacked}) {
          const std::int64_t count = 37;
          const Keys keys = RandomKeys(numbers, format, dim, count);
          auto query = numbers.Floats(heads * dim, -2.0f, 2.0f);
          TableFor(hardware::Isa::kReference).index_quantize({query.data(), heads, dim});
          auto weight = numbers.Floats(heads, -0.1f, 0.1f);
          for (float& w : weight) w = tensor::RoundToBf16(w);
          for (const Rounding rounding : {Rounding::kNone, Rounding::kBf16}) {
            const auto expected = Score(hardware::Isa::kReference, keys, query, weight, 0, count, rounding);
            const auto found = Score(isa, keys, query, weight, 0, count, rounding);
            // |q·k| <= 4·dim·2²; a flipped rounding of a head's product is 2^-8 of it.
            const double dots = 16.0 * static_cast<double>(dim * heads) * 0.1;
            for (std::int64_t s = 0; s < count; ++s) {
              const bool rounded = rounding == Rounding::kBf16;
              const double bound = rounded ? dots * 0x1p-12 : dots * 0x1p-20;
              ASSERT_TRUE((rounded ? worst_rounded : worst).Within(expected[s], found[s], bound)) << Name(isa) << " key " << s;
            }
            for (const std::int64_t part : {1, 5, 16, 20}) {
              for (std::int64_t s = 0; s + part <= count; s += part) {
                const auto some = Score(isa, keys, query, weight, s, part, rounding);
                ASSERT_EQ(std::memcmp(some.data(), found.data() + s, 4 * some.size()), 0) << Name(isa) << " keys " << s << " + " << part;
              }
            }
          }
        }
      }
    }
  }
}

// Instructions that only some machines have compute the same bits, tiles included: AVX2 has none of them.
TEST(IndexScoreParity, HasTheSameBitsOnEveryVectorSet) {
  Numbers numbers(16);
  constexpr std::int64_t kDim = 128, kCount = 45;
  const float values[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  for (const std::int64_t heads : {64, 8, 5, 1, 65}) {
    for (const int spread : {0, 3, 4, 9, 12, 40, 120}) {  // of the scales' exponents, keys' and queries'
      for (const bool zeros : {false, true}) {
        Keys keys{{RowFormat::kPacked, kDim}, std::vector<std::byte>(kCount * 68)};
        for (std::size_t i = 0; i < keys.data.size(); ++i) {
          keys.data[i] = static_cast<std::byte>(i % 68 < 64 ? numbers.Whole(0, 255) : 127 + numbers.Whole(-spread / 2, (spread + 1) / 2));
        }
        std::vector<float> query(static_cast<std::size_t>(heads * kDim)), weight = numbers.Floats(heads, -0.1f, 0.1f);
        float scale = 1;
        for (std::size_t i = 0; i < query.size(); ++i) {
          if (i % 32 == 0) scale = std::ldexp(1.0f, numbers.Whole(-spread / 2, (spread + 1) / 2));
          query[i] = zeros && i / 32 % 3 == 0 ? 0.0f : scale * values[numbers.Whole(0, 7)] * (numbers.Whole(0, 1) == 0 ? -1.0f : 1.0f);
        }
        for (const bool foreign : {false, true}) {
          if (foreign) query[query.size() / 2] = 0.7f;  // of no such format
          for (const Rounding rounding : {Rounding::kNone, Rounding::kBf16}) {
            const auto expected = Score(hardware::Isa::kAvx2, keys, query, weight, 0, kCount, rounding);
            for (const NamedTable& isa : FastTables()) {
              const auto found = Score(isa, keys, query, weight, 0, kCount, rounding);
              ASSERT_EQ(std::memcmp(expected.data(), found.data(), 4 * found.size()), 0) << Name(isa) << " " << heads << " heads, spread " << spread;
            }
          }
        }
      }
    }
  }
}

std::vector<std::int32_t> Choose(const NamedTable& isa, const std::vector<float>& score, std::int64_t k) {
  const auto count = static_cast<std::int64_t>(score.size());
  std::vector<std::int32_t> scratch(score.size()), chosen(static_cast<std::size_t>(std::min(k, count)), -1);
  TableFor(isa).top_k({score.data(), count, k, scratch.data(), chosen.data()});
  return chosen;
}

TEST(TopKParity, ChoosesTheSameRows) {
  for (const NamedTable& isa : FastTables()) {
    Numbers numbers(7);
    for (const std::int64_t count : {1, 2, 17, 100, 3000}) {
      for (const std::int64_t k : {0, 1, 2, 16, 64, 512, 5000}) {
        for (int kind = 0; kind < 4; ++kind) {
          std::vector<float> score = numbers.Floats(count, -5.0f, 5.0f);
          for (float& s : score) {
            if (kind == 1) s = static_cast<float>(numbers.Whole(-2, 2));  // many ties
            if (kind == 2) s = numbers.Whole(0, 1) == 0 ? 0.0f : -0.0f;
            if (kind == 3 && numbers.Whole(0, 3) == 0) s = numbers.Whole(0, 1) == 0 ? NAN : -INFINITY;
          }
          ASSERT_EQ(Choose(isa, score, k), Choose(hardware::Isa::kReference, score, k)) << Name(isa) << " " << k << " of " << count << " kind " << kind;
        }
      }
    }
  }
}

TEST(PoolParity, AgreesWithTheReference) {
  for (const NamedTable& isa : FastTables()) {
    WorstRatio worst("pool " + Name(isa));
    Numbers numbers(8);
    for (const std::int64_t dim : {512, 33, 7}) {
      for (const std::int64_t count : {1, 4, 8, 128}) {
        const auto value = numbers.Floats(dim * count), gate = numbers.Floats(dim * count, -30.0f, 30.0f);
        std::vector<const float*> values, gates;
        for (std::int64_t s = 0; s < count; ++s) {
          values.push_back(value.data() + s * dim);
          gates.push_back(gate.data() + s * dim);
        }
        std::vector<float> expected(static_cast<std::size_t>(dim)), found(static_cast<std::size_t>(dim));
        const auto pool = [&](const NamedTable& which, std::vector<float>& out) {
          TableFor(which).pool({values.data(), gates.data(), count, dim, Rounding::kNone, out.data()});
        };
        pool(hardware::Isa::kReference, expected);
        pool(isa, found);
        // |value| <= 1 and the weights sum to 1: two sums of `count` terms and exponentials of arguments up to 60.
        for (std::int64_t c = 0; c < dim; ++c) ASSERT_TRUE(worst.Within(expected[c], found[c], static_cast<double>(2 * count + 8) * 0x1p-24)) << Name(isa);
      }
    }
  }
}

}  // namespace
}  // namespace baleen::kernels

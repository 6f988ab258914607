// Sizes and offsets: bytes per token as the formula says, rows that lie 2^32 and 2^35 bytes apart, save and restore around block edges.

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>

#include "kernels/table.h"
#include "reading.h"
#include "saved.h"

namespace baleen::long_context {
namespace {

using kernels::RowFormat;

/// Address space without memory behind it; pages that are read are zero, pages that are written exist.
class Sparse {
 public:
  explicit Sparse(std::uint64_t bytes) : bytes_(bytes) {
    void* place = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    data_ = place == MAP_FAILED ? nullptr : static_cast<std::byte*>(place);
  }
  ~Sparse() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  Sparse(const Sparse&) = delete;
  Sparse& operator=(const Sparse&) = delete;
  std::byte* data() const { return data_; }

 private:
  std::uint64_t bytes_;
  std::byte* data_;
};

constexpr std::uint64_t kSparseBytes = std::uint64_t{1} << 36;
constexpr backend::KvRowLayout kRow{RowFormat::kPacked, 512, 64};
constexpr backend::IndexRowLayout kKey{RowFormat::kPacked, 128};

std::vector<float> Wave(std::int64_t count, double step) {
  std::vector<float> x;
  for (std::int64_t i = 0; i < count; ++i) x.push_back(static_cast<float>(std::sin(step * static_cast<double>(i + 1))));
  return x;
}

TEST(Offsets, AttentionReadsEntriesBeyondThirtyFiveBits) {
  const Sparse far(kSparseBytes);
  if (far.data() == nullptr) GTEST_SKIP() << "the system gives no 64 GiB of address space";
  backend::Device device(hardware::BestIsa(), 2);
  ASSERT_TRUE(device.Reserve(backend::AttendScratch(2, 8, 512)));
  const std::vector<float> query = Wave(1024, 0.7), sink = {0.0f, 0.5f}, cosine(32, 1.0f), sine(32, 0.0f);
  std::vector<std::byte> step_row(static_cast<std::size_t>(kRow.RowBytes())), ring(step_row.size());
  device.kernels().pack_kv({kRow, Wave(512, 0.3).data(), step_row.data()});

  const auto attend = [&](std::byte* entries, std::vector<std::int32_t> chosen) {
    std::vector<float> out(1024);
    std::byte* const blocks[] = {entries};
    backend::Attend op{.step_rows = step_row.data(), .layout = kRow, .window = 1, .ratio = 4, .chosen = chosen.data(), .top_k = 2, .query = query.data(), .heads = 2,
                       .sink = sink.data(), .rotation = {cosine.data(), sine.data(), 64}, .out = out.data(), .rounding = backend::Rounding::kBf16};
    op.cache = {.first_position = std::int64_t{4} << 30, .rows = 1, .window = ring.data(), .window_rows = 1, .entries = {blocks, INT32_MAX, 0}};
    device.ops().attend(device, op);
    return out;
  };
  for (const std::int64_t offset : {std::int64_t{1} << 32, std::int64_t{1} << 35}) {
    const auto entry = static_cast<std::int32_t>(offset / kRow.RowBytes() + 1);
    std::vector<std::byte> near(2 * step_row.size());
    for (std::int64_t i = 0; i < 2; ++i) {
      const std::vector<float> x = Wave(512, 0.11 + 0.2 * static_cast<double>(i));
      device.kernels().pack_kv({kRow, x.data(), near.data() + i * kRow.RowBytes()});
      device.kernels().pack_kv({kRow, x.data(), far.data() + (entry + i) * kRow.RowBytes()});
    }
    EXPECT_EQ(attend(far.data(), {entry, entry + 1}), attend(near.data(), {0, 1})) << "offset " << offset;
  }
}

/// A quarter of a million keys in blocks that lie 8 MiB apart, and scores of the rows of a step 2^29 floats apart.
TEST(Offsets, ChoosingReadsBlocksAndWritesScoresFarApart) {
  const Sparse far(kSparseBytes), scores(kSparseBytes / 2);
  if (far.data() == nullptr || scores.data() == nullptr) GTEST_SKIP() << "the system gives no 64 GiB of address space";
  constexpr std::int64_t kBlocks = 8192, kPerBlock = 32, kStride = std::int64_t{1} << 29, kRows = 8, kHeads = 4, kTopK = 16;
  backend::Device device(hardware::BestIsa(), 2);
  ASSERT_TRUE(device.Reserve(backend::ChooseScratch(128, kBlocks * kPerBlock)));
  std::vector<std::byte> near(static_cast<std::size_t>(kBlocks * kPerBlock * kKey.RowBytes()));
  std::vector<std::byte*> near_blocks, far_blocks;
  std::vector<float> scratch(128);
  for (std::int64_t b = 0; b < kBlocks; ++b) {
    near_blocks.push_back(near.data() + b * kPerBlock * kKey.RowBytes());
    far_blocks.push_back(far.data() + b * (std::int64_t{8} << 20));
    // A few keys in every 64th block; the others are zero, and so are the pages that hold them.
    for (std::int64_t i = 0; b % 64 == 63 && i < kPerBlock; i += 5) {
      const std::vector<float> x = Wave(128, 0.01 * static_cast<double>(b + i));
      for (std::byte* block : {near_blocks.back(), far_blocks.back()}) device.kernels().pack_index({kKey, x.data(), block + i * kKey.RowBytes(), scratch.data()});
    }
  }
  std::vector<float> query = Wave(kRows * kHeads * 128, 0.37);
  device.kernels().index_quantize({query.data(), kRows * kHeads, 128});
  const std::vector<float> weights(static_cast<std::size_t>(kRows * kHeads), 0.25f);
  const auto choose = [&](std::byte* const* blocks, float* score, std::int64_t stride) {
    std::vector<std::int32_t> chosen(static_cast<std::size_t>(kRows * kTopK), -1);
    backend::ChooseRows op{.query = query.data(), .weights = weights.data(), .heads = kHeads, .ratio = 4, .top_k = kTopK, .layout = kKey, .score = score,
                           .score_stride = stride, .score_rows = kRows, .chosen = chosen.data(), .rounding = backend::Rounding::kBf16};
    op.cache = {.first_position = 4 * kBlocks * kPerBlock - kRows, .rows = kRows, .index_entries = {blocks, kPerBlock, 0}};
    device.ops().choose_rows(device, op);
    return chosen;
  };
  std::vector<float> near_scores(static_cast<std::size_t>(kRows * (kBlocks * kPerBlock + 1)));
  const std::vector<std::int32_t> expected = choose(near_blocks.data(), near_scores.data(), kBlocks * kPerBlock + 1);
  EXPECT_EQ(choose(far_blocks.data(), reinterpret_cast<float*>(scores.data()), kStride), expected);
  EXPECT_GT(expected[kTopK - 1], kBlocks * kPerBlock / 2);
}

TEST(Offsets, CompressionWritesEntriesBeyondThirtyFiveBits) {
  const Sparse far(kSparseBytes);
  if (far.data() == nullptr) GTEST_SKIP() << "the system gives no 64 GiB of address space";
  backend::Device device(hardware::BestIsa(), 2);
  ASSERT_TRUE(device.Reserve(backend::CompressScratch(4, 512, 64)));
  const std::int64_t entry = (std::int64_t{1} << 35) / kRow.RowBytes() + 1;
  const std::vector<float> value = Wave(4 * 1024, 0.21), bias(4 * 1024), norm(512, 1.0f), frequencies(32, 0.01f);
  const auto compress = [&](std::byte* entries) {
    std::vector<float> gate = Wave(4 * 1024, 0.17), tail_value(9 * 1024), tail_gate(9 * 1024);
    std::byte* const blocks[] = {entries};
    device.ops().compress(device, {.value = value.data(), .gate = gate.data(), .position_bias = bias.data(), .first_position = 4 * entry, .rows = 4,
                                   .tail_value = tail_value.data(), .tail_gate = tail_gate.data(), .tail_rows = 9, .ratio = 4, .dim = 512, .channels = 1024,
                                   .norm_weight = norm.data(), .eps = 1e-6f, .frequencies = frequencies, .kv = kRow, .entries = {blocks, INT32_MAX, 0},
                                   .rounding = backend::Rounding::kBf16});
  };
  std::vector<std::byte> near(static_cast<std::size_t>(kRow.RowBytes()));
  compress(far.data());
  std::byte* const written = far.data() + entry * kRow.RowBytes();
  EXPECT_NE(written[0], std::byte{0});
  // The same place, reached from a block whose beginning is no memory of ours.
  compress(reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(near.data()) - static_cast<std::uintptr_t>(entry * kRow.RowBytes())));
  EXPECT_TRUE(std::equal(near.begin(), near.end(), written));
}

/// §10: two CSA layers of a 584-byte row and a 68-byte key for 4 tokens, one HCA layer of a row for 128, whose 584 bytes take 640 in a block.
constexpr std::int64_t kBytesPerBlock = 2 * 32 * (584 + 68) + 640;

std::int64_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(Memory, BytesPerTokenAreTheFormula) {
  Reader reader({.context = 2097152, .rows = 64});
  const kvcache::Layout& layout = reader.model().cache_layout();
  EXPECT_EQ(static_cast<std::int64_t>(layout.Bytes(2097152) - layout.Bytes(1048576)), 1048576 / 128 * kBytesPerBlock);
  EXPECT_EQ(static_cast<std::int64_t>(layout.Bytes(524288) - layout.StateBytes()), 524288 / 128 * kBytesPerBlock);
  const std::int64_t before = ResidentBytes();
  auto sequence = reader.Begin(524288);
  const auto grown = static_cast<double>(ResidentBytes() - before);
  EXPECT_NEAR(grown, static_cast<double>(layout.Bytes(524288)), 0.01 * grown);
  EXPECT_EQ(sequence.bytes(), layout.Bytes(524288));
}

TEST(Memory, SizesBeyondTheMachineDoNotOverflow) {
  const Reader reader({.context = 4096, .rows = 64});
  kvcache::Layout layout = kvcache::Sequence(reader.Begin(128)).layout();
  layout.context = INT64_MAX;
  for (const std::int64_t tokens : {std::int64_t{1} << 32, std::int64_t{1} << 40}) {
    EXPECT_EQ(layout.Bytes(tokens) - layout.StateBytes(), static_cast<std::uint64_t>(tokens / 128) * kBytesPerBlock);
  }
}

TEST(Yarn, BothFactorsRunWithTheSameMemory) {
  std::vector<std::uint64_t> bytes;
  for (const double factor : {16.0, 32.0}) {
    Prompt prompt(4096, 11);
    PlantAroundBoundaries(prompt, 512, 12);
    Reader reader({.context = 4608, .yarn_factor = factor});
    auto sequence = reader.Begin(4608);
    for (const float x : reader.Feed(sequence, prompt.tokens(), {.wanted = Places(4000, 96)})) ASSERT_TRUE(std::isfinite(x));
    std::string wrong;
    EXPECT_EQ(reader.CountRight(sequence, prompt.questions(), wrong), static_cast<std::int64_t>(prompt.questions().size())) << wrong;
    bytes.push_back(sequence.bytes());
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(Restored, ContinuesWithTheSameBits) {
  Prompt prompt(4400, 13);
  PlantAroundBoundaries(prompt, 512, 14);
  std::vector<std::int32_t> tokens = prompt.tokens();
  for (const Question& q : prompt.questions()) tokens.push_back(q.ask);
  const auto count = static_cast<std::int64_t>(tokens.size());
  const std::span<const std::int32_t> all(tokens);
  for (const model::Arithmetic arithmetic : {model::Arithmetic::kOfficial, model::Arithmetic::kExact}) {
    Reader reader({.context = count, .arithmetic = arithmetic});
    auto sequence = reader.Begin(count), restored = reader.Begin(count);
    std::vector<Saved> saved;
    for (const std::int64_t length : {128, 1023, 1024, 1025, 1027, 4095, 4096, 4097, 4099}) {
      reader.Feed(sequence, all.subspan(static_cast<std::size_t>(sequence.length()), static_cast<std::size_t>(length - sequence.length())));
      saved.emplace_back(sequence);
    }
    const std::int64_t last = std::min<std::int64_t>(200, count - sequence.length());
    const auto rest = [&](kvcache::Sequence& s) {
      const std::int64_t length = s.length();
      return reader.Feed(s, all.subspan(static_cast<std::size_t>(length)), {.filling = Filling::kAskersOnly, .wanted = Places(count - length - last, last)});
    };
    const std::vector<float> expected = rest(sequence);
    for (const Saved& one : saved) {
      restored.Reset();
      one.Restore(restored);
      EXPECT_EQ(rest(restored), expected) << "restored at " << one.length;
    }
  }
}

}  // namespace
}  // namespace baleen::long_context

#include "apps/kernel_cases.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "apps/measure.h"
#include "kernels/table.h"

namespace baleen::apps {
namespace {

using kernels::Format;
using kernels::Rounding;

constexpr std::uint64_t kPoolBytes = std::uint64_t{1} << 28;
constexpr double kShortestFlops = 6e7;  // of a repetition in cache: about a millisecond

std::uint64_t HashOf(const std::vector<float>& values) noexcept { return Hash(values.data(), 4 * values.size()); }

bool Wanted(const std::vector<std::string>& list, const std::string& name) { return list.empty() || std::find(list.begin(), list.end(), name) != list.end(); }

/// e4m3 values, exact in every format of x.
std::vector<float> Codes(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 31) - 15) / 8.0f;
  return values;
}

struct LinearOperands {
  std::vector<float> x, x_scales, y, row_scales;
  std::vector<std::int8_t> x_bytes;
  std::vector<std::uint8_t> scales;
};

constexpr struct {
  Format format;
  const char* name;
  bool bytes;  // x as whole numbers: the fast arithmetic
} kFormats[] = {{Format::kBf16, "bf16", false}, {Format::kFp8, "fp8", false}, {Format::kFp8, "fp8", true}, {Format::kFp4, "mxfp4", false}, {Format::kFp4, "mxfp4", true}, {Format::kInt8, "int8", true}};

/// One thread's share of a case: the outputs [begin, end) of a matrix at `weight`.
void MultiplyShare(const kernels::Table& table, const LinearOperands& data, bool bytes, const kernels::Matrix& weight, std::int64_t begin, std::int64_t end,
                   std::int64_t rows, float* y) {
  const std::int64_t group = bytes ? kernels::ByteGroup(weight.format, weight.k) : kernels::kActivationGroup, groups = (weight.k + group - 1) / group;
  if (bytes) {
    table.byte_linear({weight, begin, end, data.x_bytes.data(), weight.k, nullptr, data.x_scales.data(), groups, rows, y, weight.n, Rounding::kBf16});
    return;
  }
  table.linear({.weight = weight, .row_begin = begin, .row_end = end, .x = data.x.data(), .x_stride = weight.k,
                .x_scales = weight.scales == nullptr ? nullptr : data.x_scales.data(), .scale_stride = groups, .rows = rows, .y = y, .y_stride = weight.n,
                .rounding = Rounding::kBf16});
}

/// Matrices from one repetition of a case to its next: so the caches hold nothing of what a case reads, whichever case was before it.
constexpr std::int64_t kPlacesApart = 37;

/// y = W x; place "l2": every thread has a matrix of n outputs of its own; "ram": the threads share the outputs of one, the case's `number` times on.
KernelCase LinearCase(hardware::Isa isa, Format format, const char* name, bool whole, const char* place, std::int64_t rows, std::int64_t n, std::int64_t k, int threads,
                      const WeightPool& pool, std::size_t number) {
  const bool in_cache = std::string_view(place) == "l2";
  const std::int64_t matrices = in_cache ? threads : 1, bytes = n * kernels::RowBytes(format, k), groups = (k + 127) / 128;
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(n) * static_cast<double>(k);
  const auto loops = in_cache && isa != hardware::Isa::kReference ? static_cast<std::int64_t>(std::ceil(kShortestFlops / flops)) : 1;
  auto data = std::make_shared<LinearOperands>();
  data->x = Codes(rows * k, 1);
  data->x_scales.assign(static_cast<std::size_t>(rows * groups), 0.25f);
  data->x_bytes.resize(static_cast<std::size_t>(rows * k));
  for (std::size_t i = 0; i < data->x_bytes.size(); ++i) data->x_bytes[i] = static_cast<std::int8_t>(8 * data->x[i]);
  data->row_scales.assign(static_cast<std::size_t>(n), 0.125f);
  data->y.resize(static_cast<std::size_t>(matrices * rows * n));
  if (format == Format::kFp8) data->scales.assign(static_cast<std::size_t>((n + 127) / 128 * groups), 124);
  if (format == Format::kFp4) data->scales.assign(static_cast<std::size_t>(n * (k / 32)), 124);
  KernelCase made{.op = "linear", .format = name, .arithmetic = whole ? "fast" : "official", .place = place, .isa = isa, .rows = rows, .n = n, .k = k};
  made.bytes = static_cast<double>(loops * matrices) * static_cast<double>(bytes + static_cast<std::int64_t>(data->scales.size()) + (format == Format::kInt8 ? 4 * n : 0));
  made.flops = static_cast<double>(loops * matrices) * flops;
  made.run = [=, &pool](int thread, std::int64_t repetition) {
    const kernels::Matrix weight{format, pool.Place(in_cache ? thread : repetition * kPlacesApart + static_cast<std::int64_t>(number), bytes), data->scales.empty() ? nullptr : data->scales.data(), n, k,
                                 data->row_scales.data()};
    const std::int64_t begin = in_cache ? 0 : n * thread / threads, end = in_cache ? n : n * (thread + 1) / threads;
    float* y = data->y.data() + (in_cache ? thread * rows * n : begin);
    for (std::int64_t i = 0; i < loops; ++i) MultiplyShare(kernels::TableFor(isa), *data, whole, weight, begin, end, rows, y);
  };
  made.hash = [data, rows, n] { return Hash(data->y.data(), static_cast<std::size_t>(4 * rows * n)); };
  return made;
}

void AddLinearCases(hardware::Isa isa, int threads, const WeightPool& pool, const CaseFilter& filter, std::vector<KernelCase>& cases) {
  const std::int64_t cache = std::max<std::int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), std::int64_t{1} << 20);
  const auto wanted = [&](std::int64_t rows) { return filter.rows.empty() || std::find(filter.rows.begin(), filter.rows.end(), rows) != filter.rows.end(); };
  for (const auto& [format, name, whole] : kFormats) {
    if (!Wanted(filter.formats, name)) continue;
    const std::int64_t k = 2048, n = std::min<std::int64_t>(512, cache / 2 / kernels::RowBytes(format, k) / 128 * 128);
    for (const std::int64_t rows : {1, 4, 8, 16}) {
      if (wanted(rows)) cases.push_back(LinearCase(isa, format, name, whole, "ram", rows, 4096, 4096, threads, pool, cases.size()));
    }
    if (wanted(1)) cases.push_back(LinearCase(isa, format, name, whole, "ram", 1, 4096, 2048, threads, pool, cases.size()));
    for (const std::int64_t rows : {1, 16, 32, 64, 128}) {
      if (wanted(rows)) cases.push_back(LinearCase(isa, format, name, whole, "l2", rows, n, k, threads, pool, cases.size()));
    }
    for (const std::int64_t rows : {32, 64, 128, 256}) {
      if (wanted(rows)) cases.push_back(LinearCase(isa, format, name, whole, "ram", rows, 2048, 4096, threads, pool, cases.size()));
    }
    if (wanted(1) && isa != hardware::Isa::kReference) cases.push_back(LinearCase(hardware::Isa::kReference, format, name, whole, "l2", 1, n, k, threads, pool, cases.size()));
  }
}

/// Packed rows of a cache, a few different ones again and again, and the order in which they are read.
struct CachedRows {
  hardware::Region rows;
  std::vector<const std::byte*> order;
  std::vector<std::byte*> blocks;
};

/// One token's attention of 64 heads over 640 scattered rows, on every thread.
void AddAttendCase(hardware::Isa isa, int threads, std::vector<KernelCase>& cases) {
  constexpr std::int64_t kHeads = 64, kDim = 512, kRows = 640, kHeld = 1 << 17, kOrders = 64;
  const kernels::KvRowLayout layout{kernels::RowFormat::kPacked, kDim, 64};
  auto held = hardware::Region::Allocate(static_cast<std::uint64_t>(kHeld * layout.RowBytes()), "the cached rows of a measurement");
  if (!held) return;
  auto data = std::make_shared<CachedRows>();
  data->rows = std::move(*held);
  for (std::int64_t i = 0; i < kHeld; ++i) {
    std::byte* row = data->rows.data() + i * layout.RowBytes();
    if (i < 64) {
      kernels::TableFor(isa).pack_kv({layout, Codes(kDim, static_cast<unsigned>(i)).data(), row});
    } else {
      std::memcpy(row, row - 64 * layout.RowBytes(), static_cast<std::size_t>(layout.RowBytes()));
    }
  }
  std::mt19937 random(3);
  for (std::int64_t i = 0; i < kOrders * kRows; ++i) data->order.push_back(data->rows.data() + static_cast<std::int64_t>(random() % kHeld) * layout.RowBytes());
  const std::vector<float> query = Codes(kHeads * kDim, 9), sink(kHeads, 0.0f);
  auto out = std::make_shared<std::vector<float>>(static_cast<std::size_t>(threads * kHeads * kDim));
  auto scratch = std::make_shared<std::vector<float>>(static_cast<std::size_t>(threads * kernels::AttendScratchFloats(kHeads, kRows, kDim)));
  KernelCase made{.op = "attend", .format = "packed", .arithmetic = "official", .place = "ram", .isa = isa, .rows = 1, .n = kRows, .k = kDim};
  made.bytes = static_cast<double>(threads * kRows * layout.RowBytes());
  made.flops = 4.0 * static_cast<double>(threads * kHeads * kRows * kDim);
  made.run = [=](int thread, std::int64_t repetition) {
    kernels::TableFor(isa).attend({query.data(), kHeads, data->order.data() + (repetition * threads + thread) % kOrders * kRows, kRows, layout, sink.data(), 0.044f,
                                   Rounding::kBf16, scratch->data() + thread * kernels::AttendScratchFloats(kHeads, kRows, kDim), out->data() + thread * kHeads * kDim});
  };
  made.hash = [out] { return Hash(out->data(), static_cast<std::size_t>(4 * kHeads * kDim)); };
  cases.push_back(std::move(made));
}

/// One token's index scores of 64 heads over a context of 512K keys, the threads sharing them; then the choice of the 512 best.
void AddIndexCases(hardware::Isa isa, int threads, std::vector<KernelCase>& cases, bool scores, bool choice) {
  constexpr std::int64_t kHeads = 64, kDim = 128, kKeys = 1 << 19, kPerBlock = 32, kChosen = 512;
  auto score = std::make_shared<std::vector<float>>(static_cast<std::size_t>(kKeys));
  std::mt19937 random(5);
  for (float& value : *score) value = static_cast<float>(random() % 100000) * 1e-4f;
  if (choice) {
    auto chosen = std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(threads * kChosen));
    auto scratch = std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(threads * kKeys));
    const std::vector<float> ranked = *score;
    KernelCase made{.op = "top_k", .format = "f32", .arithmetic = "official", .place = "ram", .isa = isa, .rows = 1, .n = kKeys, .k = kChosen};
    made.bytes = 4.0 * static_cast<double>(threads * kKeys);
    made.items = threads * kKeys;
    made.run = [=](int thread, std::int64_t) { kernels::TableFor(isa).top_k({ranked.data(), kKeys, kChosen, scratch->data() + thread * kKeys, chosen->data() + thread * kChosen}); };
    made.hash = [chosen] { return Hash(chosen->data(), 4 * kChosen); };
    cases.push_back(std::move(made));
  }
  const kernels::IndexRowLayout layout{kernels::RowFormat::kPacked, kDim};
  auto held = hardware::Region::Allocate(static_cast<std::uint64_t>(kKeys * layout.RowBytes()), "the index keys of a measurement");
  if (!held || !scores) return;
  auto data = std::make_shared<CachedRows>();
  data->rows = std::move(*held);
  std::vector<float> scratch(static_cast<std::size_t>(kDim));
  for (std::int64_t i = 0; i < kKeys; ++i) {
    std::byte* row = data->rows.data() + i * layout.RowBytes();
    if (i < 64) {
      kernels::TableFor(isa).pack_index({layout, Codes(kDim, static_cast<unsigned>(i)).data(), row, scratch.data()});
    } else {
      std::memcpy(row, row - 64 * layout.RowBytes(), static_cast<std::size_t>(layout.RowBytes()));
    }
    if (i % kPerBlock == 0) data->blocks.push_back(row);
  }
  std::vector<float> query = Codes(kHeads * kDim, 7);
  kernels::TableFor(isa).index_quantize({query.data(), kHeads, kDim});
  const std::vector<float> weight(kHeads, 0.01f);
  auto floats = std::make_shared<std::vector<float>>(static_cast<std::size_t>(threads * kernels::IndexScratchFloats(kDim)));
  KernelCase made{.op = "index_score", .format = "mxfp4", .arithmetic = "official", .place = "ram", .isa = isa, .rows = 1, .n = kKeys, .k = kDim};
  made.bytes = static_cast<double>(kKeys * layout.RowBytes());
  made.flops = 2.0 * static_cast<double>(kHeads * kKeys * kDim);
  made.items = kKeys;
  made.run = [=](int thread, std::int64_t) {
    constexpr std::int64_t kSpan = 2048;
    for (std::int64_t first = kKeys * thread / threads; first < kKeys * (thread + 1) / threads; first += kSpan) {
      const std::int64_t count = std::min(kSpan, kKeys * (thread + 1) / threads - first);
      kernels::TableFor(isa).index_score({query.data(), weight.data(), kHeads, layout, {data->blocks.data(), kPerBlock, 0}, first, count, Rounding::kBf16,
                                          floats->data() + thread * kernels::IndexScratchFloats(kDim), score->data() + first});
    }
  };
  made.hash = [score, data] { return HashOf(*score); };
  cases.push_back(std::move(made));
}

}  // namespace

Result<WeightPool> WeightPool::Create() {
  WeightPool pool;
  TRY_ASSIGN(pool.region_, hardware::Region::Allocate(kPoolBytes, "the weights of a measurement"));
  // In every byte the exponent of a number near 1, as fp8 (a field of 7 or 8) and as the upper half of bf16; as fp4 two values.
  std::uint64_t state = 88172645463325252u;
  for (std::uint64_t at = 0; at < pool.region_.size(); at += 8) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    const std::uint64_t below = ~state & 0x4040404040404040u, bytes = (state & 0xC7C7C7C7C7C7C7C7u) | below >> 1 | below >> 2 | below >> 3;
    std::memcpy(pool.region_.data() + at, &bytes, 8);
  }
  return pool;
}

const std::byte* WeightPool::Place(std::int64_t index, std::int64_t bytes) const noexcept {
  const std::int64_t apart = (bytes + 4095) / 4096 * 4096, places = static_cast<std::int64_t>(kPoolBytes) / apart;
  return region_.data() + index % places * apart;
}

std::vector<KernelCase> MakeKernelCases(hardware::Isa isa, int threads, const WeightPool& pool, const CaseFilter& filter) {
  std::vector<KernelCase> cases;
  if (Wanted(filter.ops, "linear")) AddLinearCases(isa, threads, pool, filter, cases);
  if (isa == hardware::Isa::kReference) return cases;
  if (Wanted(filter.ops, "attend") && Wanted(filter.formats, "packed")) AddAttendCase(isa, threads, cases);
  AddIndexCases(isa, threads, cases, Wanted(filter.ops, "index_score") && Wanted(filter.formats, "mxfp4"), Wanted(filter.ops, "top_k") && Wanted(filter.formats, "f32"));
  return cases;
}

}  // namespace baleen::apps

#include "model/packing.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "diagnostics/progress.h"

namespace baleen::model {
namespace {

using backend::Format;
using backend::Matrix;

constexpr std::uint64_t kAlignment = 64;

std::uint64_t Padded(std::uint64_t bytes) noexcept { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::uint64_t WeightBytes(const Matrix& m) noexcept { return static_cast<std::uint64_t>(m.n * kernels::RowBytes(m.format, m.k)); }

std::uint64_t ScaleBytes(const Matrix& m) noexcept { return static_cast<std::uint64_t>(kernels::ScaleBytes(m.format, m.n, m.k)); }

template <typename AnyLayer, typename Body>
void ForLayer(AnyLayer& layer, const Body& body) {
  body(layer.before_attention.weights.fn), body(layer.before_experts.weights.fn);
  auto& a = layer.attention;
  for (auto* m : {&a.query_down, &a.query_up, &a.kv, &a.output_down, &a.output_up, &a.compressor.value, &a.compressor.gate, &a.indexer.query, &a.indexer.weights,
                    &a.indexer.compressor.value, &a.indexer.compressor.gate, &layer.router.gate}) {
    body(*m);
  }
  for (auto& e : layer.experts) body(e.gate), body(e.up), body(e.down);
}

/// Calls body(matrix) for every matrix, in the order in which a step meets them; absent ones have no rows.
template <typename AnyWeights, typename Body>
void ForMatrices(AnyWeights& w, const Body& body) {
  body(w.embedding);
  for (auto& layer : w.layers) ForLayer(layer, body);
  body(w.head.site.weights.fn), body(w.lm_head);
  for (auto& m : w.mtp) ForLayer(m.block, body), body(m.token_projection), body(m.stream_projection), body(m.head.site.weights.fn);
  for (auto& d : w.dspark) {
    for (auto& stage : d.stages) ForLayer(stage, body);
    body(d.feature_projection), body(d.head.site.weights.fn), body(d.markov_embedding), body(d.markov_output), body(d.confidence);
  }
}

/// One matrix on its way.
struct Move {
  const Matrix* matrix;
  std::byte* data;
  std::byte* scales;
};

/// A thread's rows and what scales them.
std::uint64_t CopyShare(const Move& move, int thread, int threads) noexcept {
  const Matrix& m = *move.matrix;
  const PackedRows rows = RowsPackedBy(m.n, thread, threads);
  const auto copy = [&](std::byte* to, const std::byte* from, std::uint64_t row_bytes) {
    const auto begin = static_cast<std::uint64_t>(rows.begin) * row_bytes, end = static_cast<std::uint64_t>(rows.end) * row_bytes;
    std::memcpy(to + begin, from + begin, end - begin);
    return end - begin;
  };
  std::uint64_t copied = copy(move.data, m.data, static_cast<std::uint64_t>(kernels::RowBytes(m.format, m.k)));
  const auto* scales = reinterpret_cast<const std::byte*>(m.scales);
  if (m.format == Format::kFp4) copied += copy(move.scales, scales, ScaleBytes(m) / static_cast<std::uint64_t>(m.n));
  if (m.format == Format::kFp8 && thread == 0) {
    std::memcpy(move.scales, scales, ScaleBytes(m));
    copied += ScaleBytes(m);
  }
  return copied;
}

std::vector<Move> LayOut(Weights& weights, std::byte* at) {
  std::vector<Move> moves;
  ForMatrices(weights, [&](const Matrix& m) {
    if (m.n == 0) return;
    moves.push_back({&m, at, at + Padded(WeightBytes(m))});
    at += Padded(WeightBytes(m)) + Padded(ScaleBytes(m));
  });
  return moves;
}

}  // namespace

PackedRows RowsPackedBy(std::int64_t rows, int thread, int threads) noexcept {
  return {hardware::Workers::FirstPart(rows, thread, threads), hardware::Workers::FirstPart(rows, thread + 1, threads)};
}

std::uint64_t PackedBytes(const Weights& weights) noexcept {
  std::uint64_t bytes = 0;
  ForMatrices(weights, [&](const Matrix& m) { bytes += Padded(WeightBytes(m)) + Padded(ScaleBytes(m)); });
  return bytes;
}

Result<PackedWeights> PackWeights(Weights& weights, const checkpoint::Checkpoint& checkpoint, backend::Device& device) {
  PackedWeights packed;
  const std::uint64_t bytes = PackedBytes(weights);
  TRY_ASSIGN(packed.memory, hardware::Region::Reserve(bytes, "the copy of the weights", "leave the weights where they are (mapped)"));
  const std::vector<Move> moves = LayOut(weights, packed.memory.data());
  diagnostics::Progress progress("packing the weights", std::max<std::uint64_t>(1, bytes), "B");
  std::atomic<std::uint64_t> copied{0};
  std::uint64_t shown = 0;
  const auto begin = std::chrono::steady_clock::now();
  const int threads = device.workers().threads();
  const hardware::HeldCaller held(device.workers());
  // One part a thread, so long that every thread is there before another one could take its part.
  device.workers().Run(threads, [&](std::int64_t share, int thread) noexcept {
    for (const Move& move : moves) {
      const std::uint64_t of_move = CopyShare(move, static_cast<int>(share), threads), now = copied.fetch_add(of_move) + of_move;
      if (thread == 0) progress.Advance(now - shown), shown = now;
    }
  });
  progress.Advance(bytes - shown);
  packed.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::size_t next = 0;
  ForMatrices(weights, [&](Matrix& m) {
    if (m.n == 0) return;
    const Move& move = moves[next++];
    m.data = move.data;
    if (m.scales != nullptr) m.scales = reinterpret_cast<const std::uint8_t*>(move.scales);
  });
  for (const std::span<const std::byte> file : checkpoint.FileBytes()) hardware::ForgetPages(file.data(), file.size());
  return packed;
}

}  // namespace baleen::model

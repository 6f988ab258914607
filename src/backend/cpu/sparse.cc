#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/families.h"

namespace baleen::backend::cpu {
namespace {

constexpr std::int64_t kKeysPerPart = 2048;   // index keys that one part scores
constexpr std::int64_t kFewestHeads = 4;      // of one token that one part attends with when tokens are few

/// The compressed entries visible to the token at `position` (§4.5).
std::int64_t Visible(std::int64_t position, std::int64_t ratio) noexcept { return ratio == 0 ? 0 : (position + 1) / ratio; }

/// Row of position p: this step's where it is new, the tail's where it is older.
const float* CompressorRow(const Compress& op, const float* step, const float* tail, std::int64_t position) noexcept {
  if (position >= op.first_position) return step + (position - op.first_position) * op.channels;
  return tail + position % op.tail_rows * op.channels;
}

/// Pools window w of the compressor into entry (§4.2, §4.3).
void CloseWindow(Device& device, const Compress& op, std::int64_t w, int thread) noexcept {
  const kernels::Table& k = device.kernels();
  const bool overlap = op.channels == 2 * op.dim;
  float* entry = device.ThreadFloats(thread);
  auto** values = reinterpret_cast<const float**>(device.ThreadPointers(thread));
  const float** gates = values + 2 * op.ratio;
  std::int64_t slots = 0;
  // Overlapping windows read the older window's first halves and this one's second halves.
  for (std::int64_t p = overlap ? std::max<std::int64_t>(0, w - 1) * op.ratio : w * op.ratio; p < (w + 1) * op.ratio; ++p, ++slots) {
    const std::int64_t half = overlap && p >= w * op.ratio ? op.dim : 0;
    values[slots] = CompressorRow(op, op.value, op.tail_value, p) + half;
    gates[slots] = CompressorRow(op, op.gate, op.tail_gate, p) + half;
  }
  k.pool({values, gates, slots, op.dim, op.rounding, entry});
  k.norm({entry, 1, op.dim, op.dim, op.norm_weight, op.eps, entry, op.rounding});

  const auto half = static_cast<std::int64_t>(op.frequencies.size());
  float* cosine = entry + op.dim;
  float* sine = cosine + half;
  float* scratch = sine + half;
  const std::int64_t position = w * op.ratio;
  for (std::int64_t i = 0; i < half; ++i) {
    const float angle = static_cast<float>(position) * op.frequencies[static_cast<std::size_t>(i)];
    cosine[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
    sine[i] = static_cast<float>(std::sin(static_cast<double>(angle)));
  }
  k.rotate({entry, 1, op.dim, 2 * half, cosine, sine, false, op.rounding});
  if (op.index_keys) {
    k.pack_index({op.index, entry, op.entries.Row(w, op.index.RowBytes()), scratch});
  } else {
    k.pack_kv({op.kv, entry, op.entries.Row(w, op.kv.RowBytes())});
  }
}

/// Keeps the step's last rows in a ring: position p in slot p mod ring_rows.
void KeepLast(const std::byte* step, std::int64_t first_position, std::int64_t rows, std::int64_t row_bytes, std::byte* ring, std::int64_t ring_rows) noexcept {
  for (std::int64_t r = std::max<std::int64_t>(0, rows - ring_rows); r < rows; ++r) {
    std::memcpy(ring + (first_position + r) % ring_rows * row_bytes, step + r * row_bytes, static_cast<std::size_t>(row_bytes));
  }
}

/// Lists the rows that row r of the segment reads: window in rising position, then entries in rising number. Returns their count.
std::int64_t ListKeys(const Attend& op, std::int64_t r, const std::byte** keys) noexcept {
  const CacheView& cache = op.cache;
  const std::int64_t position = cache.first_position + r, bytes = op.layout.RowBytes();
  std::int64_t count = 0;
  const std::int64_t first = op.block ? cache.first_position - op.window : position - op.window + 1;
  const std::int64_t last = op.block ? cache.first_position + cache.rows - 1 : position;
  for (std::int64_t p = std::max<std::int64_t>(0, first); p <= last; ++p) {
    keys[count++] = p >= cache.first_position ? op.step_rows + (p - cache.first_position) * bytes : cache.window + p % cache.window_rows * bytes;
  }
  const std::int64_t visible = Visible(position, op.ratio);
  const std::int64_t entries = op.chosen != nullptr ? std::min(visible, op.top_k) : visible;
  for (std::int64_t i = 0; i < entries; ++i) {
    const std::int64_t entry = op.chosen != nullptr ? op.chosen[r * op.top_k + i] : i;
    keys[count++] = cache.entries.Row(entry, bytes);
  }
  return count;
}

}  // namespace

void RunCompress(Device& device, const Compress& op) noexcept {
  ForRows(device, op.rows, [&](std::int64_t r, int) noexcept {
    device.kernels().add({op.position_bias + (op.first_position + r) % op.ratio * op.channels, op.channels, op.gate + r * op.channels});
  });
  const std::int64_t first = op.first_position / op.ratio, end = (op.first_position + op.rows) / op.ratio;
  device.workers().Run(end - first, [&](std::int64_t part, int thread) noexcept { CloseWindow(device, op, first + part, thread); });
  const std::int64_t bytes = 4 * op.channels;
  KeepLast(reinterpret_cast<const std::byte*>(op.value), op.first_position, op.rows, bytes, reinterpret_cast<std::byte*>(op.tail_value), op.tail_rows);
  KeepLast(reinterpret_cast<const std::byte*>(op.gate), op.first_position, op.rows, bytes, reinterpret_cast<std::byte*>(op.tail_gate), op.tail_rows);
}

void RunChooseRows(Device& device, const ChooseRows& op) noexcept {
  for (std::int64_t begin = 0; begin < op.cache.rows; begin += op.score_rows) {
    const std::int64_t group = std::min(op.score_rows, op.cache.rows - begin);
    const std::int64_t most = Visible(op.cache.first_position + begin + group - 1, op.ratio), parts = Parts(most, kKeysPerPart);
    if (most > op.top_k) {
      device.workers().Run(group * parts, [&](std::int64_t part, int thread) noexcept {
        const std::int64_t row = begin + part / parts, visible = Visible(op.cache.first_position + row, op.ratio);
        const Span span = Part(visible, kKeysPerPart, part % parts);
        if (visible <= op.top_k || span.begin >= span.end) return;
        device.kernels().index_score({op.query + row * op.heads * op.layout.dim, op.weights + row * op.heads, op.heads, op.layout, op.cache.index_entries, span.begin,
                                      span.end - span.begin, op.rounding, device.ThreadFloats(thread), op.score + (row - begin) * op.score_stride + span.begin});
      });
    }
    device.workers().Run(group, [&](std::int64_t r, int thread) noexcept {
      const std::int64_t row = begin + r, visible = Visible(op.cache.first_position + row, op.ratio);
      std::int32_t* chosen = op.chosen + row * op.top_k;
      if (visible > op.top_k) {
        device.kernels().top_k({op.score + r * op.score_stride, visible, op.top_k, device.ThreadIntegers(thread), chosen});
      } else {
        for (std::int64_t s = 0; s < visible; ++s) chosen[s] = static_cast<std::int32_t>(s);
      }
    });
  }
}

void RunAttend(Device& device, const Attend& op) noexcept {
  const std::int64_t dim = op.layout.dim, half = op.rotation.rope_dim / 2;
  // As few parts as keep every thread at work: each brings the rows into the form that its heads multiply.
  const std::int64_t threads = device.workers().threads(), share = (op.heads * op.cache.rows + threads - 1) / threads;
  const std::int64_t heads = std::clamp(share, std::min(kFewestHeads, op.heads), op.heads), parts = Parts(op.heads, heads);
  device.workers().Run(op.cache.rows * parts, [&](std::int64_t part, int thread) noexcept {
    const kernels::Table& k = device.kernels();
    const std::int64_t r = part / parts;
    const Span span = Part(op.heads, heads, part % parts);
    const std::byte** keys = device.ThreadPointers(thread);
    const std::int64_t count = ListKeys(op, r, keys), offset = (r * op.heads + span.begin) * dim;
    k.attend({op.query + offset, span.end - span.begin, keys, count, op.layout, op.sink + span.begin,
              static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim))), op.rounding, device.ThreadFloats(thread), op.out + offset});
    k.rotate({op.out + offset, span.end - span.begin, dim, op.rotation.rope_dim, op.rotation.cosine + r * half, op.rotation.sine + r * half, true, op.rounding});
  });
  if (!op.block) RunKeepRows(device, {op.cache, op.step_rows, op.layout});
}

void RunKeepRows(Device&, const KeepRows& op) noexcept {
  KeepLast(op.step_rows, op.cache.first_position, op.cache.rows, op.layout.RowBytes(), op.cache.window, op.cache.window_rows);
}

}  // namespace baleen::backend::cpu

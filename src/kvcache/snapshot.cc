#include "kvcache/snapshot.h"

#include <algorithm>
#include <cstring>

#include "diagnostics/check.h"

namespace baleen::kvcache {
namespace {

/// Rows first … end − 1 of something.
struct Range {
  std::int64_t first = 0, end = 0;

  std::uint64_t Bytes(std::int64_t row_bytes) const noexcept { return static_cast<std::uint64_t>((end - first) * row_bytes); }
};

/// Positions in the window ring that a token at `length` or later sees.
Range WindowRows(const LayerLayout& layer, std::int64_t length) noexcept { return {length - std::min(layer.window, length), length}; }

/// Positions that windows closing at `length` or later pool.
Range TailRows(const TailLayout& tail, std::int64_t ratio, std::int64_t length) noexcept {
  if (tail.rows == 0) return {};
  const std::int64_t older_windows = tail.rows / ratio - 1;
  return {std::max<std::int64_t>(0, length / ratio - older_windows) * ratio, length};
}

/// Entries in the block that `length` stands in.
Range Entries(std::int64_t ratio, std::int64_t block_tokens, std::int64_t length) noexcept {
  if (ratio == 0) return {};
  return {length / block_tokens * (block_tokens / ratio), length / ratio};
}

/// Copies between a list of pieces and other memory, front to back.
class Cursor {
 public:
  explicit Cursor(const PieceList& list) noexcept : list_(list) {}

  void Put(const std::byte* from, std::uint64_t bytes) noexcept {
    Walk(bytes, [&](std::byte* piece, std::uint64_t done, std::uint64_t count) { std::memcpy(piece, from + done, count); });
  }
  void Get(std::byte* to, std::uint64_t bytes) noexcept {
    Walk(bytes, [&](const std::byte* piece, std::uint64_t done, std::uint64_t count) { std::memcpy(to + done, piece, count); });
  }

 private:
  template <typename Copy>
  void Walk(std::uint64_t bytes, const Copy& copy) noexcept {
    for (std::uint64_t done = 0; done < bytes;) {
      const std::uint64_t piece = at_ / list_.piece_bytes, offset = at_ % list_.piece_bytes;
      CHECK(piece < list_.pieces.size());
      const std::uint64_t count = std::min(bytes - done, list_.piece_bytes - offset);
      copy(list_.pieces[piece] + offset, done, count);
      done += count;
      at_ += count;
    }
  }

  PieceList list_;
  std::uint64_t at_ = 0;
};

/// Shows every saved row of the sequence to `see(row, bytes)`, in the order of the saved form.
template <typename See>
void EachRow(const Sequence& sequence, std::int64_t length, const See& see) {
  const Layout& layout = sequence.layout();
  const auto tail_rows = [&](const TailLayout& tail, std::int64_t ratio, const TailRing& ring) {
    for (float* half : {ring.value, ring.gate}) {
      const Range rows = TailRows(tail, ratio, length);
      for (std::int64_t p = rows.first; p < rows.end; ++p) see(reinterpret_cast<std::byte*>(half + p % ring.slots * tail.channels), static_cast<std::uint64_t>(4 * tail.channels));
    }
  };
  for (std::size_t l = 0; l < layout.layers.size(); ++l) {
    const LayerLayout& layer = layout.layers[l];
    const auto number = static_cast<std::int64_t>(l);
    const backend::CacheView view = sequence.Layer(number);
    const std::int64_t row_bytes = layer.row.RowBytes(), index_bytes = layer.index_row.RowBytes();
    const Range window = WindowRows(layer, length), entries = Entries(layer.ratio, sequence.pool().block_tokens(), length);
    for (std::int64_t p = window.first; p < window.end; ++p) see(view.window + p % view.window_rows * row_bytes, static_cast<std::uint64_t>(row_bytes));
    tail_rows(layer.tail, layer.ratio, sequence.Tail(number));
    tail_rows(layer.index_tail, layer.ratio, sequence.IndexTail(number));
    if (entries.first == entries.end) continue;
    see(view.entries.Row(entries.first, row_bytes), entries.Bytes(row_bytes));  // of one block, so one after another
    if (layer.indexed) see(view.index_entries.Row(entries.first, index_bytes), entries.Bytes(index_bytes));
  }
}

}  // namespace

std::uint64_t SavedBytes(const Layout& layout, std::int64_t length) {
  std::uint64_t bytes = 0;
  const std::int64_t block_tokens = layout.BlockTokens();
  for (const LayerLayout& layer : layout.layers) {
    const Range entries = Entries(layer.ratio, block_tokens, length);
    bytes += WindowRows(layer, length).Bytes(layer.row.RowBytes());
    bytes += TailRows(layer.tail, layer.ratio, length).Bytes(8 * layer.tail.channels);
    bytes += TailRows(layer.index_tail, layer.ratio, length).Bytes(8 * layer.index_tail.channels);
    bytes += entries.Bytes(layer.row.RowBytes()) + (layer.indexed ? entries.Bytes(layer.index_row.RowBytes()) : 0);
  }
  return bytes;
}

void Save(const Sequence& sequence, std::int64_t length, const PieceList& out) {
  CHECK(length >= sequence.shortest() && length <= sequence.length());
  Cursor cursor(out);
  EachRow(sequence, length, [&](const std::byte* row, std::uint64_t bytes) { cursor.Put(row, bytes); });
}

void Load(Sequence& sequence, std::int64_t length, const PieceList& in) {
  CHECK(sequence.length() == 0 && length <= sequence.reserved());
  Cursor cursor(in);
  EachRow(sequence, length, [&](std::byte* row, std::uint64_t bytes) { cursor.Get(row, bytes); });
  sequence.Resume(length);
}

void Save(const Sequence& sequence, std::int64_t length, std::span<std::byte> out) {
  CHECK(out.size() == SavedBytes(sequence.layout(), length));
  std::byte* const piece = out.data();
  Save(sequence, length, PieceList{{&piece, 1}, out.size()});
}

void Load(Sequence& sequence, std::int64_t length, std::span<const std::byte> in) {
  CHECK(in.size() == SavedBytes(sequence.layout(), length));
  std::byte* const piece = const_cast<std::byte*>(in.data());  // Get only reads it
  Load(sequence, length, PieceList{{&piece, 1}, in.size()});
}

}  // namespace baleen::kvcache

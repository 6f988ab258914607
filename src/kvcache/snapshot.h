#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kvcache/sequence.h"

namespace baleen::kvcache {

/// Bytes in pieces of equal size, one after another; the last may be longer than what is used of it.
struct PieceList {
  std::span<std::byte* const> pieces;
  std::uint64_t piece_bytes = 0;
};

/// What a continuation at `length` reads beside the full blocks before it, and nothing else, layer by layer:
///
///   the last min(window, length) rows of the window, oldest first;
///   of each compressor (the layer's, then its indexer's) the values, then the gates of the rows that windows not yet closed will read:
///     those of the window that `length` stands in, and where windows overlap those of the window before it;
///   the entries, then the index keys, of the block that `length` stands in.
///
/// The same bytes in memory and on disk, on machines of one byte order.
std::uint64_t SavedBytes(const Layout& layout, std::int64_t length);

/// Requires: sequence.shortest() <= length <= sequence.length(); `out` has room for SavedBytes.
void Save(const Sequence& sequence, std::int64_t length, const PieceList& out);

/// Puts back what Save wrote and resumes the sequence at `length`. Requires: an empty sequence that holds the full blocks before `length`
/// and has reserved `length` tokens; `in` has SavedBytes that Save wrote for this layout and length.
void Load(Sequence& sequence, std::int64_t length, const PieceList& in);

/// The same with one piece of exactly SavedBytes.
void Save(const Sequence& sequence, std::int64_t length, std::span<std::byte> out);
void Load(Sequence& sequence, std::int64_t length, std::span<const std::byte> in);

}  // namespace baleen::kvcache

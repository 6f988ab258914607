// Passes over stored values: what a header cannot show.

#include <algorithm>
#include <atomic>
#include <cstring>

#include "checkpoint/checkpoint.h"
#include "diagnostics/progress.h"

namespace baleen::checkpoint {
namespace {

using diagnostics::InvalidInput;
using tensor::DType;
using tensor::View;

constexpr std::size_t kStretchBytes = std::size_t{1} << 16;  // scanned without an early exit, so that the loop vectorises
constexpr std::size_t kPieceBytes = std::size_t{1} << 22;    // of a tensor that one thread scans at a time

bool AnyE4m3Nan(const std::byte* data, std::size_t count) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < count; ++i) found |= static_cast<unsigned char>((static_cast<unsigned char>(data[i]) & 0x7F) == 0x7F);
  return found != 0;
}

bool AnyE8m0Nan(const std::byte* data, std::size_t count) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < count; ++i) found |= static_cast<unsigned char>(static_cast<unsigned char>(data[i]) == 0xFF);
  return found != 0;
}

template <typename Word, Word exponent>
bool AnyNonFinite(const std::byte* data, std::size_t count) {
  Word found = 0;
  for (std::size_t i = 0; i + sizeof(Word) <= count; i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, data + i, sizeof word);
    found |= static_cast<Word>((word & exponent) == exponent);
  }
  return found != 0;
}

bool AnyBad(DType dtype, const std::byte* data, std::size_t count) {
  switch (dtype) {
    case DType::kF8E4M3: return AnyE4m3Nan(data, count);
    case DType::kF8E8M0: return AnyE8m0Nan(data, count);
    case DType::kBF16: return AnyNonFinite<std::uint16_t, 0x7F80>(data, count);
    case DType::kF32: return AnyNonFinite<std::uint32_t, 0x7F800000>(data, count);
    default: return false;
  }
}

const char* BadName(DType dtype) {
  if (dtype == DType::kF8E4M3) return "a NaN code (0x7F or 0xFF)";
  if (dtype == DType::kF8E8M0) return "a NaN scale (255)";
  return "a NaN or infinite number";
}

/// Adds the folder, which Names() and Find() do not know.
Status InFolder(const Checkpoint& checkpoint, Status status) {
  if (!status) status.error().message = diagnostics::Quoted(checkpoint.directory().string(), 300) + ": " + status.error().message;
  return status;
}

/// Whether the bytes [begin, end) of a tensor hold what they must not.
bool HasBad(const View& view, std::size_t begin, std::size_t end) {
  for (std::size_t at = begin; at < end; at += kStretchBytes) {
    if (AnyBad(view.dtype, view.bytes.data() + at, std::min(kStretchBytes, end - at))) return true;
  }
  return false;
}

Status ScanTensor(const std::string& name, const View& view) {
  const std::size_t unit = static_cast<std::size_t>(std::max(1, tensor::DTypeBits(view.dtype) / 8));
  for (std::size_t at = 0; at < view.bytes.size(); at += kStretchBytes) {
    const std::size_t count = std::min(kStretchBytes, view.bytes.size() - at);
    if (!AnyBad(view.dtype, view.bytes.data() + at, count)) continue;
    std::size_t where = at;
    while (!AnyBad(view.dtype, view.bytes.data() + where, unit)) where += unit;
    return InvalidInput("tensor '" + name + "': expected finite numbers, found " + BadName(view.dtype) + " at element " + std::to_string(where / unit) +
                        "; the file is damaged or was written wrongly");
  }
  return {};
}

std::int64_t IdAt(const View& table, std::size_t index) {
  if (table.dtype == DType::kI32) {
    std::int32_t id;
    std::memcpy(&id, table.bytes.data() + index * sizeof id, sizeof id);
    return id;
  }
  std::int64_t id;
  std::memcpy(&id, table.bytes.data() + index * sizeof id, sizeof id);
  return id;
}

Status CheckTable(const std::string& name, const View& table, std::int64_t experts) {
  const auto rows = static_cast<std::size_t>(table.shape[0]), width = static_cast<std::size_t>(table.shape[1]);
  std::vector<std::size_t> seen_in_row(static_cast<std::size_t>(experts), SIZE_MAX);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t k = 0; k < width; ++k) {
      const std::int64_t id = IdAt(table, row * width + k);
      const auto where = [&] { return "tensor '" + name + "', token " + std::to_string(row) + ": "; };
      if (id < 0 || id >= experts) {
        return InvalidInput(where() + "expected expert ids from 0 to " + std::to_string(experts - 1) + ", found " + std::to_string(id));
      }
      std::size_t& last = seen_in_row[static_cast<std::size_t>(id)];
      if (last == row) return InvalidInput(where() + "expected different experts, found " + std::to_string(id) + " twice");
      last = row;
    }
  }
  return {};
}

}  // namespace

Status VerifyHashTables(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  for (std::int64_t layer = 0; layer < config.hash_layers; ++layer) {
    const std::string name = "layers." + std::to_string(layer) + ".ffn.gate.tid2eid";
    const auto table = checkpoint.Find(name);
    if (table) TRY(InFolder(checkpoint, CheckTable(name, *table, config.experts)));
  }
  return {};
}

Status VerifyValues(const Checkpoint& checkpoint, hardware::Workers& workers) {
  TRY(VerifyHashTables(checkpoint));
  struct Piece {
    std::size_t tensor;
    std::size_t begin, end;
  };
  const std::vector<std::string> names = checkpoint.Names();
  std::vector<View> views;
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < names.size(); ++i) {
    views.push_back(*checkpoint.Find(names[i]));
    for (std::size_t at = 0; at < views[i].bytes.size(); at += kPieceBytes) pieces.push_back({i, at, std::min(at + kPieceBytes, views[i].bytes.size())});
  }
  diagnostics::Progress progress("checking the weights", std::max<std::uint64_t>(1, checkpoint.TotalBytes()), "B");
  std::atomic<std::size_t> first_bad{names.size()};
  std::atomic<std::uint64_t> scanned{0};
  std::uint64_t shown = 0;
  workers.Run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t part, int thread) noexcept {
    const Piece& piece = pieces[static_cast<std::size_t>(part)];
    if (piece.tensor < first_bad.load(std::memory_order_relaxed) && HasBad(views[piece.tensor], piece.begin, piece.end)) {
      for (std::size_t before = first_bad.load(); piece.tensor < before && !first_bad.compare_exchange_weak(before, piece.tensor);) {
      }
    }
    const std::uint64_t now = scanned.fetch_add(piece.end - piece.begin) + piece.end - piece.begin;
    if (thread == 0) progress.Advance(now - shown), shown = now;
  });
  const std::size_t bad = first_bad.load();
  if (bad < names.size()) return InFolder(checkpoint, ScanTensor(names[bad], views[bad]));
  progress.Advance(scanned.load() - shown);
  return {};
}

}  // namespace baleen::checkpoint
